import json
import math
import tracemalloc

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.config import LOSSES
from sweep.errors import SweepError
from sweep.search_space import (
    BASELINES,
    DEFAULT_SPACES,
    NAMES,
    NORMALISE,
    RULES,
    Choices,
    Range,
    Space,
    axis_from_text,
    read_space,
    space_from_record,
)
from sweep_model.hyperparameters import Hyperparameters


def refusal(make, *arguments, **fields):
    """Return what is said of something that cannot be made, in one short line."""
    with pytest.raises(SweepError) as refused:
        make(*arguments, **fields)
    said = str(refused.value)
    assert said.isprintable()
    assert len(said) < 400
    assert "; " in said or "e.g. " in said, "there is no next step"
    return said


# One hyperparameter


def test_a_bad_value_is_refused_with_the_rule_the_value_and_what_to_write():
    for name, value, said in (
        *(("l2", v, "must lie in [0, 1e+06]: got ") for v in (math.nan, math.inf, -0.1, 1e7)),
        *(("learning_rate", v, "must lie in (0, 1e+06]: got ") for v in (0, -1, -math.inf)),
        ("decay_period", 0, "must lie in [1, 1e+06]: got 0; write e.g. 10"),
        ("decay_period", 2.5, "must be a whole number: got 2.5; write e.g. 10"),
        ("batch_size", 1_000_001, "must lie in [1, 1e+06]: got 1000001"),
        ("batch_size", True, "must be a number, e.g. 10: got True"),
        ("flip_probability", 1.1, "must lie in [0, 1]: got 1.1; write e.g. 0.1"),
        *(("l2", v, "must be a number, e.g. 0.1: got ") for v in ("0.1", None, [0.1])),
        ("l2", 10**400, f"must lie in [0, 1e+06]: got 1{'0' * 56}..."),
        ("l2", 10**5000, "must lie in [0, 1e+06]: got an integer of thousands of digits"),
    ):
        assert f"{name} {said}" in refusal(Choices, name=name, values=(value,))


def test_a_bad_range_is_refused():
    for name, low, high, log, said in (
        ("l2", 0.5, 0.5, False, "below its high end: got 0.5:0.5; for a single value write l2=0.5"),
        ("batch_size", 100, 50, False, "the low end of a range must be below its high end"),
        ("l2", 0, 1, True, "must start above 0: got 0.0; write e.g. l2=0.001:1:log"),
        ("learning_rate", 0, 1, False, "the low end of learning_rate must lie in (0, 1e+06]"),
        ("flip_probability", 0, math.nan, False, "the high end of flip_probability must lie in"),
        ("decay_period", "2", 5, False, "the low end of decay_period must be a number, e.g. 10"),
        ("decay_period", 2, 5.5, False, "the high end of decay_period must be a whole number"),
    ):
        assert said in refusal(Range, name=name, low=low, high=high, log=log)


def test_bad_choices_are_refused():
    for values, said in (
        ((), "l2 must have 1 to 100 choices: got 0; write e.g. l2=0.1"),
        (tuple(range(101)), "got 101"),
        ((0.1, 1, 0.1), "l2: choices must differ: got 0.1 twice; leave one out"),
        ((1, 0.5, 1.0), "got 1.0 twice"),
    ):
        assert said in refusal(Choices, name="l2", values=values)


def test_the_ends_and_the_example_of_a_rule_keep_the_rule():
    for name, rule in RULES.items():
        kept = [float(rule.example), rule.high, *([rule.low] if rule.low_allowed else [])]
        assert [rule.check(name, value) for value in kept] == kept
        (value,) = Choices(name=name, values=(1,)).values
        assert type(value) is (int if rule.integer else float)


def test_a_value_that_a_user_queued_must_lie_on_the_axis():
    axis = Range(name="l2", low=0.1, high=1)
    assert axis.check(1) == 1
    assert "l2 is searched from 0.1:1: got 2; take one" in refusal(axis.check, 2)
    axis = Choices(name="batch_size", values=(25, 50))
    assert axis.check(25.0) == 25
    assert "batch_size is one of 25,50: got 30; take one" in refusal(axis.check, 30)


REALS = st.floats(1e-9, 1e6), ["l2", "learning_rate"]
COUNTS = st.integers(1, 1_000_000), ["batch_size", "decay_period"]
ranges = st.one_of(
    st.builds(
        lambda name, ends, log: Range(name=name, low=min(ends), high=max(ends), log=log),
        st.sampled_from(names),
        st.lists(numbers, min_size=2, max_size=2, unique=True),
        st.booleans(),
    )
    for numbers, names in (REALS, COUNTS)
)
choices = st.builds(
    lambda values: Choices(name="batch_size", values=tuple(values)),
    st.lists(st.integers(1, 1_000_000), min_size=1, max_size=8, unique=True),
)


@given(ranges | choices, st.floats(0, 1e9))
def test_clipping_gives_the_nearest_value(axis, value):
    clipped = axis.clip(value)
    if isinstance(axis, Choices):
        assert clipped in axis.values
        assert all(abs(clipped - value) <= abs(choice - value) for choice in axis.values)
    elif axis.low <= value <= axis.high:
        assert clipped == value
    else:
        assert clipped == (axis.low if value < axis.low else axis.high)


@given(ranges, st.integers(2, 6))
def test_the_points_of_a_range_rise_from_end_to_end(axis, count):
    points = axis.points(count)
    assert (points[0], points[-1]) == (axis.low, axis.high)
    assert list(points) == sorted(set(points))
    assert len(points) <= count
    assert {type(point) for point in points} == {type(axis.low)}


def test_points_are_even_on_the_ranges_own_scale():
    assert Range(name="flip_probability", low=0, high=0.5).points(3) == (0, 0.25, 0.5)
    assert Range(name="l2", low=1e-4, high=1, log=True).points(3) == pytest.approx((1e-4, 0.01, 1))
    assert Range(name="decay_period", low=2, high=50, log=True).points(3) == (2, 10, 50)
    assert Range(name="batch_size", low=1, high=2).points(5) == (1, 2)
    assert Choices(name="batch_size", values=(50, 25)).points(3) == (50, 25)


def test_an_axis_tells_optuna_its_name_bounds_and_scale_and_has_a_text_and_a_record():
    real, whole, choice = (
        optuna.distributions.FloatDistribution,
        optuna.distributions.IntDistribution,
        optuna.distributions.CategoricalDistribution,
    )
    for axis, value, distribution, text in (
        (Range(name="l2", low=1e-5, high=1, log=True), 0.5, real(1e-5, 1, log=True), "1e-05:1:log"),
        (Range(name="flip_probability", low=0, high=1), 0.5, real(0, 1), "0:1"),
        (Range(name="decay_period", low=2, high=9, log=True), 7, whole(2, 9, log=True), "2:9:log"),
        (Choices(name="batch_size", values=(25, 50)), 50, choice((25, 50)), "25,50"),
        (Choices(name="l2", values=(0.1,)), 0.1, choice((0.1,)), "0.1"),
    ):
        study = optuna.create_study()
        study.enqueue_trial({axis.name: value})
        trial = study.ask()
        assert axis.suggest(trial) == value
        assert trial.distributions == {axis.name: distribution}
        assert axis.distribution() == distribution
        assert str(axis) == text
        assert axis_from_text(f"{axis.name}={text}") == axis


@given(ranges | choices, st.lists(st.floats(0, 1), min_size=2, max_size=9))
def test_the_value_at_a_share_lies_on_the_axis_and_rises_with_the_share(axis, shares):
    values, ends = [axis.at(share) for share in sorted(shares)], [axis.at(0), axis.at(1)]
    if isinstance(axis, Choices):
        places = [axis.values.index(value) for value in values]
        assert places == sorted(places)
        assert ends == [axis.values[0], axis.values[-1]]
        return
    assert all(axis.low <= value <= axis.high for value in values)
    assert values == sorted(values)
    assert {type(value) for value in values} == {type(axis.low)}
    assert ends == pytest.approx([axis.low, axis.high])


def test_each_share_of_an_axis_is_as_wide_as_the_others():
    assert Range(name="flip_probability", low=0, high=0.5).at(0.5) == 0.25
    assert Range(name="l2", low=1e-4, high=1, log=True).at(0.5) == pytest.approx(1e-2)
    assert Range(name="decay_period", low=2, high=50, log=True).at(0.5) == 9
    whole = Range(name="decay_period", low=3, high=7)
    chosen = Choices(name="batch_size", values=(50, 100, 200))
    assert [chosen.at(share) for share in (0, 0.333, 0.334, 0.999)] == [50, 50, 100, 200]
    for axis, values in ((whole, range(3, 8)), (chosen, chosen.values)):
        drawn = [axis.at((i + 0.5) / 3000) for i in range(3000)]
        even = dict.fromkeys(values, 3000 / len(values))
        assert {value: drawn.count(value) for value in values} == pytest.approx(even, abs=2)


# Spaces


def some_axis(name):
    rule = RULES[name]
    low = rule.low if rule.low_allowed else 1e-6
    ends = st.integers(int(low), int(rule.high)) if rule.integer else st.floats(low, rule.high)
    return st.builds(
        lambda values, log: Range(
            name=name, low=min(values), high=max(values), log=log and min(values) > 0
        ),
        st.lists(ends, min_size=2, max_size=2, unique=True),
        st.booleans(),
    ) | st.lists(ends, min_size=1, max_size=4, unique=True).map(
        lambda values: Choices(name=name, values=tuple(values))
    )


spaces = st.tuples(*map(some_axis, NAMES)).map(
    lambda axes: Space(dict(zip(NAMES, axes, strict=True)))
)


@given(spaces, spaces)
def test_a_space_is_known_by_its_axes_and_read_back_from_its_record(one, other):
    assert space_from_record(json.loads(json.dumps(one.record()))) == one
    apart = [name for name in NAMES if one.axes[name] != other.axes[name]]
    assert [phrase.split()[0] for phrase in one.differences(other)] == apart
    clipped = one.clip(other.at([0.5] * len(other.varied())))
    assert one.check(clipped) == clipped == one.clip(clipped)


def test_a_difference_says_what_it_was_and_what_it_is_to_the_last_digit():
    space = DEFAULT_SPACES["softmax"]
    one, other = (
        space.replace({"l2": Choices(name="l2", values=(value,))})
        for value in (0.1234567, 0.1234568)
    )
    assert one.differences(other) == ["l2 0.1234567 -> 0.1234568"]
    assert tuple(one.axes) == NAMES
    assert "l2" not in one.varied()


def test_normalisation_is_an_axis_of_words_where_there_are_several():
    plain = DEFAULT_SPACES["softmax"]
    space = plain.with_normalisations(("standardise", "unit"))
    assert tuple(space.axes) == (*NAMES, NORMALISE)
    assert space.varied()[-1] == NORMALISE
    assert plain.with_normalisations(("unit",)) == space.with_normalisations(()) == plain
    axis = space.axes[NORMALISE]
    assert (str(axis), axis.record()) == ("standardise,unit", ["standardise", "unit"])
    assert axis.distribution().choices == axis.points(9) == ("standardise", "unit")
    assert [axis.at(share) for share in (0, 0.49, 0.5, 1)] == [*["standardise"] * 2, *["unit"] * 2]
    assert space.check({NORMALISE: "unit"}) == {NORMALISE: "unit"}
    assert "normalise is one of standardise,unit: got 'none'" in refusal(axis.check, "none")
    assert "got 1; take one" in refusal(axis.check, 1)
    assert "unknown hyperparameter 'normalise'" in refusal(plain.check, {NORMALISE: "unit"})
    assert "unknown hyperparameter 'normalise'" in refusal(axis_from_text, "normalise=unit,none")
    for asked, nearest in (({}, "standardise"), ({NORMALISE: "unit"}, "unit")):
        assert space.clip({**BASELINES["softmax"], **asked})[NORMALISE] == nearest
    assert space.differences(plain) == plain.differences(space) == []
    one = Space({name: Choices(name=name, values=(1,)) for name in NAMES})
    grid = one.with_normalisations(("unit", "none")).grid(3)
    assert [point[NORMALISE] for point in grid] == ["unit", "none"]
    trial = optuna.create_study().ask()
    assert space.suggest(trial) == trial.params


def test_the_grid_is_every_combination_of_the_choices_and_of_ends_and_middles():
    space = Space({name: Choices(name=name, values=(1,)) for name in NAMES}).replace(
        {
            "l2": Range(name="l2", low=1e-4, high=1, log=True),
            "batch_size": Choices(name="batch_size", values=(25, 50)),
        }
    )
    grid = space.grid(3)
    assert [(point["l2"], point["batch_size"]) for point in grid] == [
        (pytest.approx(l2), batch_size) for l2 in (1e-4, 1e-2, 1) for batch_size in (25, 50)
    ]
    assert all(tuple(point) == NAMES for point in grid)
    many = ",".join(map(str, range(1, 101)))
    wide = read_space("softmax", overrides=[f"{name}={many}" for name in NAMES[:4]])
    assert "at most 100,000 points: this space makes 300,000,000" in refusal(wide.grid, 3)


def test_every_axis_is_suggested_once_and_in_order():
    trial = optuna.create_study().ask()
    setting = DEFAULT_SPACES["bce"].suggest(trial)
    assert tuple(setting) == NAMES
    assert setting == trial.params


def test_a_space_must_have_the_five_axes():
    with pytest.raises(ValueError, match=r"^a space has the axes .*: got \('l2',\)$"):
        Space({"l2": Choices(name="l2", values=(1,))})
    assert "'lr': there are l2, " in refusal(DEFAULT_SPACES["bce"].check, {"lr": 1})


def test_the_defaults_are_the_reports_and_those_of_bce_scaled_by_ten():
    # The gradient in the scores is a tenth with ten classes.
    scaled = {"l2": 0.1, "learning_rate": 10}
    assert set(DEFAULT_SPACES) == set(BASELINES) == set(LOSSES)
    assert list(BASELINES["softmax"].values()) == [0.1, 0.01, 10, 50, 0.2]
    for name in NAMES:
        factor = scaled.get(name, 1)
        assert BASELINES["bce"][name] == pytest.approx(factor * BASELINES["softmax"][name])
        softmax, bce = (DEFAULT_SPACES[loss].axes[name] for loss in ("softmax", "bce"))
        if factor == 1:
            assert bce == softmax
        else:
            assert (bce.low, bce.high) == pytest.approx(
                (factor * softmax.low, factor * softmax.high)
            )
            assert bce.log == softmax.log is True
    for loss, space in DEFAULT_SPACES.items():
        assert space.check(BASELINES[loss]) == BASELINES[loss]
        assert Hyperparameters(**BASELINES[loss]).l2 == BASELINES[loss]["l2"]


# Overrides and files


def test_a_bad_override_is_refused():
    no_number = "must be a number, e.g. 0.1, or a range, e.g. l2=1e-4:1e-1:log"
    for text, said in (
        *((text, "an override is NAME=VALUES: got '") for text in ("", "l2", "l2=")),
        ("lr=0.1", "'lr': there are l2, learning_rate, decay_period, batch_size, flip_probability"),
        ("L2=0.1", "unknown hyperparameter 'L2'"),
        *((f"l2={v}", f"l2 {no_number}: got ") for v in ("big", "0.1,,0.2", "1=2", "десять")),
        ("l2=1\n2", rf"l2 {no_number}: got '1\n2'"),
        ("l2=" + "x" * 9000, f"got '{'x' * 56}..."),
        ("l2=nan", "l2 must lie in [0, 1e+06]: got nan"),
        ("l2=-inf:1", "the low end of l2 must lie in [0, 1e+06]: got -inf"),
        ("l2=1" + "0" * 5000, "got inf"),
        ("batch_size=" + "9" * 5000, "batch_size must"),
        ("l2=0,01", "no number is written like '01'; write a decimal point, e.g. 0.01"),
        ("l2=0,001:0,1:log", "no number is written like '0,001'; write a decimal point"),
        *((f"l2={v}", "a range is LOW:HIGH or LOW:HIGH:log: got ") for v in ("1:2:", "1:2:ln")),
        ("batch_size=16:512:2", "got '16:512:2'; write e.g. batch_size=1:50"),
        ("l2=1:2:log:3", "write e.g. l2=1e-4:1e-1:log"),
        ("l2=:1", f"l2 {no_number}: got ''"),
        ("batch_size=25.5", "batch_size must be a whole number: got 25.5"),
    ):
        assert said in refusal(axis_from_text, text)


def test_a_bad_space_file_is_refused_with_its_name(tmp_path):
    file = tmp_path / "space.toml"
    for content, said in (
        ("lr = 0.1", "unknown hyperparameter 'lr': there are l2, "),
        ("[space]\nl2 = 0.1", "unknown hyperparameter 'space'"),
        ("l2 = ['0.1', '0.2']", "or a range, e.g. l2 = {low = 1, high = 10}: got '0.1'"),
        ("l2 = [[0.1]]", "got [0.1]"),
        ("l2 = []", "1 to 100 choices: got 0"),
        ("l2 = true", "got True"),
        ("l2 = nan", "must lie in [0, 1e+06]: got nan"),
        ("l2 = 2020-01-01", "got datetime.date(2020, 1, 1)"),
        ("l2 = {low = 0.1}", "has low, high and perhaps log: got ['low']; write l2 = {low = 1, "),
        ("[l2]\nlow = 1\nhigh = 2\nstep = 3", "got ['high', 'low', 'step']"),
        ("l2 = {low = 1, high = 2, log = 1}", "log must be true or false: got 1"),
        ("l2 = {low = {a = 1}, high = 2}", "the low end of l2 must be a number"),
        ("l2 = 0x" + "f" * 9000, "got an integer of thousands of digits"),
        ("l2 = 0.1\nl2 = 0.2", "not a TOML file: "),
        ("l2: {min: 0.1}", "; write lines like l2 = {low = 1e-5, high = 0.1, log = true}"),
        *((text, "not a TOML file: ") for text in ("l2 = 1\0", '"\x1b[31m" = 1')),
        (r'"\u001b[31m" = 1', r"hyperparameter '\x1b[31m'"),
        (b"l2 = \xff\xfe", "not a TOML file: "),
        (b"l2 = " + b"[" * 5000, "not a TOML file: "),
        (b"l2 = 1" + b"0" * 5000, "not a TOML file: "),
    ):
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        message = refusal(read_space, "softmax", file)
        assert message.startswith(f"{file}: ")
        assert said in message
    for path, said in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        assert f"{path}: cannot be read: {said}" in refusal(read_space, "softmax", path)


def test_a_space_file_has_at_most_64_kib_and_no_more_is_read(tmp_path):
    file = tmp_path / "space.toml"
    file.write_bytes(b"l2 = 0.5 # " + b"x" * (64 * 1024 - 11))
    assert read_space("softmax", file).axes["l2"] == Choices(name="l2", values=(0.5,))
    file.write_bytes(b"#" * 10_000_000)
    tracemalloc.start()
    assert "at most 64 KiB" in refusal(read_space, "softmax", file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_what_an_override_may_say():
    for text, axis in (
        ("l2=1e-4:1e-1:log", Range(name="l2", low=1e-4, high=0.1, log=True)),
        (" flip_probability = 0 : 0.5 ", Range(name="flip_probability", low=0, high=0.5)),
        ("batch_size=1:512:linear", Range(name="batch_size", low=1, high=512)),
        ("batch_size=25, 50,1e2", Choices(name="batch_size", values=(25, 50, 100))),
        ("batch_size=50", Choices(name="batch_size", values=(50,))),
    ):
        assert axis_from_text(text) == axis


def test_overrides_go_before_the_file_and_the_file_before_the_default(tmp_path):
    file = tmp_path / "space.toml"
    file.write_text("\ufeffl2 = 0.1\ndecay_period = 5\n[learning_rate]\nlow = 1e-3\nhigh = 1")
    space = read_space("softmax", file, ["l2=0.2", "batch_size=10", "batch_size=20"])
    assert {name: str(axis) for name, axis in space.axes.items()} == {
        "l2": "0.2",
        "learning_rate": "0.001:1",
        "decay_period": "5",
        "batch_size": "20",
        "flip_probability": "0:0.5",
    }
    for loss, default in DEFAULT_SPACES.items():
        assert read_space(loss) == default
        overrides = [f"{name}={axis}" for name, axis in default.axes.items()]
        assert read_space("softmax", file, overrides) == default

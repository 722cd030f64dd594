import math

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import SweepError
from sweep.space import RULES, Choices, Range

BAD_VALUES = [
    ("l2", math.nan, "l2 must lie in [0, 1e+06]: got nan"),
    ("l2", math.inf, "l2 must lie in [0, 1e+06]: got inf"),
    ("l2", -math.inf, "l2 must lie in [0, 1e+06]: got -inf"),
    ("l2", -0.1, "l2 must lie in [0, 1e+06]: got -0.1"),
    ("l2", 1e7, "l2 must lie in [0, 1e+06]: got 10000000.0"),
    ("learning_rate", 0, "learning_rate must lie in (0, 1e+06]: got 0"),
    ("learning_rate", -1, "learning_rate must lie in (0, 1e+06]: got -1"),
    ("decay_period", 0, "decay_period must lie in [1, 1e+06]: got 0"),
    ("decay_period", 2.5, "decay_period must be a whole number: got 2.5"),
    ("batch_size", 1_000_001, "batch_size must lie in [1, 1e+06]: got 1000001"),
    ("batch_size", True, "batch_size must be a number, e.g. 10: got True"),
    ("flip_probability", 1.1, "flip_probability must lie in [0, 1]: got 1.1"),
    ("l2", "0.1", "l2 must be a number, e.g. 0.1: got '0.1'"),
    ("l2", None, "l2 must be a number, e.g. 0.1: got None"),
    ("l2", [0.1], "l2 must be a number, e.g. 0.1: got [0.1]"),
    ("l2", 10**400, f"l2 must lie in [0, 1e+06]: got 1{'0' * 56}..."),
    ("batch_size", -(10**400), f"batch_size must lie in [1, 1e+06]: got -1{'0' * 55}..."),
]
BAD_RANGES = [
    (
        {"name": "l2", "low": 0.5, "high": 0.5},
        (
            "l2: the low end of a range must be below its high end: got 0.5:0.5; "
            "for a single value write l2=0.5"
        ),
    ),
    (
        {"name": "batch_size", "low": 100, "high": 50},
        (
            "batch_size: the low end of a range must be below its high end: got 100:50; "
            "for a single value write batch_size=100"
        ),
    ),
    (
        {"name": "l2", "low": 0, "high": 1, "log": True},
        "l2: a logarithmic range must start above 0: got 0.0",
    ),
    (
        {"name": "learning_rate", "low": 0, "high": 1},
        "the low end of learning_rate must lie in (0, 1e+06]: got 0",
    ),
    (
        {"name": "flip_probability", "low": 0, "high": math.nan},
        "the high end of flip_probability must lie in [0, 1]: got nan",
    ),
    (
        {"name": "decay_period", "low": "2", "high": 5},
        "the low end of decay_period must be a number, e.g. 10: got '2'",
    ),
    (
        {"name": "decay_period", "low": 2, "high": 5.5},
        "the high end of decay_period must be a whole number: got 5.5",
    ),
    (
        {"name": "decay_period", "low": 2, "high": 10**400},
        f"the high end of decay_period must lie in [1, 1e+06]: got 1{'0' * 56}...",
    ),
]
BAD_CHOICES = [
    ((), "l2 must have 1 to 100 choices: got 0"),
    (tuple(range(101)), "l2 must have 1 to 100 choices: got 101"),
    ((0.1, 1, 0.1), "l2: choices must differ: got 0.1 twice"),
    ((1, 0.5, 1.0), "l2: choices must differ: got 1.0 twice"),
]


@pytest.mark.parametrize(("name", "value", "message"), BAD_VALUES)
def test_a_bad_value_is_refused_with_the_rule_and_the_value(name, value, message):
    with pytest.raises(SweepError) as refused:
        Choices(name=name, values=(value,))
    assert str(refused.value) == message


def test_an_integer_that_python_will_not_write_is_refused_all_the_same():
    with pytest.raises(SweepError) as refused:
        Choices(name="l2", values=(10**5000,))
    message = "l2 must lie in [0, 1e+06]: got an integer of thousands of digits"
    assert str(refused.value) == message


@pytest.mark.parametrize(("fields", "message"), BAD_RANGES)
def test_a_bad_range_is_refused_with_the_rule_and_the_value(fields, message):
    with pytest.raises(SweepError) as refused:
        Range(**fields)
    assert str(refused.value) == message


@pytest.mark.parametrize(("values", "message"), BAD_CHOICES)
def test_bad_choices_are_refused_with_the_rule_and_the_value(values, message):
    with pytest.raises(SweepError) as refused:
        Choices(name="l2", values=values)
    assert str(refused.value) == message


@pytest.mark.parametrize("name", RULES)
def test_the_example_of_a_rule_keeps_the_rule(name):
    rule = RULES[name]
    assert rule.check(name, float(rule.example)) == float(rule.example)


@pytest.mark.parametrize("name", RULES)
def test_the_ends_of_a_rule_belong_to_it(name):
    rule = RULES[name]
    assert rule.check(name, rule.high) == rule.high
    if rule.low_allowed:
        assert rule.check(name, rule.low) == rule.low


def test_whole_hyperparameters_become_ints_and_the_others_floats():
    assert [type(value) for value in Choices(name="batch_size", values=(1e2, 5)).values] == [
        int,
        int,
    ]
    assert [type(value) for value in Choices(name="l2", values=(1, 0.5)).values] == [float, float]


ranges = st.builds(
    lambda name, ends, log: Range(name=name, low=min(ends), high=max(ends), log=log),
    st.sampled_from(["l2", "learning_rate"]),
    st.lists(st.floats(1e-9, 1e6), min_size=2, max_size=2, unique=True),
    st.booleans(),
) | st.builds(
    lambda name, ends, log: Range(name=name, low=min(ends), high=max(ends), log=log),
    st.sampled_from(["batch_size", "decay_period"]),
    st.lists(st.integers(1, 1_000_000), min_size=2, max_size=2, unique=True),
    st.booleans(),
)
choices = st.builds(
    lambda values: Choices(name="batch_size", values=tuple(values)),
    st.lists(st.integers(1, 1_000_000), min_size=1, max_size=8, unique=True),
)


@given(ranges, st.floats(0, 1e9))
def test_clipping_to_a_range_gives_its_nearest_value(axis, value):
    clipped = axis.clip(value)
    assert axis.low <= clipped <= axis.high
    assert clipped in (value, axis.low, axis.high)
    if axis.low <= value <= axis.high:
        assert clipped == value


@given(choices, st.floats(0, 1e9))
def test_clipping_to_choices_gives_the_nearest_of_them(axis, value):
    clipped = axis.clip(value)
    assert clipped in axis.values
    assert all(abs(clipped - value) <= abs(choice - value) for choice in axis.values)


@given(ranges, st.integers(2, 6))
def test_the_points_of_a_range_rise_from_end_to_end(axis, count):
    points = axis.points(count)
    assert (points[0], points[-1]) == (axis.low, axis.high)
    assert list(points) == sorted(set(points))
    assert len(points) <= count
    assert {type(point) for point in points} == {type(axis.low)}


def test_the_middle_point_is_the_middle_of_the_ranges_own_scale():
    linear = Range(name="flip_probability", low=0, high=0.5).points(3)
    log = Range(name="l2", low=1e-4, high=1, log=True).points(3)
    whole = Range(name="decay_period", low=2, high=50, log=True).points(3)
    assert linear == (0, 0.25, 0.5)
    assert log == pytest.approx((1e-4, 1e-2, 1))
    assert whole == (2, 10, 50)


def test_points_of_a_narrow_whole_range_do_not_repeat():
    assert Range(name="batch_size", low=1, high=2).points(5) == (1, 2)


def test_the_points_of_choices_are_the_choices():
    assert Choices(name="batch_size", values=(50, 25)).points(3) == (50, 25)


@pytest.mark.parametrize(
    ("axis", "value", "distribution"),
    [
        (
            Range(name="l2", low=1e-5, high=1, log=True),
            0.5,
            optuna.distributions.FloatDistribution(1e-5, 1, log=True),
        ),
        (
            Range(name="flip_probability", low=0, high=1),
            0.5,
            optuna.distributions.FloatDistribution(0, 1),
        ),
        (
            Range(name="decay_period", low=2, high=50, log=True),
            7,
            optuna.distributions.IntDistribution(2, 50, log=True),
        ),
        (
            Choices(name="batch_size", values=(25, 50)),
            50,
            optuna.distributions.CategoricalDistribution((25, 50)),
        ),
    ],
)
def test_an_axis_tells_optuna_its_name_bounds_and_scale(axis, value, distribution):
    study = optuna.create_study()
    study.enqueue_trial({axis.name: value})
    trial = study.ask()
    assert axis.suggest(trial) == value
    assert trial.distributions == {axis.name: distribution}
    assert axis.distribution() == distribution


@given(ranges | choices, st.lists(st.floats(0, 1), min_size=2, max_size=9))
def test_the_value_at_a_share_lies_on_the_axis_and_rises_with_the_share(axis, shares):
    values = [axis.at(share) for share in sorted(shares)]
    if isinstance(axis, Choices):
        places = [axis.values.index(value) for value in values]
        assert places == sorted(places)
        assert [axis.at(share) for share in (0, 1)] == [axis.values[0], axis.values[-1]]
        return
    assert all(axis.low <= value <= axis.high for value in values)
    assert values == sorted(values)
    assert {type(value) for value in values} == {type(axis.low)}
    assert [axis.at(share) for share in (0, 1)] == pytest.approx([axis.low, axis.high])


def test_the_value_halfway_is_in_the_middle_of_the_axiss_own_scale():
    assert Range(name="flip_probability", low=0, high=0.5).at(0.5) == 0.25
    assert Range(name="l2", low=1e-4, high=1, log=True).at(0.5) == pytest.approx(1e-2)
    assert Range(name="decay_period", low=2, high=50, log=True).at(0.5) == 9
    assert Choices(name="batch_size", values=(50, 100, 200, 400)).at(0.5) == 200


def test_each_whole_number_and_each_choice_has_its_share():
    whole = Range(name="decay_period", low=3, high=7)
    chosen = Choices(name="batch_size", values=(50, 100, 200))
    for axis, values in ((whole, range(3, 8)), (chosen, chosen.values)):
        drawn = [axis.at((i + 0.5) / 3000) for i in range(3000)]
        assert {value: drawn.count(value) for value in values} == pytest.approx(
            dict.fromkeys(values, 3000 / len(values)), abs=2
        )


@pytest.mark.parametrize(
    ("axis", "text", "record"),
    [
        (
            Range(name="l2", low=1e-5, high=1, log=True),
            "1e-05:1:log",
            {"low": 1e-5, "high": 1.0, "log": True},
        ),
        (
            Range(name="batch_size", low=1, high=9),
            "1:9",
            {"low": 1, "high": 9, "log": False},
        ),
        (Choices(name="batch_size", values=(25, 50)), "25,50", [25, 50]),
        (Choices(name="l2", values=(0.1,)), "0.1", 0.1),
    ],
)
def test_an_axis_has_a_text_and_a_record(axis, text, record):
    assert str(axis) == text
    assert axis.record() == record

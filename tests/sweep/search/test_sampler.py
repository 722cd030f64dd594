"""Which setting is tried next: the length of the descent, the first wave, and what TPE is told."""

import math
import warnings
from dataclasses import replace

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState
from scipy.stats.qmc import Halton

from sweep.config import TPE_ARGUMENTS, trial_seed
from sweep.search.halving import Trial
from sweep.search.sampler import DESCENT, HIGH, LOW, Coordinates, Sampler, portfolio
from sweep.search.trials import Status
from sweep.search_space import BASELINES, NAMES, read_space

ROWS, CLASSES = 10_000, 10


@pytest.fixture
def sampler(make_config):
    """Return a function that makes the sampler of a study of 50 epochs; `space` as with --set."""

    def make(*space, rows=ROWS, eigenvalue=1.0, **changes):
        loss = changes.get("loss", "softmax")
        config = make_config(
            **{"epochs": 50, "slots": 16, "space": read_space(loss, overrides=space)} | changes
        )
        eigenvalues = eigenvalue if isinstance(eigenvalue, dict) else {"standardise": eigenvalue}
        return Sampler(config, rows=rows, classes=CLASSES, eigenvalues=eigenvalues)

    return make


def nobody():
    raise AssertionError("TPE was asked")


def first_wave(sampler):
    return [sampler.propose(index, [], nobody) for index in range(1, sampler.config.slots)]


def drawn(sampler):
    """Return what of the first wave is no setting of the portfolio, and how many those are."""
    advised = [sampler.coordinates.advised(advice) for advice in portfolio().settings]
    wave = first_wave(sampler)
    return [each for each in wave if each not in advised], sum(each in advised for each in wave)


def allowed(sampler, proposed):
    """Return what of [LOW, HIGH] the learning rate can reach, beside the rest of a setting."""
    axis = sampler.config.space.axes["learning_rate"]
    low, high = (
        sampler.coordinates.descent({**proposed, "learning_rate": rate})
        for rate in (axis.low, axis.high)
    )
    return max(low, LOW), min(high, HIGH)


def setting(**changes):
    return {**BASELINES["softmax"], **changes}


# The length of the descent


def test_the_descent_is_the_sum_of_all_steps_lengths(sampler):
    given = setting(learning_rate=0.01, batch_size=100, decay_period=20)
    steps_an_epoch, rates = 100, 20 * 0.01 + 20 * 0.005 + 10 * 0.0025
    descent = sampler().coordinates.descent(given)
    assert descent == pytest.approx(math.log10(steps_an_epoch * rates))
    assert sampler(loss="bce").coordinates.descent(given) == pytest.approx(descent - 1)
    assert sampler(rows=100_000).coordinates.descent(given) == pytest.approx(descent + 1)
    assert sampler(eigenvalue=100).coordinates.descent(given) == pytest.approx(descent + 1)
    decay_never = setting(learning_rate=0.01, batch_size=100, decay_period=50)
    assert sampler().coordinates.descent(decay_never) == pytest.approx(math.log10(50))


def test_the_first_wave_descends_as_far_as_good_settings_do(sampler):
    for loss in ("softmax", "bce"):
        for rows in (300, ROWS, 49_000):
            made = sampler(loss=loss, rows=rows)
            for proposed in first_wave(made):
                descent, (low, high) = made.coordinates.descent(proposed), allowed(made, proposed)
                inside = low - 1e-9 <= descent <= high + 1e-9
                assert inside == (low < high), (loss, rows, proposed)
                assert low < high or rows == 300


def test_the_first_wave_is_the_portfolio_and_a_halton_sequence_that_the_seed_shifts(sampler):
    made = sampler("batch_size=100", slots=40)
    (wave, advised), space = drawn(made), made.config.space
    assert space.varied() == ["l2", "learning_rate", "decay_period", "flip_probability"]
    assert first_wave(made)[advised:] == wave
    halton = Halton(4, scramble=False).random(40)[1 + advised :]
    l2 = [(math.log10(each["l2"]) + 5) / 5 for each in wave]
    descents = [
        (made.coordinates.descent(each) - low) / (high - low)
        for each in wave
        for low, high in [allowed(made, each)]
    ]
    flips = [each["flip_probability"] / 0.5 for each in wave]
    shifts = []
    for shares, column in ((l2, 0), (descents, 1), (flips, 3)):
        shift = (np.array(shares) - halton[:, column]) % 1
        gap = np.abs(shift - shift[0])
        assert np.minimum(gap, 1 - gap).max() < 1e-9, column
        shifts.append(shift[0])
    assert len(set(np.round(shifts, 6))) == 3
    assert drawn(made)[0] == wave
    assert drawn(sampler("batch_size=100", slots=40, seed=1))[0] != wave
    whole = {round(math.log10(each["l2"]) + 5) for each in wave}
    assert whole >= {1, 2, 3, 4}


def test_the_portfolio_descends_as_far_on_all_data(sampler):
    settings = portfolio().settings
    for loss, share in (("softmax", 1), ("bce", 1 / CLASSES)):
        for rows, eigenvalue, epochs in ((300, 7.0, 50), (ROWS, 900.0, 100), (ROWS, 1.0, 1)):
            space = "learning_rate=1e-9:1e6:log", "l2=1e-12:1e3:log", "decay_period=1:100"
            made = sampler(*space, rows=rows, eigenvalue=eigenvalue, loss=loss, epochs=epochs)
            for advice, proposed in zip(settings, first_wave(made), strict=False):
                descent = made.coordinates.descent(proposed)
                assert descent == pytest.approx(advice.descent)
                assert proposed["l2"] == pytest.approx(share * advice.l2)
                assert proposed["decay_period"] == max(1, round(advice.decay * epochs))
                assert proposed["batch_size"] == advice.batch_size
                assert proposed["flip_probability"] == advice.flip_probability


def test_settings_of_the_portfolio_that_the_space_makes_equal_are_tried_once(sampler):
    made = sampler("learning_rate=1e-9", "l2=1e3", "decay_period=5", "batch_size=7")
    advised = {advice.flip_probability for advice in portfolio().settings}
    flips = [each["flip_probability"] for each in first_wave(made)]
    assert set(flips[: len(advised)]) == advised
    assert len(set(flips)) == len(flips)


def test_the_descent_is_limited_by_the_space_for_batch_size_and_period_at_hand(sampler):
    made = sampler("learning_rate=1e-3:2e-3:log", "batch_size=50,100", slots=40)
    wave = first_wave(made)
    within = [each for each in wave if allowed(made, each)[0] < allowed(made, each)[1]]
    assert {each["batch_size"] for each in within} == {50, 100}
    for proposed in within:
        low, high = allowed(made, proposed)
        assert low - 1e-9 <= made.coordinates.descent(proposed) <= high + 1e-9
        assert high - low < 0.31  # log10(2)


def test_where_no_learning_rate_descends_so_far_it_is_drawn_as_the_space_says(sampler):
    made = sampler("learning_rate=1e-9:1e-7:log")
    assert made.coordinates.limits is None
    wave, advised = drawn(made)
    shares = [(math.log10(each["learning_rate"]) + 9) / 2 for each in wave]
    halton = Halton(5, scramble=False).random(16)[1 + advised :, 1]
    shift = (np.array(shares) - halton) % 1
    assert np.abs(shift - shift[0]).max() < 1e-6
    assert DESCENT not in made.coordinates.distributions
    mixed = sampler("learning_rate=3e-4:3e-3:log", "batch_size=50,100000", slots=60)
    for proposed in first_wave(mixed):
        low, high = allowed(mixed, proposed)
        assert (low < high) == (mixed.coordinates.descent(proposed) >= LOW - 1e-9)
        assert low < high or proposed["batch_size"] == 100_000 or proposed["decay_period"] < 10


def test_a_learning_rate_that_is_fixed_or_a_list_is_plain(sampler):
    for text in ("learning_rate=0.01", "learning_rate=0.01,0.02,0.05"):
        made = sampler(text)
        rates = {each["learning_rate"] for each in first_wave(made)}
        assert rates == set(made.config.space.axes["learning_rate"].values)
        assert made.coordinates.limits is None
        assert DESCENT not in made.coordinates.distributions
        assert ("learning_rate" in made.coordinates.distributions) == ("," in text)


NUMBERS = st.tuples(st.floats(-6, 1), st.floats(0.01, 4))


@given(
    loss=st.sampled_from(["softmax", "bce"]),
    rate=NUMBERS,
    sizes=st.lists(st.integers(1, 2000), min_size=1, max_size=4, unique=True),
    rows=st.integers(10, 60_000),
    eigenvalue=st.floats(0.1, 3_000),
    share=st.floats(0, 1),
    point=st.lists(st.floats(0, 0.999), min_size=5, max_size=5),
)
def test_whatever_is_proposed_lies_in_the_users_space(
    make_config, loss, rate, sizes, rows, eigenvalue, share, point
):
    exponent, width = rate
    low, high = 10**exponent, 10 ** (exponent + width)
    axes = [f"learning_rate={low!r}:{high!r}:log", f"batch_size={','.join(map(str, sizes))}"]
    config = make_config(epochs=20, space=read_space(loss, overrides=axes), loss=loss)
    coordinates = Coordinates(config, rows, CLASSES, {"standardise": eigenvalue})
    proposed = coordinates.at(point[: len(config.space.varied())])
    assert config.space.check(proposed) == proposed
    for advice in portfolio().settings:
        advised = coordinates.advised(advice)
        assert config.space.check(advised) == advised
    if coordinates.limits is not None:
        least, most = coordinates.limits
        assert LOW <= least < most <= HIGH
        asked = {**coordinates.to_point(proposed), DESCENT: least + share * (most - least)}
        answer = coordinates.from_point(asked)
        assert config.space.check(answer) == answer


def test_a_setting_within_the_limits_is_the_same_in_both_coordinates(sampler):
    coordinates = sampler().coordinates
    for proposed in first_wave(sampler()):
        again = coordinates.from_point(coordinates.to_point(proposed))
        assert again.pop("learning_rate") == pytest.approx(proposed.pop("learning_rate"))
        assert again == proposed


# TPE


def trial(index, values, *, status="running", halted=None, **params):
    return Trial(
        index, setting(**params), 0, list(values), [1.0] * len(values), Status(status), "", halted
    )


def test_tpe_is_told_of_all_that_reached_a_rung_as_it_stands(sampler):
    made = sampler()
    trials = [
        trial(0, [0.1, 0.2, 0.3], status="complete", halted=2),
        trial(1, [0.2, 0.3, 0.4], status="complete", l2=0.01),
        trial(2, [0.1, 0.15], status="pruned", l2=0.02),
        trial(3, [0.3, 0.35], l2=0.03),
        trial(4, [0.5], l2=0.04),  # not yet at the rung
        trial(5, [0.1, 0.2, 0.3], status="failed", l2=0.05),
        trial(6, [], l2=0.06),
    ]
    told = made.observed(trials, first_rung=2)
    assert told.direction.name == "MAXIMIZE"
    complete, pruned = TrialState.COMPLETE, TrialState.PRUNED
    assert [each.state for each in told.trials] == [pruned, complete, pruned, pruned]
    assert [each.value for each in told.trials] == [None, 0.4, None, None]
    assert [each.intermediate_values for each in told.trials] == [
        {2: 0.2},
        {3: 0.4},
        {2: 0.15},
        {2: 0.35},
    ]
    assert [each.params["l2"] for each in told.trials] == [0.1, 0.01, 0.02, 0.03]
    assert told.trials[1].params.keys() == {*NAMES, DESCENT} - {"learning_rate"}
    assert told.trials[1].params[DESCENT] == pytest.approx(made.coordinates.descent(setting()))
    assert sampler(objective="val-loss").observed([], 2).direction.name == "MINIMIZE"


def test_what_lies_beyond_the_limits_is_told_at_their_end(sampler):
    made = sampler()
    trials = [trial(0, [0.1] * 2, learning_rate=rate) for rate in (1e-4, 10.0)]
    descents = [each.params[DESCENT] for each in made.observed(trials, 2).trials]
    assert descents == list(made.coordinates.limits)


@pytest.mark.parametrize(("objective", "sign"), [("val-accuracy", 1), ("val-loss", -1)])
def test_of_more_than_300_trials_tpe_is_told_of_the_25_best_and_the_newest(
    sampler, objective, sign
):
    made = sampler(objective=objective)
    trials = [trial(i, [0.5, sign * (-i) / 2000]) for i in range(300)]
    assert len(made.observed(trials, 1).trials) == 300
    trials += [trial(i, [0.5, sign * (-i) / 2000]) for i in range(300, 1000)]
    trials[500].values = [sign * 0.9]  # the best of all, of those that came less far
    trials[0] = trial(0, [0.5] * 2, status="pruned", halted=1)
    told = made.observed(trials, 1).trials
    values = [next(iter(each.intermediate_values.values())) for each in told]
    assert values == [sign * (-i) / 2000 for i in (*range(1, 26), *range(725, 1000))]


@pytest.fixture
def some_trials():
    draws = np.random.default_rng(0)
    return [
        trial(
            i,
            draws.random(2),
            status="pruned",
            l2=float(10 ** draws.uniform(-5, 0)),
            learning_rate=float(10 ** draws.uniform(-3, -1)),
            batch_size=int(draws.choice([50, 100, 200, 400])),
        )
        for i in range(30)
    ]


def test_tpe_has_the_recorded_arguments_and_a_seed_for_each_trial(sampler, some_trials):
    arguments = {**TPE_ARGUMENTS, "n_ei_candidates": 5}
    made = sampler(sampler_arguments=arguments, seed=9)
    proposed = made.propose(30, some_trials, lambda: made.observed(some_trials, 2))
    study = made.observed(some_trials, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study.sampler = optuna.samplers.TPESampler(seed=trial_seed(9, 30), **arguments)
    asked = study.ask(made.coordinates.distributions)
    assert proposed == made.coordinates.from_point(asked.params)
    others = [
        sampler(sampler_arguments=arguments, seed=8).propose(
            30, some_trials, lambda: made.observed(some_trials, 2)
        ),
        made.propose(31, some_trials, lambda: made.observed(some_trials, 2)),
        sampler(seed=9).propose(30, some_trials, lambda: made.observed(some_trials, 2)),
    ]
    assert proposed not in others
    assert TPE_ARGUMENTS == {"multivariate": True, "constant_liar": False, "n_startup_trials": 8}


def test_what_tpe_proposes_does_not_depend_on_what_it_proposed_in_the_same_pass(
    sampler, some_trials
):
    made = sampler()
    together = made.observed(some_trials, 2)
    proposed = [made.propose(i, some_trials, lambda: together) for i in (30, 31, 32)]
    for index, expected in zip((30, 31, 32), proposed, strict=True):
        alone = made.observed(some_trials, 2)
        assert made.propose(index, some_trials, lambda: alone) == expected  # noqa: B023
    assert len({each["l2"] for each in proposed}) == 3


def test_tpe_searches_near_what_was_good(sampler):
    draws = np.random.default_rng(0)
    trials = []
    for i in range(60):
        l2 = float(10 ** draws.uniform(-5, 0))
        value = -abs(math.log10(l2) + 3)
        trials.append(trial(i, [value], status="complete", l2=l2))
    made = sampler()
    study = made.observed(trials, 1)
    proposed = [made.propose(i, trials, lambda: study)["l2"] for i in range(60, 80)]
    assert np.median(np.abs(np.log10(proposed) + 3)) < 0.7  # at random it is 1.25


def test_tpe_before_any_rung_draws_at_random_within_the_limits(sampler):
    made = sampler(slots=1)
    study = made.observed([], 2)
    for index in range(1, 12):
        descent = made.coordinates.descent(made.propose(index, [], lambda: study))
        assert LOW - 1e-9 <= descent <= HIGH + 1e-9


# Normalisations


WAYS = {"standardise": 100.0, "unit": 1.0, "none": 1e6}


@pytest.fixture
def choosing(sampler, make_config):
    """Return a function that makes the sampler of a study among three normalisations."""

    def make(*space, **changes):
        data = replace(make_config().data, normalise=",".join(WAYS))
        return sampler(*space, eigenvalue=WAYS, data=data, **changes)

    return make


def test_each_normalisation_descends_by_its_own_eigenvalue(choosing, sampler):
    coordinates, plain = choosing().coordinates, sampler().coordinates
    for way, eigenvalue in WAYS.items():
        expected = plain.descent(setting()) + math.log10(eigenvalue) / 2
        assert coordinates.descent(setting(normalise=way)) == pytest.approx(expected)
    assert coordinates.distributions["normalise"].choices == tuple(WAYS)
    for proposed in first_wave(choosing("learning_rate=1e-9:1e6:log")):
        assert LOW - 1e-9 <= coordinates.descent(proposed) <= HIGH + 1e-9
        again = coordinates.from_point(coordinates.to_point(proposed))
        assert again["normalise"] == proposed["normalise"]


def test_the_limits_of_the_descent_are_those_of_any_normalisation(choosing, sampler):
    low, high = 1e-4, 2e-4
    rates = f"learning_rate={low}:{high}:log", "batch_size=50", "decay_period=50"
    each = [
        sampler(*rates, eigenvalue=eigenvalue).coordinates.limits for eigenvalue in WAYS.values()
    ]
    reached = [limits for limits in each if limits is not None]
    limits = choosing(*rates).coordinates.limits
    assert limits == (min(low for low, _ in reached), max(high for _, high in reached))


def test_the_settings_of_the_portfolio_take_turns_among_the_normalisations(choosing):
    wave, count = first_wave(choosing()), len(portfolio().settings)
    turns = [each["normalise"] for each in wave[:count]]
    assert turns == [list(WAYS)[turn % 3] for turn in range(count)]
    assert {each["normalise"] for each in wave[count:]} <= set(WAYS)


def test_every_sampler_tries_every_normalisation(choosing, some_trials):
    for number, each in enumerate(some_trials):
        each.params["normalise"] = list(WAYS)[number % 3]
    for name in ("tpe", "random", "qmc", "grid"):
        made = choosing(sampler=name)
        study = made.observed(some_trials, 2)
        indices = (0, *range(30, 80))
        proposed = [made.propose(i, some_trials, lambda: study) for i in indices]  # noqa: B023
        assert proposed[0] == setting(normalise="standardise")
        assert all(made.config.space.check(each) == each for each in proposed), name
        if name != "grid":  # which gives the same point until it is tried
            assert {each["normalise"] for each in proposed} == set(WAYS), name
        else:
            assert {point["normalise"] for point in made._grid} == set(WAYS)


def test_tpe_searches_where_a_normalisation_was_good(choosing):
    draws, trials = np.random.default_rng(0), []
    for i in range(60):
        way = list(WAYS)[i % 3]
        value = draws.random() / 10 + (way == "unit")
        trials.append(trial(i, [value], status="complete", normalise=way))
    made = choosing()
    study = made.observed(trials, 1)
    proposed = [made.propose(i, trials, lambda: study)["normalise"] for i in range(60, 80)]
    assert proposed.count("unit") > 12


# The other samplers


def test_the_first_trial_of_every_sampler_is_the_baseline_within_the_space(sampler):
    for name in ("tpe", "random", "qmc", "grid"):
        for loss in ("softmax", "bce"):
            made = sampler(sampler=name, loss=loss)
            assert made.propose(0, [], nobody) == BASELINES[loss]
        narrow = sampler("learning_rate=0.05:0.1", "batch_size=200,400", sampler=name)
        assert narrow.propose(0, [], nobody) == setting(learning_rate=0.05, batch_size=200)


def test_random_and_qmc_draw_in_the_coordinates_of_the_space(sampler):
    for name in ("random", "qmc"):
        made = sampler(sampler=name)
        proposed = [made.propose(index, [], nobody) for index in range(1, 257)]
        shares = np.sort([(math.log10(each["learning_rate"]) + 4) / 5 for each in proposed])
        spread = np.abs(shares - (np.arange(256) + 0.5) / 256).max()
        assert spread < (0.11 if name == "random" else 0.01), name
        sizes = [each["batch_size"] for each in proposed]
        assert {sizes.count(size) for size in (50, 100, 200, 400)} >= (
            {64} if name == "qmc" else set()
        )
        for each in proposed:
            assert made.config.space.check(each) == each
        assert proposed == [sampler(sampler=name).propose(i, [], nobody) for i in range(1, 257)]
        assert proposed[5] != sampler(sampler=name, seed=1).propose(6, [], nobody)


def test_a_grid_has_each_point_once_in_an_order_of_the_seed_and_then_ends(sampler):
    axes = ("l2=0.1,0.2", "learning_rate=0.01:0.1:log", "decay_period=10", "batch_size=50")
    for seed in (0, 1):
        made = sampler(*axes, "flip_probability=0", sampler="grid", seed=seed)
        trials = []
        while (proposed := made.propose(len(trials), trials, nobody)) is not None:
            trials.append(Trial(len(trials), proposed, 0))
        points = [(each.params["l2"], each.params["learning_rate"]) for each in trials]
        assert points[0] == (0.1, 0.01)  # the baseline is a point of it
        expected = {(l2, rate) for l2 in (0.1, 0.2) for rate in (0.01, 10**-1.5, 0.1)}
        assert len(points) == 6
        assert {(l2, round(rate, 6)) for l2, rate in points} == {
            (l2, round(rate, 6)) for l2, rate in expected
        }
        if seed == 0:
            first = points
    assert points != first


def test_a_space_with_a_single_setting_has_that_for_every_trial(sampler):
    axes = [f"{name}={value}" for name, value in BASELINES["softmax"].items()]
    for name in ("tpe", "random", "qmc"):
        made = sampler(*axes, sampler=name)
        assert [made.propose(i, [], nobody) for i in (0, 1, 30)] == [BASELINES["softmax"]] * 3
    grid = sampler(*axes, sampler="grid")
    assert grid.propose(0, [], nobody) == BASELINES["softmax"]
    assert grid.propose(1, [Trial(0, BASELINES["softmax"], 0)], nobody) is None

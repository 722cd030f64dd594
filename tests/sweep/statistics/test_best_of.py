from itertools import combinations, pairwise
from math import inf, nan
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.statistics.best_of import best_of, expected_best

accuracies = st.lists(st.integers(0, 1000).map(lambda n: n / 1000), min_size=1, max_size=8)


@given(accuracies, st.integers(0, 3))
def test_the_mean_best_is_that_of_all_choices_of_k_trials(values, without):
    trials = [*values, *[None] * without]
    for k, mean in enumerate(best_of(values, without=without).expected, start=1):
        bests = [max(known) for each in combinations(trials, k) if (known := present(each))]
        assert mean == pytest.approx(fmean(bests))


def present(trials):
    return [value for value in trials if value is not None]


def test_the_mean_best_of_one_is_the_mean_and_of_all_the_best():
    means = expected_best(np.array([0.1, 0.2, 0.6]))
    assert means == pytest.approx([0.3, (0.2 + 0.6 + 0.6) / 3, 0.6])


def test_the_mean_best_is_unbiased(rng):
    # E[max of k uniform numbers] = k / (k + 1)
    found = np.mean([expected_best(np.sort(rng.random(10))) for _ in range(2_000)], axis=0)
    k = np.arange(1, 11)
    np.testing.assert_allclose(found, k / (k + 1), atol=0.01)


@given(accuracies, st.integers(0, 3))
def test_more_trials_are_never_worse(values, without):
    curve = best_of(values, without=without)
    for line in (curve.expected, present(curve.median), present(curve.worst), present(curve.best)):
        assert all(b >= a - 1e-12 for a, b in pairwise(line))


@given(accuracies, st.integers(0, 3))
def test_the_median_lies_within_its_band(values, without):
    curve = best_of(values, without=without)
    for low, middle, high in zip(curve.worst, curve.median, curve.best, strict=True):
        below, at = (-inf if value is None else value for value in (low, middle))
        assert below <= at <= (inf if high is None else high)


@given(accuracies, st.integers(0, 3))
def test_losses_are_accuracies_upside_down(values, without):
    up = best_of(values, without=without)
    down = best_of([-value for value in values], without=without, direction="minimize")
    assert down.expected == pytest.approx([-value for value in up.expected])
    for name in ("median", "worst", "best"):
        mirrored = [None if value is None else -value for value in getattr(up, name)]
        assert getattr(down, name) == mirrored


def test_the_median_best_is_the_quantile_of_a_single_trial():
    values = [i / 100 for i in range(1, 101)]
    curve = best_of(values)
    # 0.5^(1/k) of 100 trials: 50, 70.7, 79.4, ... and 99.3 for k = 100
    assert curve.median[:3] == [0.5, 0.71, 0.8]
    assert curve.median[-1] == 1.0


@pytest.mark.parametrize("without", [0, 3])
def test_the_band_holds_for_all_k_at_once_as_often_as_it_says(without, rng):
    """Trials are uniform on [0, 1]; one in four has no value where `without` is not 0."""
    count, tries, level = 12, 2_000, 0.8
    quantiles = 0.5 ** (1 / np.arange(1, count + 1))
    lost = 0.25 if without else 0.0
    # the median best is no value while the quantile falls among the lost
    truth = np.where(quantiles > lost, (quantiles - lost) / (1 - lost), -inf)
    kept = 0
    for _ in range(tries):
        values = rng.random(int((rng.random(count) >= lost).sum()))
        curve = best_of(values.tolist(), without=count - len(values), level=level)
        low = np.array([-inf if value is None else value for value in curve.worst])
        high = np.array([inf if value is None else value for value in curve.best])
        kept += len(values) == 0 or bool(((low <= truth) & (truth <= high)).all())
    # no less than the level; more, because k takes only twelve of all quantiles
    assert level - 3 * (level * (1 - level) / tries) ** 0.5 <= kept / tries


def test_a_band_for_all_k_is_no_wider_than_it_must_be(rng):
    """At a level of 0.5 it must fail now and then, or it would say nothing."""
    count, kept = 60, 0
    quantiles = 0.5 ** (1 / np.arange(1, count + 1))
    for _ in range(400):
        curve = best_of(rng.random(count).tolist(), level=0.5)
        low = np.array([-inf if value is None else value for value in curve.worst])
        high = np.array([inf if value is None else value for value in curve.best])
        kept += bool(((low <= quantiles) & (quantiles <= high)).all())
    assert 0.5 <= kept / 400 < 0.9


def test_a_trial_without_a_value_costs_a_draw_and_never_wins():
    curve = best_of([0.4, 0.5], without=2)
    assert (curve.trials, curve.results) == (4, 2)
    assert curve.median == [None, 0.4, 0.5, 0.5]
    assert curve.expected[0] == pytest.approx(0.45)
    assert curve.expected[3] == 0.5


def test_few_trials_set_no_bound_to_what_many_may_come_to():
    curve = best_of([0.1, 0.2, 0.3, 0.4, 0.5])
    assert curve.best[-1] is None
    assert curve.worst[0] is None  # nor to how bad a single one may be


def test_where_most_trials_have_no_value_a_single_one_is_no_better_than_the_worst_value():
    curve = best_of([0.4, 0.5, 0.6], without=97)
    assert (curve.worst[0], curve.median[0], curve.best[0]) == (None, None, 0.4)


@pytest.mark.parametrize("without", [0, 4])
def test_without_any_value_there_is_no_curve(without):
    curve = best_of([], without=without)
    assert (curve.trials, curve.results) == (0, 0)
    assert curve.expected == curve.median == curve.worst == curve.best == []


@pytest.mark.parametrize("value", [nan, inf])
def test_a_value_that_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match="values must be finite"):
        best_of([0.5, value])


def test_a_thousand_trials_are_no_trouble():
    curve = best_of([i / 1000 for i in range(1000)])
    assert curve.expected[-1] == pytest.approx(0.999)
    assert curve.worst[-1] is not None

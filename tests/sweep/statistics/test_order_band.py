import numpy as np
import pytest
from scipy.stats import beta, kstwo

from sweep.statistics.best_of import coverage, order_band


def holds(lower, upper, draws):
    return ((draws >= lower) & (draws <= upper)).all(axis=1)


def test_one_number_lies_in_an_interval_with_its_length():
    assert coverage(np.array([0.2]), np.array([0.7])) == pytest.approx(0.5)


def test_two_numbers_are_covered_as_integration_says():
    # area of a1 <= u <= b1, a2 <= v <= b2, u <= v, twice: both orders count
    lower, upper = np.array([0.1, 0.4]), np.array([0.6, 0.9])
    area = 0.5 * 0.5 - 0.2**2 / 2  # the rectangle less its corner where u > v
    assert coverage(lower, upper) == pytest.approx(2 * area)


@pytest.mark.parametrize("count", [1, 5, 50, 200])
def test_the_band_of_kolmogorov_and_smirnov_is_covered_as_scipys_exact_law_says(count):
    ranks = np.arange(1, count + 1)
    for level in (0.5, 0.95):
        distance = kstwo.ppf(level, count)
        lower = np.maximum(0, ranks / count - distance)
        upper = np.minimum(1, (ranks - 1) / count + distance)
        assert coverage(lower, upper) == pytest.approx(level, abs=1e-6)


def test_bounds_that_cannot_hold_together_are_never_kept():
    assert coverage(np.array([0.5, 0.6]), np.array([0.4, 0.7])) == 0


def test_everything_lies_between_nought_and_one():
    assert coverage(np.zeros(7), np.ones(7)) == pytest.approx(1)


@pytest.mark.parametrize("count", [1, 2, 3, 20, 50])
@pytest.mark.parametrize("level", [0.5, 0.95])
def test_all_bounds_hold_at_once_with_just_the_level(count, level, rng):
    lower, upper = order_band(count, level)
    assert coverage(lower, upper) == pytest.approx(level, abs=1e-6)
    draws = np.sort(rng.random((20_000, count)), axis=1)
    # three standard errors of 20,000 draws
    assert holds(lower, upper, draws).mean() == pytest.approx(level, abs=3 * 0.5 / 20_000**0.5)


def test_a_planted_wrong_tail_does_not_have_the_level():
    ranks = np.arange(1, 21)
    lower, upper = (beta.ppf(tail, ranks, 21 - ranks) for tail in (0.025, 0.975))
    assert coverage(lower, upper) < 0.7  # each interval for itself holds with 0.95


def test_one_draw_gets_the_middle_of_the_unit_interval():
    lower, upper = order_band(1, 0.95)
    assert (lower[0], upper[0]) == pytest.approx((0.025, 0.975), abs=1e-8)


def test_the_band_is_symmetric_and_rises():
    lower, upper = order_band(30, 0.95)
    np.testing.assert_allclose(lower, 1 - upper[::-1], atol=1e-12)
    assert (np.diff(lower) > 0).all()
    assert (lower < upper).all()


def test_at_the_best_trials_it_is_narrower_than_that_of_kolmogorov_and_smirnov():
    lower, upper = order_band(50, 0.95)
    distance = kstwo.ppf(0.95, 50)
    assert lower[-1] > 1 - distance
    assert upper[0] < distance


@pytest.mark.parametrize(("count", "level"), [(0, 0.95), (5, 0), (5, 1)])
def test_no_draw_and_no_level_have_no_band(count, level):
    with pytest.raises(ValueError, match="a band needs"):
        order_band(count, level)

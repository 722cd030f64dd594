import json
import math

import pytest
from scipy import stats

from sweep.analysis.confirmation import Confirmation, Confirmed

FIRST = Confirmed(trial=7, search=0.95, values=[0.90, 0.92, 0.91, 0.93, 0.94])
SECOND = Confirmed(trial=3, search=0.96, values=[0.89, 0.91, 0.92, 0.90, 0.93])
BROKEN = Confirmed(trial=5, search=0.97, values=[0.91, math.nan, 0.92, 0.9, 0.9])
BASELINE = Confirmed(trial=-1, search=math.nan, values=[0.80, 0.82, 0.81, 0.79, 0.83])


def confirmation(**changes):
    """Return a confirmation of three trials on five seeds."""
    values = {
        "metric": "val/accuracy",
        "direction": "maximize",
        "epochs": 4,
        "seeds": [1, 2, 3, 4, 5],
        "finished": 20,
        "trials": [FIRST, SECOND, BROKEN],
        "baseline": BASELINE,
    }
    return Confirmation(**values | changes)


def test_a_setting_has_the_mean_of_its_seeds_and_its_standard_error():
    assert FIRST.mean == pytest.approx(0.92)
    assert FIRST.standard_error == pytest.approx(stats.sem(FIRST.values))
    assert FIRST.diverged == 0


def test_a_setting_that_diverged_on_a_seed_has_no_mean():
    assert BROKEN.diverged == 1
    assert math.isnan(BROKEN.mean)
    assert math.isnan(BROKEN.standard_error)


def test_a_single_seed_has_no_spread():
    assert math.isnan(Confirmed(trial=0, search=1.0, values=[0.5]).standard_error)


@pytest.mark.parametrize(("direction", "expected"), [("maximize", 0.03), ("minimize", -0.03)])
def test_a_search_is_optimistic_by_what_it_showed_too_well(direction, expected):
    assert confirmation(direction=direction).optimism(FIRST) == pytest.approx(expected)


def test_the_difference_to_the_winner_is_paired_by_seed():
    gaps = [a - b for a, b in zip(FIRST.values, SECOND.values, strict=True)]
    expected = stats.t.interval(0.95, 4, sum(gaps) / 5, stats.sem(gaps))
    mean, low, high = confirmation().behind(SECOND)
    assert mean == pytest.approx(0.01)
    assert (low, high) == pytest.approx(expected)


def test_nothing_is_known_of_the_difference_to_what_diverged():
    assert all(math.isnan(number) for number in confirmation().behind(BROKEN))


def test_where_less_is_better_a_larger_loss_is_behind():
    worse = Confirmed(trial=1, search=1.0, values=[value + 0.1 for value in FIRST.values])
    behind = confirmation(direction="minimize").behind(worse)
    assert behind == pytest.approx((0.1, 0.1, 0.1))


def test_two_trainings_of_one_setting_exceed_the_noise_floor_once_in_twenty_times():
    deviation = stats.tstd(BASELINE.values)
    floor = confirmation().noise_floor
    # Two trainings differ with a standard deviation of sqrt(2) s, and s has 4 degrees of freedom.
    assert 2 * stats.t.sf(floor / (2**0.5 * deviation), 4) == pytest.approx(0.05)


def test_too_few_seeds_say_nothing_of_the_noise():
    few = Confirmed(trial=-1, search=math.nan, values=BASELINE.values[:4])
    assert math.isnan(confirmation(baseline=few).noise_floor)


def test_a_record_is_plain_json_and_is_read_back_as_it_was():
    record = json.loads(json.dumps(confirmation().record(), allow_nan=False))
    again = Confirmation.from_record(record)
    assert again.record() == confirmation().record()
    assert again.winner == FIRST
    assert math.isnan(again.trials[2].values[1])

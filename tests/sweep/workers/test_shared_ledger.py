"""A shared study in memory: proposals and verdicts that take all workers' trials in."""

from dataclasses import replace

import pytest
from optuna.trial import TrialState, create_trial

from sweep.space import BASELINES
from sweep.study import attributes
from sweep.study.ending import Ending
from sweep.workers.shared_ledger import SharedLedger

pytestmark = pytest.mark.slow


@pytest.fixture
def shared(make_settings):
    """Return a function that makes the settings of a shared study."""
    return lambda **changes: make_settings(shared=True, **changes)


def stored(number, *, params=None, distributions=None, curve=None, how=None, reported=()):
    """Return a trial as the store has it: running, or ended with a curve."""
    known = {}
    if how is not None:
        known = {attributes.ENDING: str(how), attributes.REASON: ""}
        known[attributes.CURVES] = {"val/accuracy": curve or []}
    trial = create_trial(
        state=TrialState.RUNNING if how is None else how.state,
        value=curve[-1] if how == Ending.COMPLETE else None,
        params=params or {},
        distributions=distributions or {},
        user_attrs=known,
        intermediate_values=dict(enumerate(reported, start=1)),
    )
    trial.number = number
    return trial


def ended(ledger, number, curve, how=Ending.COMPLETE):
    """Return a trial that another worker has ended, with a setting of some seed."""
    other = SharedLedger(ledger.settings)
    other.take_in([stored(k) for k in range(number + 1)], own=())
    proposed = other.propose(stored(number))
    return stored(
        number,
        params=proposed.params,
        distributions=proposed.distributions,
        curve=curve,
        how=how,
    )


def test_the_first_trial_has_the_setting_of_the_report_whoever_claims_it(shared):
    settings = shared()
    ledger = SharedLedger(settings)
    ledger.take_in([stored(0)], own=())
    assert ledger.propose(stored(0)).params == settings.space.clip(BASELINES["softmax"])


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc"])
@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_two_workers_who_know_the_same_propose_the_same(shared, sampler, pruner):
    proposals = []
    for _ in range(2):
        ledger = SharedLedger(shared(sampler=sampler, pruner=pruner))
        known = [ended(ledger, number, [0.1 * number] * 6) for number in range(3)]
        ledger.take_in([*known, stored(3), stored(4)], own=())
        proposals.append([ledger.propose(stored(number)).params for number in (4, 3)])
    assert proposals[0] == proposals[1]
    assert proposals[0][0] != proposals[0][1]
    assert set(proposals[0][0]) == set(shared().space.axes)


def test_the_points_of_a_grid_go_by_number_whoever_asks_in_which_order(shared):
    tiny = shared(sampler="grid")
    first, second = SharedLedger(tiny), SharedLedger(tiny)
    for ledger in (first, second):
        ledger.take_in([stored(number) for number in range(5)], own=())
    numbers = range(5)
    there = [first.propose(stored(number)).params for number in numbers]
    back = [second.propose(stored(number)).params for number in reversed(numbers)]
    assert there == back[::-1]
    assert there[0] == tiny.space.clip(BASELINES["softmax"])
    assert all(there.count(point) == 1 for point in there)
    points = first._grid
    assert first.positions == len(points)
    assert all(point in points for point in tiny.space.grid(3))
    assert SharedLedger(shared()).positions is None


def test_a_retaken_trial_keeps_the_setting_of_its_earlier_attempt(shared):
    ledger = SharedLedger(shared(sampler="random"))
    ledger.take_in([stored(0), stored(1)], own=())
    first = ledger.propose(stored(1))
    again = SharedLedger(shared(sampler="random", seed=99))
    left = stored(1, params=first.params, distributions=first.distributions)
    again.take_in([stored(0), left], own=())
    assert again.propose(left).params == first.params


def test_the_median_rule_counts_the_trials_of_all_workers(shared):
    ledger = SharedLedger(shared())
    others = [ended(ledger, number, [0.8] * 6) for number in range(5)]
    assert ledger.take_in([*others, stored(5), stored(6)], own=()) == others
    assert ledger.take_in(others, own=()) == []
    ledger.propose(stored(5))
    ledger.propose(stored(6))
    assert "worse than the median 0.8000 of 5" in ledger.why_prune(5, 1, 0.3)
    assert ledger.why_prune(6, 1, 0.9) is None


@pytest.mark.parametrize("pruner", ["median", "hyperband", "none"])
def test_values_that_come_twice_are_judged_once(shared, pruner):
    ledger = SharedLedger(replace(shared(), pruner=pruner))
    for reported in ([], [0.5], [0.5, 0.6], [0.5, 0.6]):
        ledger.take_in([stored(0, reported=reported)], own=())
    assert ledger.why_prune(0, 2, 0.6) is None
    ledger.take_in([stored(0, curve=[0.5, 0.6, 0.7], how=Ending.COMPLETE)], own=())
    (trial,) = ledger.study.get_trials()
    assert trial.state == TrialState.COMPLETE
    assert trial.value == 0.7


def test_a_failed_trial_teaches_the_sampler_nothing(shared):
    ledger = SharedLedger(shared())
    ledger.take_in([stored(0, how=Ending.ERROR)], own=())
    (trial,) = ledger.study.get_trials()
    assert (trial.state, trial.value) == (TrialState.FAIL, None)
    assert ledger.running == {}


def test_own_trials_are_not_taken_in_from_the_store(shared):
    ledger = SharedLedger(shared())
    ledger.take_in([stored(0)], own=())
    ledger.propose(stored(0))
    assert ledger.take_in([stored(0, curve=[0.1], how=Ending.PRUNED)], own={0}) == []
    ledger.end(0, Ending.COMPLETE, [0.5] * 6)
    assert ledger.study.best_value == 0.5

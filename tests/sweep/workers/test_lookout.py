"""What a look at a shared study reads: all that is new, and nothing twice."""

from __future__ import annotations

import pytest

from sweep.study.ending import Ending
from sweep.workers.leases import Leases
from sweep.workers.lookout import Lookout
from sweep.workers.shared_ledger import SharedLedger

pytestmark = pytest.mark.slow


@pytest.fixture
def reads(monkeypatch):
    """Return the numbers of trials read in full, a list for each time."""
    read, found = Lookout._read, []

    def noted(self, lines):
        found.append([line.number for line in lines])
        return read(self, lines)

    monkeypatch.setattr(Lookout, "_read", noted)
    return found


def begin(leases, ledger, lookout, number=1):
    claimed = leases.claim(number).leases
    news = lookout.look([lease.number for lease in claimed])
    ledger.take_in(news, ())
    known = {trial.number: trial for trial in news}
    for lease in claimed:
        leases.begin(lease, ledger.propose(known[lease.number]), {})
    return claimed


def test_each_trial_is_read_as_it_is_new_as_it_is_set_and_as_it_ends(begun, reads):
    study = begun(sampler="tpe").study
    leases, lookout = Leases(study, "one"), Lookout(study)
    first, second = begin(leases, SharedLedger(study.settings), lookout, 2)
    assert [trial.number for trial in lookout.look()] == [0, 1]
    assert lookout.look() == []
    leases.finish(first, Ending.COMPLETE, [0.5], {"sweep:ending": "complete"})
    assert [trial.number for trial in lookout.look()] == [0]
    leases.finish(second, Ending.DIVERGED, [], {"sweep:ending": "diverged"})
    assert [trial.number for trial in lookout.look()] == [1]
    assert lookout.look() == []
    assert reads == [[0, 1], [0, 1], [], [0], [1], []]
    assert (lookout.finished, lookout.failed) == (1, {1})


def test_a_late_comer_reads_what_there_is_once(begun):
    study = begun(sampler="tpe").study
    leases = Leases(study, "one")
    first, _ = begin(leases, SharedLedger(study.settings), Lookout(study), 2)
    leases.finish(first, Ending.PRUNED, [0.5], {"sweep:ending": "pruned"})
    late = Lookout(study)
    assert [trial.state.name for trial in late.look()] == ["PRUNED", "RUNNING"]
    assert late.look() == []


def test_random_settings_without_pruning_need_nothing_of_the_others(begun, reads):
    study = begun(sampler="random", pruner="none").study
    leases, lookout = Leases(study, "one"), Lookout(study)
    begin(leases, SharedLedger(study.settings), Lookout(study), 3)
    reads.clear()
    assert [(trial.number, trial.params) for trial in lookout.look()] == [(0, {}), (1, {}), (2, {})]
    (own,) = leases.claim(1).leases
    assert [trial.number for trial in lookout.look([own.number])] == [3]
    assert reads == [[], [3]]


def test_a_worker_that_reads_nothing_still_counts_what_failed(begun):
    study = begun(sampler="random", pruner="none").study
    leases, lookout = Leases(study, "one"), Lookout(study)
    for lease in begin(leases, SharedLedger(study.settings), Lookout(study), 3):
        leases.finish(lease, Ending.DIVERGED, [], {"sweep:ending": "diverged"})
    lookout.look()
    assert (lookout.finished, lookout.failed) == (0, {0, 1, 2})

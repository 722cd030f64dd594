"""Workers from their joining to their leaving, one after the other on one machine."""

import signal
from pathlib import Path

import pytest

from sweep.errors import SweepError
from sweep.study import attributes
from sweep.study.interrupts import InterruptedStudyError
from sweep.study.reproduce import reproduce
from sweep.study.results import tally
from sweep.workers.heartbeat import Heartbeat
from sweep.workers.leased_trials import LeasedLife
from sweep.workers.leases import Leases

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("at_once")]


def reproduced(one):
    return [
        reproduce(one.study, trial, one.data, one.tracker(), tolerance=0.0).matches
        for trial in one.study.trials()
    ]


def attempts(one):
    return [trial.user_attrs[attributes.LEASE]["attempt"] for trial in one.study.trials()]


def parent_status(one):
    (run,) = one.tracker().runs(role="study")
    return run.info.status


def letters():
    return [path for path in Path("mlruns/outbox").rglob("*") if path.is_file()]


def test_one_worker_finishes_a_study_and_the_next_finds_it_done(begun, listener, in_both_stores):
    one = begun(trials=5)
    told = listener()
    worker = one.worker(told)
    assert worker.run() == "5 trials finished"
    assert sorted(told.ended) == sorted(told.began) == [0, 1, 2, 3, 4]
    assert worker.operations > 0
    assert one.heartbeats() == {}
    assert letters() == []
    in_both_stores(one.study, one.tracker())
    assert reproduced(one) == ["bit for bit"] * 5

    late = listener()
    assert one.worker(late).run() == "5 trials finished"
    assert late.began == []
    assert parent_status(one) == "FINISHED"


def test_a_worker_that_is_stopped_gives_back_its_trials_and_the_next_finishes_them(
    begun, listener, in_both_stores
):
    one = begun(trials=4)
    told = listener()
    first = one.worker(told)

    def stop(number, epoch):
        if (number, epoch) == (2, 2):
            first.interrupts.stop(signal.SIGTERM)

    told.at_epoch = stop
    with pytest.raises(InterruptedStudyError) as stopped:
        first.run()
    assert stopped.value.exit_code == 143
    assert str(stopped.value) == (
        "a worker of study 'shared' stopped by SIGTERM: 2 trials went back to the study; another "
        "worker, or the same command, trains them"
    )
    assert one.states() == ["COMPLETE", "COMPLETE", "RUNNING", "RUNNING"]
    assert one.leases("other").alive() == set()
    statuses = {run.info.status for run in one.tracker().runs(role="trial")}
    assert statuses == {"FINISHED", "KILLED"}
    assert parent_status(one) == "KILLED"

    settings = [trial.params for trial in one.study.trials()]
    assert one.worker(told).run() == "4 trials finished"
    assert attempts(one) == [1, 1, 2, 2]
    assert [trial.params for trial in one.study.trials()] == settings
    assert {trial.user_attrs[attributes.LEASE]["deaths"] for trial in one.study.trials()} == {0}
    in_both_stores(one.study, one.tracker())
    assert reproduced(one) == ["bit for bit"] * 4


@pytest.mark.parametrize("noticed", ["when it ends", "by the heartbeat"])
def test_a_late_worker_drops_what_it_has_and_goes_on(
    begun, listener, in_both_stores, monkeypatch, noticed
):
    one = begun(trials=3)
    told = listener()
    thief = one.leases("thief")
    if noticed == "by the heartbeat":
        lost = Heartbeat.lost

        def lost_by_now(self):
            self._beat()
            return lost(self)

        monkeypatch.setattr(Heartbeat, "lost", lost_by_now)

    def steal(number, epoch):
        if (number, epoch) == (1, 1) and not told.left:
            one.silence(61, 1)
            (taken,) = thief.claim(1).leases
            assert taken.number == 1

    def left(number):
        told.left.append(number)
        one.silence(61, number)  # the thief dies

    told.at_epoch, told.trial_left = steal, left
    assert one.worker(told).run() == "3 trials finished"
    assert told.left == [1]
    assert told.warnings == [
        "lease lost on trial 1: another worker has taken it over; what it got here is dropped"
    ]
    assert attempts(one) == [1, 3, 1]
    in_both_stores(one.study, one.tracker())
    assert reproduced(one) == ["bit for bit"] * 3


def test_a_lease_that_is_lost_before_its_trial_begins_costs_nothing_else(
    begun, listener, in_both_stores, monkeypatch
):
    one = begun(trials=2)
    thief = one.leases("thief")
    begin = Leases.begin

    def too_late(self, lease, *given):
        if (lease.number, lease.attempt) == (0, 1):
            one.silence(61, 0)
            thief.claim(1)
            one.silence(61, 0)
        begin(self, lease, *given)

    monkeypatch.setattr(Leases, "begin", too_late)
    told = listener()
    assert one.worker(told, slots=1).run() == "2 trials finished"
    assert [line[:22] for line in told.warnings] == ["lease lost on trial 0:"]
    assert attempts(one)[0] == 3
    in_both_stores(one.study, one.tracker())


def test_a_broken_trial_is_replaced_by_another(begun, monkeypatch, in_both_stores):
    record = LeasedLife.record

    def breaks(self, result):
        if self.number == 1:
            raise ZeroDivisionError("odd")
        return record(self, result)

    monkeypatch.setattr(LeasedLife, "record", breaks)
    one = begun(trials=3)
    assert one.worker().run() == "3 trials finished"
    assert one.states() == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert one.study.trials()[1].user_attrs[attributes.REASON] == "ZeroDivisionError: odd"
    in_both_stores(one.study, one.tracker())


def test_a_study_in_which_every_trial_fails_ends_and_gives_back_the_rest(begun, monkeypatch):
    def breaks(*_):
        raise ZeroDivisionError("odd")

    monkeypatch.setattr(LeasedLife, "record", breaks)
    one = begun(trials=50)
    with pytest.raises(SweepError, match="10 trials in a row failed, the last because: ZeroDiv"):
        one.worker(slots=3).run()
    counts = tally(one.study.trials())
    assert (counts.finished, counts.failed) == (0, 10)
    assert one.leases("other").alive() == set()


def test_time_that_is_up_lets_the_trials_end_that_train(
    begun, listener, monkeypatch, in_both_stores
):
    from types import SimpleNamespace

    import sweep.workers.shift as module

    now = [0.0]
    monkeypatch.setattr(
        module, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=lambda _: None)
    )
    one = begun(trials=50)
    told = listener()
    told.at_epoch = lambda *_: now.__setitem__(0, 100.0)
    assert one.worker(told).run(seconds=60) == "the time of 60 s is up"
    assert told.ended == [0, 1]
    assert one.states() == ["COMPLETE"] * 2
    in_both_stores(one.study, one.tracker())
    assert parent_status(one) == "KILLED"


def test_no_two_workers_train_in_one_seat(begun, listener):
    one, seeds = begun(trials=2), []
    for _ in range(2):
        told = listener()
        worker = one.worker(told)
        told.at_epoch = lambda *_, worker=worker: worker.interrupts.stop(signal.SIGINT)
        with pytest.raises(InterruptedStudyError):
            worker.run()
        seeds += {trial.user_attrs[attributes.SEAT]["seed"] for trial in one.study.trials()}
    assert len(set(seeds)) == len(seeds) == 2

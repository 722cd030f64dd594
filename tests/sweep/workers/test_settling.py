"""What one worker does for all: both stores agree, and nobody's run is touched too soon."""

import signal

import pytest

from sweep.study import attributes
from sweep.study.interrupts import InterruptedStudyError, Interrupts
from sweep.study.reconcile import reconcile
from sweep.study.storage import locked
from sweep.study.training_run import WHOLE
from sweep.study.trial_life import create_trial_run
from sweep.workers.settling import Settling

pytestmark = pytest.mark.slow


@pytest.fixture
def told():
    from sweep.study.listener import Listener

    return Listener()


@pytest.fixture
def settling(told):
    """Return a function that makes one worker's part in settling a study."""

    def make(one, worker="me", interrupts=None):
        return Settling(
            one.leases(worker), one.tracker(), one.data, told, interrupts or Interrupts()
        )

    return make


def trial_runs(one):
    return {run.info.run_id: run for run in one.tracker().runs(role="trial")}


def parent_status(one):
    (run,) = one.tracker().runs(role="study")
    return run.info.status


def test_the_run_of_an_ended_trial_is_left_alone_while_its_worker_tells_mlflow(begun, settling):
    one = begun(trials=2)
    parent = settling(one, "early").begin()
    (lease,) = one.leases("early").claim(1).leases
    run = create_trial_run(one.study, 0, 1, parent)
    one.complete("early", lease)
    settling(one, "late").begin()
    (left,) = trial_runs(one).values()
    assert (left.info.run_id, left.info.status) == (run.id, "RUNNING")
    assert f"sweep.{WHOLE}" not in left.data.tags

    one.silence(61)
    settling(one, "late").begin()
    (made,) = trial_runs(one).values()
    assert (made.info.run_id != run.id, made.info.status) == (True, "FINISHED")
    assert made.data.tags[f"sweep.{WHOLE}"] == "True"


def test_a_run_that_was_made_anew_gives_way_when_the_first_one_arrives(begun, settling):
    one = begun(trials=2)
    (lease,) = one.leases("dead").claim(1).leases
    one.complete("dead", lease)
    one.silence(61)
    parent = settling(one).begin()
    assert len(trial_runs(one)) == 1
    arrived = create_trial_run(one.study, 0, 1, parent)  # a letter that lay on a dead machine
    arrived.tags({WHOLE: True})
    arrived.end("FINISHED")
    settling(one).begin()
    assert list(trial_runs(one)) == [arrived.id]  # it has images and weights, which no record has


def test_whoever_leaves_an_open_study_that_others_train_leaves_its_run_running(begun, settling):
    one = begun(trials=2)
    mine = settling(one)
    parent = mine.begin()
    one.leases("other").claim(1)
    mine.end(parent, over=False)
    assert parent_status(one) == "RUNNING"
    one.silence(61)
    mine.end(parent, over=False)
    assert parent_status(one) == "KILLED"


def test_who_joins_a_finished_study_leaves_its_run_finished(begun, settling):
    one = begun(trials=1)
    (lease,) = one.leases("a").claim(1).leases
    one.complete("a", lease)
    one.leases("a").forget([lease])
    for _ in range(2):
        mine = settling(one)
        mine.end(mine.begin(), over=True)
        assert parent_status(one) == "FINISHED"
        assert one.study.optuna.user_attrs[attributes.SETTLED] == 1


def test_a_study_is_concluded_once_and_again_when_it_has_grown(begun, settling, monkeypatch):
    concluded = []
    monkeypatch.setattr("sweep.workers.settling.conclude", lambda *_: concluded.append(1))
    one = begun(trials=1)
    for trials in (1, 1, 2):
        one.study.optuna.set_user_attr(attributes.BUDGET, trials)
        for lease in one.leases("a").claim(1).leases:
            one.complete("a", lease)
            one.leases("a").forget([lease])
        mine = settling(one)
        mine.end(mine.begin(), over=True)
    assert len(concluded) == 2


def test_the_run_of_a_lost_trial_goes_even_where_others_have_settled_the_study(begun, settling):
    one = begun(trials=1)
    late = settling(one, "late")
    parent = late.begin()
    one.leases("late").claim(1)
    one.silence(61)
    (taken,) = one.leases("heir").claim(1).leases
    create_trial_run(one.study, 0, 2, parent).end("FINISHED")
    one.complete("heir", taken)
    one.leases("heir").forget([taken])
    settling(one, "heir").end(parent, over=True)

    create_trial_run(one.study, 0, 1, parent).end("KILLED")  # arrives late
    late.has_surplus = True
    late.end(parent, over=True)
    (run,) = trial_runs(one).values()
    assert run.data.tags["sweep.attempt"] == "2"


def test_a_trial_that_was_given_up_gets_one_run_and_a_second_look_changes_nothing(begun, settling):
    one = begun(trials=1)
    for _ in range(4):
        one.leases("dead").claim(1)
        one.silence(61)
    one.leases("heir").claim(0)
    assert one.states() == ["FAIL"]
    mine = settling(one)
    parent = mine.begin()
    (run,) = trial_runs(one).values()
    assert run.info.status == "FAILED"
    assert run.data.tags["sweep.reason"] == "4 workers died with it"
    assert reconcile(one.study, parent, one.data) == 0
    assert list(trial_runs(one)) == [run.info.run_id]


def test_whoever_waits_for_others_to_end_can_be_stopped(begun, settling):
    one = begun(trials=1)
    (lease,) = one.leases("slow").claim(1).leases
    one.complete("slow", lease)
    interrupts = Interrupts()
    mine = settling(one, "me", interrupts)
    parent = mine.begin()
    interrupts.stop(signal.SIGTERM)
    with pytest.raises(InterruptedStudyError, match="stopped while others end") as stopped:
        mine.end(parent, over=True)
    assert stopped.value.exit_code == 143
    assert parent_status(one) == "RUNNING"


def test_progress_is_noted_when_it_is_due_unless_another_worker_does(begun, settling, monkeypatch):
    one = begun(trials=1)
    mine = settling(one)
    parent = mine.begin()
    (lease,) = one.leases("a").claim(1).leases
    one.complete("a", lease)

    def best():
        (run,) = one.tracker().runs(role="study")
        return run.data.metrics.get("best/val_accuracy")

    mine.note_progress(parent)
    assert best() is None
    monkeypatch.setattr("sweep.workers.settling.PROGRESS_SECONDS", 0.0)
    with locked(one.study.storage, mine._lock):
        mine.note_progress(parent)
        assert best() is None
    mine.note_progress(parent)
    assert best() == 0.5

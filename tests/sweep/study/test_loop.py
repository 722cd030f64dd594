import os
import signal
from collections import Counter
from itertools import chain, repeat
from pathlib import Path

import pytest
from optuna.trial import TrialState

from sweep.errors import StoreUnreachableError, SweepError
from sweep.study import attributes
from sweep.study.ending import Ending
from sweep.study.interrupts import InterruptedStudyError
from sweep.study.listener import Listener
from sweep.study.passes import Budget
from sweep.study.results import tally
from sweep.tracking.tracker import Tracker
from sweep_model.results import DivergedError
from sweep_model.stack import Stack

pytestmark = pytest.mark.usefixtures("no_figures")


class Signals(Listener):
    """Sends this process a signal when a trial reaches an epoch, or, at None, has ended."""

    def __init__(self, at, number=signal.SIGINT):
        self.at = at
        self.number = number

    def epoch_ended(self, number, epoch, value):
        del value
        self._send(number, epoch)

    def trial_ended(self, number, ending, reason, best):
        del ending, reason, best
        self._send(number, None)

    def _send(self, *now):
        if now == self.at:
            os.kill(os.getpid(), self.number)


def with_endings(monkeypatch, endings):
    """Let the trainings end in turn as told, whatever they come to."""
    turns = iter(endings)

    def take(passes, slot, trial, result):
        trial.life.record(result)
        how = next(turns)
        if how == Ending.DIVERGED:
            passes.engine.clear(slot)  # as the engine itself does
        passes._end(slot, trial, how, "" if how == Ending.COMPLETE else f"made {how}")

    monkeypatch.setattr("sweep.study.passes.Passes._take", take)


def endings(loop):
    return [trial.user_attrs[attributes.ENDING] for trial in loop.study.trials()]


def parent(loop):
    (run,) = loop.tracker.runs(role="study")
    return run


def stopped(loop, trials):
    with pytest.raises(InterruptedStudyError) as raised:
        loop.run(Budget(trials))
    return raised.value


def test_every_ending_stands_in_both_stores_and_the_study_goes_on(
    tiny_study, monkeypatch, in_both_stores
):
    how = [Ending.COMPLETE, Ending.DIVERGED, Ending.PRUNED, Ending.ERROR, Ending.COMPLETE]
    with_endings(monkeypatch, how)
    loop = tiny_study()
    assert loop.run(Budget(3)) == "3 of 3 trials finished"
    assert endings(loop) == how
    in_both_stores(loop.study, loop.tracker)
    assert parent(loop).info.status == "FINISHED"


def test_complete_and_pruned_trials_count_and_failed_ones_do_not(tiny_study, monkeypatch):
    with_endings(monkeypatch, [Ending.ERROR, Ending.PRUNED, Ending.ERROR, Ending.COMPLETE])
    loop = tiny_study()
    loop.run(Budget(2))
    assert str(tally(loop.study.trials())) == "1 complete, 1 pruned, 2 failed"


def test_a_finished_study_is_left_as_it_is_and_a_larger_one_does_what_is_missing(tiny_study):
    loop = tiny_study()
    loop.run(Budget(2))
    before = loop.study.trials()
    assert tiny_study().run(Budget(2)) == "2 of 2 trials were finished already"
    assert loop.study.trials() == before
    assert tiny_study().run(Budget(3)) == "3 of 3 trials finished"
    assert loop.study.trials()[:2] == before
    assert len(loop.study.trials()) == 3


def test_the_parts_of_a_study_add_up_to_the_whole(tiny_study, outcome):
    whole = tiny_study(study_name="whole")
    whole.run(Budget(3))
    parts = tiny_study(study_name="parts")
    for trials in (1, 3):
        parts.run(Budget(trials))
    assert outcome(parts.study) == outcome(whole.study)


def test_a_trial_that_diverges_fails_with_its_epoch_and_the_next_one_is_tried(
    tiny_study, monkeypatch
):
    run_pass, diverged = Stack.run_pass, []

    def once(stack):
        found = run_pass(stack)
        if stack.next_pass == 2 and not diverged:
            stack.clear(0)
            diverged.append(found)
            return {0: DivergedError(2, "the training cost is nan")}
        return found

    monkeypatch.setattr(Stack, "run_pass", once)
    loop = tiny_study()
    loop.run(Budget(1))
    first, second = loop.study.trials()
    assert first.user_attrs[attributes.REASON] == "diverged in epoch 2: the training cost is nan"
    assert list(first.intermediate_values) == [1]
    assert second.user_attrs[attributes.ENDING] == Ending.COMPLETE


def test_ten_failures_in_a_row_end_the_study_with_the_last_reason(tiny_study, monkeypatch):
    with_endings(monkeypatch, chain([Ending.COMPLETE], repeat(Ending.DIVERGED)))
    loop = tiny_study()
    with pytest.raises(SweepError) as failed:
        loop.run(Budget(5))
    assert str(failed.value) == (
        "study 'tiny-softmax': 10 trials in a row failed, the last because: made diverged; "
        "narrow the space, e.g. --set learning_rate=1e-4:1e-2:log"
    )
    assert failed.value.exit_code == 1
    assert Counter(endings(loop)) == {Ending.COMPLETE: 1, Ending.DIVERGED: 10}
    assert parent(loop).info.status == "FAILED"


def test_failures_that_do_not_follow_one_another_do_not_end_the_study(tiny_study, monkeypatch):
    monkeypatch.setattr("sweep.study.failures.FAILURES_IN_A_ROW", 3)
    two = [Ending.ERROR, Ending.DIVERGED]
    with_endings(monkeypatch, [*two, Ending.PRUNED, *two, Ending.COMPLETE])
    assert tiny_study().run(Budget(2)) == "2 of 2 trials finished"


def test_no_trial_begins_after_the_time_is_up(tiny_study):
    loop = tiny_study()
    assert loop.run(Budget(5, seconds=1e-9)) == "the time of 1e-09 s is up"
    assert loop.study.trials() == []
    assert parent(loop).info.status == "FINISHED"


def test_a_grid_ends_with_its_last_point(tiny_study):
    overrides = ("l2=0.1,0.01", "learning_rate=0.01", "decay_period=10", "batch_size=25,50")
    loop = tiny_study(sampler="grid", overrides=overrides)
    assert loop.run(Budget(50)) == "the grid has no point left"
    tried = {(t.params["l2"], t.params["batch_size"]) for t in loop.study.trials()}
    assert tried == {(0.1, 25), (0.1, 50), (0.01, 25), (0.01, 50)}
    assert len(loop.study.trials()) == 4


def test_the_loss_is_minimised_where_it_is_the_objective(tiny_study):
    loop = tiny_study(objective="val-loss")
    loop.run(Budget(2))
    assert loop.study.optuna.best_trial.value == min(
        trial.user_attrs[attributes.CURVES]["val/loss"][-1] for trial in loop.study.trials()
    )


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_what_trains_and_the_next_run_goes_on_with_it(
    tiny_study, in_both_stores, number, code
):
    loop = tiny_study(epochs=4)
    loop.listener = Signals((1, 2), number)
    error = stopped(loop, 3)
    assert str(error) == (
        f"study 'tiny-softmax' stopped by {number.name}: 1 complete, 0 pruned, 0 failed, "
        "1 unfinished; the same command goes on from here"
    )
    assert error.exit_code == code
    left = loop.study.trials()[1]
    assert left.state == TrialState.RUNNING
    (run,) = loop.tracker.runs(role="trial", trial=1)
    assert run.info.status == "KILLED"
    history = loop.tracker.client.get_metric_history(run.info.run_id, "val/loss")
    assert [point.step for point in history] == [1, 2]
    assert parent(loop).info.status == "KILLED"

    heard = []
    again = tiny_study(epochs=4)
    again.listener.epoch_ended = lambda *given: heard.append(given[:2])
    again.run(Budget(3))
    assert heard[:2] == [(1, 3), (1, 4)]
    assert [run.info.run_id] == [
        one.info.run_id for one in loop.tracker.runs(role="trial", trial=1)
    ]
    in_both_stores(again.study, again.tracker)


@pytest.mark.slow
def test_interrupted_and_resumed_a_study_is_the_unbroken_one(tiny_study, outcome, in_both_stores):
    # More than ten trials: TPE draws at random before that, the median pruner waits for five.
    options = {"sampler": "tpe", "pruner": "median", "epochs": 3}
    whole = tiny_study(study_name="whole", **options)
    whole.run(Budget(12))
    assert {Ending.COMPLETE, Ending.PRUNED} == set(endings(whole))

    for number, at in (
        (signal.SIGINT, (0, 1)),
        (signal.SIGTERM, (4, 2)),
        (signal.SIGINT, (10, 1)),
    ):
        loop = tiny_study(study_name="broken", **options)
        loop.listener = Signals(at, number)
        stopped(loop, 12)
    loop = tiny_study(study_name="broken", **options)
    loop.run(Budget(12))
    assert outcome(loop.study) == outcome(whole.study)
    in_both_stores(loop.study, loop.tracker)
    assert len(loop.study.trials()) == 12
    assert {trial.user_attrs[attributes.ATTEMPT] for trial in loop.study.trials()} == {1}


@pytest.mark.slow
def test_a_signal_between_two_trials_begins_no_further_one(tiny_study):
    loop = tiny_study()
    loop.listener = Signals((0, None))
    assert "1 complete, 0 pruned, 0 failed" in str(stopped(loop, 3))


@pytest.mark.slow
def test_a_signal_after_the_last_trial_leaves_a_finished_study(tiny_study):
    loop = tiny_study()
    loop.listener = Signals((1, None))
    assert loop.run(Budget(2)) == "2 of 2 trials finished"
    assert parent(loop).info.status == "FINISHED"


@pytest.fixture
def away(monkeypatch):
    """Take the tracking store away as soon as trials run; return what brings it back."""
    deliver, gone = Tracker.deliver, [True]

    def unreachable(tracker, letter, *, again=False):
        if gone and tracker._post is not None:
            raise StoreUnreachableError("MLflow is gone")
        deliver(tracker, letter, again=again)

    monkeypatch.setattr("sweep.tracking.courier.PATIENCE", 0.05)
    monkeypatch.setattr("sweep.tracking.courier.FIRST_PAUSE", 0.01)
    monkeypatch.setattr(Tracker, "deliver", unreachable)
    return gone.clear


def waiting(name="tiny-softmax"):
    return list(Path("mlruns/outbox", name).glob("*.zip"))


def test_a_study_goes_on_without_its_tracking_store_and_the_next_run_tells_it_all(
    tiny_study, away, in_both_stores
):
    loop, said = tiny_study(), []
    loop.listener.warned = said.append
    with pytest.raises(StoreUnreachableError, match=r"MLflow is gone; \d+ letters for it wait in"):
        loop.run(Budget(2))
    assert endings(loop) == [Ending.COMPLETE, Ending.COMPLETE]
    assert loop.tracker.runs(role="trial") == []
    assert said == ["MLflow is gone; meanwhile what is logged waits in mlruns/outbox/tiny-softmax"]
    assert waiting()
    away()
    assert tiny_study().run(Budget(2)) == "2 of 2 trials were finished already"
    in_both_stores(loop.study, loop.tracker)
    assert parent(loop).info.status == "FINISHED"
    assert waiting() == []


def test_a_study_stopped_while_its_tracking_store_is_away_goes_on_all_the_same(
    tiny_study, away, in_both_stores, outcome
):
    whole = tiny_study(study_name="whole", epochs=4)
    loop = tiny_study(epochs=4)
    loop.listener = Signals((1, 2))
    assert stopped(loop, 3).exit_code == 130
    assert waiting()
    away()
    whole.run(Budget(3))
    again = tiny_study(epochs=4)
    again.run(Budget(3))
    assert outcome(again.study) == outcome(whole.study)
    in_both_stores(again.study, again.tracker)
    assert waiting() == []


def test_a_champion_that_cannot_be_registered_is_said_and_the_study_is_done(
    tiny_study, monkeypatch
):
    def no_weights(*_):
        raise SweepError("the weights are gone")

    said = []
    monkeypatch.setattr("sweep.study.conclusion.crown_chosen", no_weights)
    loop = tiny_study()
    monkeypatch.setattr(loop.listener, "warned", said.append)
    assert loop.run(Budget(1)) == "1 of 1 trials finished"
    assert said == ["no champion is registered: the weights are gone"]
    assert parent(loop).info.status == "FINISHED"


def test_the_watcher_hears_of_every_trial_and_epoch_in_order(tiny_study, monkeypatch):
    heard = []
    loop = tiny_study()
    for event in ("trial_began", "epoch_ended", "trial_ended"):
        monkeypatch.setattr(
            loop.listener, event, lambda *given, event=event: heard.append((event, *given[:2]))
        )
    loop.run(Budget(1))
    assert heard == [
        ("trial_began", 0),
        ("epoch_ended", 0, 1),
        ("epoch_ended", 0, 2),
        ("trial_ended", 0, Ending.COMPLETE),
    ]


def test_the_time_is_told_by_its_parts(tiny_study):
    loop = tiny_study()
    loop.run(Budget(1))
    seconds = loop.timings.seconds()
    assert {"sampling", "training", "other"} <= seconds.keys()
    assert all(value >= 0 for value in seconds.values())


def test_a_defect_of_the_loop_itself_leaves_no_study_running(tiny_study, monkeypatch):
    loop = tiny_study()

    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("sweep.study.passes.log_progress", broken)
    with pytest.raises(ZeroDivisionError):
        loop.run(Budget(1))
    assert parent(loop).info.status == "FAILED"

import os
import signal

import pytest

from sweep.errors import SweepError
from sweep.layout import LayoutChoice
from sweep.study import attributes
from sweep.study.ending import Ending
from sweep.study.interrupts import InterruptedStudyError
from sweep.study.listener import Listener
from sweep.study.passes import Budget
from sweep.study.records import Record, Start, seat_of
from sweep.study.results import ending
from sweep.study.trial_life import TrialLife

pytestmark = pytest.mark.usefixtures("no_figures")

OPTIONS = {"sampler": "tpe", "pruner": "median", "epochs": 4}
FOUR = LayoutChoice(slots=4, width=2, workers=2)
ALONE = LayoutChoice(slots=4, width=2, workers=1)


class SignalAtPass(Listener):
    """Sends this process a signal at the end of a pass."""

    def __init__(self, passes):
        self.passes = passes

    def pass_ended(self, training):
        del training
        self.passes -= 1
        if self.passes == 0:
            os.kill(os.getpid(), signal.SIGINT)


class DiesAtPass(SignalAtPass):
    """Ends as a process does that is killed: nothing more is written."""

    def pass_ended(self, training):
        self.passes -= 1
        if self.passes == 0:
            raise SystemExit(training)


def seats(study):
    """Return where and when each position trained."""
    return {
        trial.user_attrs[attributes.POSITION]: trial.user_attrs[attributes.SEAT]
        for trial in study.trials()
        if ending(trial) != Ending.INTERRUPTED
    }


@pytest.fixture
def unbroken(tiny_study):
    """Return a study of 16 trials in four slots, some of them pruned."""
    loop = tiny_study(study_name="unbroken", layout=FOUR, **OPTIONS)
    loop.run(Budget(16))
    how = [ending(trial) for trial in loop.study.trials()]
    assert {Ending.COMPLETE, Ending.PRUNED} == set(how)
    return loop.study


def test_a_study_is_the_same_with_one_worker_as_with_two(tiny_study, unbroken, outcome):
    loop = tiny_study(study_name="other", layout=ALONE, **OPTIONS)
    loop.run(Budget(16))
    assert outcome(loop.study) == outcome(unbroken)
    assert seats(loop.study) == seats(unbroken)


@pytest.mark.slow
def test_a_study_stopped_again_and_again_is_the_unbroken_one(
    tiny_study, unbroken, outcome, in_both_stores
):
    for listener in (SignalAtPass(1), SignalAtPass(6), DiesAtPass(5), SignalAtPass(9)):
        loop = tiny_study(study_name="broken", layout=FOUR, **OPTIONS)
        loop.listener = listener
        with pytest.raises((InterruptedStudyError, SystemExit)):
            loop.run(Budget(16))
    loop = tiny_study(study_name="broken", layout=ALONE, **OPTIONS)
    loop.run(Budget(16))
    assert len(loop.study.trials()) == 16
    assert outcome(loop.study) == outcome(unbroken)
    assert seats(loop.study) == seats(unbroken)
    in_both_stores(loop.study, loop.tracker)


def test_a_study_that_is_extended_goes_on_in_the_slots_that_were_free(
    tiny_study, unbroken, outcome
):
    for trials in (7, 16):
        loop = tiny_study(study_name="parts", layout=FOUR, **OPTIONS)
        loop.run(Budget(trials))
    assert outcome(loop.study) == outcome(unbroken)


def test_a_pruned_trial_frees_its_slot_at_the_next_pass(unbroken):
    trained = {
        trial.number: (
            seat_of(trial).first_pass,
            trial.user_attrs[attributes.SLOT],
            len(trial.intermediate_values),
            ending(trial),
        )
        for trial in unbroken.trials()
    }
    pruned = [each for each in trained.values() if each[3] == Ending.PRUNED][:2]
    starts = {(first, slot) for first, slot, _, _ in trained.values()}
    assert pruned
    for first, slot, epochs, _ in pruned:
        assert (first + epochs, slot) in starts


def test_a_slot_holds_one_trial_at_a_time(unbroken):
    taken = [
        (trial.user_attrs[attributes.SLOT], seat_of(trial).first_pass + epoch)
        for trial in unbroken.trials()
        for epoch in range(len(trial.intermediate_values))
    ]
    assert len(taken) == len(set(taken))
    assert {slot for slot, _ in taken} == {0, 1, 2, 3}


def test_a_trial_that_broke_is_played_again_just_as_long_as_it_lasted(
    tiny_study, monkeypatch, outcome
):
    def no_room(*_):
        raise RuntimeError("no room")

    original = TrialLife.record

    def record(self, result):
        with monkeypatch.context() as patched:
            if self.number in (1, 2) and result.epoch == 2:  # in the middle of its second epoch
                patched.setattr("sweep.study.training_run.append", no_room)
            return original(self, result)

    monkeypatch.setattr(TrialLife, "record", record)
    two = LayoutChoice(slots=2, width=2, workers=1)
    options = OPTIONS | {"sampler": "random", "pruner": "none"}
    whole = tiny_study(study_name="whole", layout=two, **options)
    whole.run(Budget(5))
    broken = [one for one in whole.study.trials() if ending(one) == Ending.ERROR]
    assert [len(one.intermediate_values) for one in broken] == [1, 1]
    for trials in (2, 5):
        parts = tiny_study(study_name="parts", layout=two, **options)
        parts.run(Budget(trials))
    assert outcome(parts.study) == outcome(whole.study)
    assert seats(parts.study) == seats(whole.study)


def test_a_record_that_does_not_fit_the_passes_is_refused(tiny_study, unbroken, monkeypatch):
    del unbroken
    monkeypatch.setattr(Record, "start", Start(-1, 0))
    with pytest.raises(SweepError, match="position 0 began in pass -1 and slot 0, and would now"):
        tiny_study(study_name="unbroken", layout=FOUR, **OPTIONS).run(Budget(17))


def test_another_layout_is_refused_with_the_difference(tiny_study, unbroken):
    del unbroken
    with pytest.raises(SweepError, match="slots 4 -> 6"):
        tiny_study(study_name="unbroken", layout=LayoutChoice(slots=6), **OPTIONS)

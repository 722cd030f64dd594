import signal
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from sweep.errors import SweepError
from sweep.study.drive import drive
from sweep.study.ending import Ending
from sweep.study.interrupts import Interrupts
from sweep.timings import Timings
from sweep_model.reference import DivergedError


def driven(epochs, take=lambda _: None, interrupts=None):
    return drive(iter(epochs), take, interrupts or Interrupts(), Timings())


def failing(error):
    yield "first"
    raise error


def test_a_training_that_runs_out_is_complete_and_every_epoch_was_handed_over():
    taken = []
    assert driven("abc", taken.append) == (Ending.COMPLETE, "")
    assert taken == ["a", "b", "c"]


def test_an_answer_ends_the_training_as_pruned_and_no_further_epoch_is_trained():
    epochs = iter("abc")
    assert drive(epochs, {"a": None, "b": "behind"}.get, Interrupts(), Timings()) == (
        Ending.PRUNED,
        "behind",
    )
    assert next(epochs) == "c"


def test_a_divergence_is_an_ending_that_names_its_epoch():
    ending, reason = driven(failing(DivergedError(2, "the training cost is nan")))
    assert ending == Ending.DIVERGED
    assert reason == "diverged in epoch 2: the training cost is nan"


@pytest.mark.parametrize("error", [ValueError("no such row"), MemoryError("no such row")])
def test_a_defect_of_one_training_is_an_ending_that_names_its_kind(error):
    assert driven(failing(error)) == (Ending.ERROR, f"{type(error).__name__}: no such row")


def test_what_the_user_can_put_right_is_raised():
    with pytest.raises(SweepError, match="the store is gone"):
        driven(failing(SweepError("the store is gone")))


def test_a_signal_ends_the_training_before_the_next_epoch():
    interrupts, taken = Interrupts(), []

    def take(epoch):
        taken.append(epoch)
        interrupts.received = signal.SIGTERM

    assert driven("abc", take, interrupts) == (Ending.INTERRUPTED, "stopped by SIGTERM")
    assert taken == ["a"]


def test_only_the_training_itself_counts_as_training():
    parts = []

    @contextmanager
    def part(name):
        parts.append(f"{name} begins")
        yield
        parts.append(f"{name} ends")

    drive(iter("a"), parts.append, Interrupts(), SimpleNamespace(part=part))
    assert parts[:3] == ["training begins", "training ends", "a"]

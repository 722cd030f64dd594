"""Waiting for a store that is away: in ever longer pauses, and not for ever."""

import pytest

from sweep.errors import StoreUnreachableError, SweepError
from sweep.workers.patience import LONGEST_PAUSE, PATIENCE, patiently

pytestmark = pytest.mark.slow


@pytest.fixture
def pauses(monkeypatch):
    """Return the pauses that are made, in a time that only passes by them."""
    made = []
    monkeypatch.setattr("sweep.workers.patience.time.sleep", made.append)
    monkeypatch.setattr("sweep.workers.patience.time.monotonic", lambda: sum(made))
    return made


def failing(times, error=StoreUnreachableError):
    """Return a function that fails so often, and then returns what it is given."""
    left = [error("away")] * times

    @patiently
    def call(value):
        """Say it."""
        if left:
            raise left.pop()
        return value

    return call


def test_what_works_is_done_once_and_without_a_pause(pauses):
    call = failing(0)
    assert call(7) == 7
    assert pauses == []
    assert call.__doc__ == "Say it."


def test_a_store_that_comes_back_is_asked_again_in_ever_longer_pauses(pauses):
    assert failing(8)(7) == 7
    assert pauses == sorted(pauses)
    assert pauses[0] < 1
    assert pauses[-1] == LONGEST_PAUSE


def test_patience_ends(pauses):
    with pytest.raises(StoreUnreachableError, match=r"^away$"):
        failing(1_000)(7)
    assert PATIENCE - LONGEST_PAUSE <= sum(pauses) <= PATIENCE


@pytest.mark.parametrize("error", [SweepError, KeyError])
def test_no_other_error_is_waited_out(pauses, error):
    with pytest.raises(error):
        failing(1, error)(7)
    assert pauses == []

"""The mirror on a thread of its own, before a store that may be away: a double."""

import threading
from dataclasses import replace

import pytest

from sweep.errors import StoreUnreachableError
from sweep.tracking.mirror import BackgroundMirror, RunState


class FakeMirror:
    """Keeps what arrives; while `away` is set, and for the keys in `refused`, it fails."""

    def __init__(self):
        self.arrived, self.attempts = [], 0
        self.away, self.refused = threading.Event(), set()
        self.open, self.attempted = threading.Event(), threading.Event()
        self.open.set()

    def update(self, state):
        self.attempts += 1
        self.attempted.set()
        assert self.open.wait(30)
        if self.away.is_set():
            raise StoreUnreachableError("the store is away")
        if state.key in self.refused:
            raise StoreUnreachableError(f"{state.key} is refused")
        self.arrived.append((state.key, len(state.times)))

    def wait_for(self, attempts):
        """Wait until so many attempts were made."""
        while self.attempts < attempts:
            self.attempted.clear()
            if self.attempts < attempts:
                assert self.attempted.wait(30)


@pytest.fixture
def mirror():
    return FakeMirror()


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def background(mirror, warnings):
    with BackgroundMirror(mirror, warnings.append, pause=0.001) as background:
        yield background


def state(key, epochs=0, **changes):
    return RunState(key=key, name=key, times=list(range(epochs)), began=0, **changes)


def test_states_arrive_in_order_and_before_the_end(mirror, background, warnings):
    for epochs in range(3):
        background.update([state("a", epochs), state("b", epochs)])
    assert background.close() == []
    assert mirror.arrived[-2:] == [("a", 2), ("b", 2)]
    assert sorted(mirror.arrived) == sorted(set(mirror.arrived))
    assert warnings == []


def test_the_latest_state_of_a_run_wins(mirror, background):
    mirror.open.clear()
    background.update([state("first")])
    mirror.wait_for(1)
    for epochs in range(5):
        background.update([state("a", epochs), state("b", epochs)])
    background.update([state("a", 9)])
    mirror.open.set()
    assert background.close() == []
    assert mirror.arrived == [("first", 0), ("b", 4), ("a", 9)]


def test_while_the_store_is_away_states_wait_and_one_warning_is_given(mirror, background, warnings):
    mirror.away.set()
    background.update([state("a", 1), state("b", 1), state("a", 2)])
    mirror.wait_for(6)
    assert len(warnings) == 1
    assert "the store is away" in warnings[0]
    mirror.away.clear()
    assert background.close() == []
    assert sorted(mirror.arrived) == [("a", 2), ("b", 1)]
    assert len(warnings) == 2
    assert "again" in warnings[1]


def test_a_state_that_comes_while_an_older_one_fails_is_not_lost_to_it(mirror, background):
    mirror.away.set()
    mirror.open.clear()
    background.update([state("a", 1)])
    mirror.wait_for(1)
    background.update([state("a", 2)])
    mirror.open.set()
    mirror.wait_for(3)
    mirror.away.clear()
    assert background.close() == []
    assert mirror.arrived == [("a", 2)]


def test_a_run_that_is_refused_keeps_no_other_waiting_and_is_warned_of_once(
    mirror, background, warnings
):
    mirror.refused.add("bad")
    background.update([state("bad")])
    for n in range(5):
        background.update([state(f"good {n}")])
        mirror.wait_for(2 * n + 3)
    (left,) = background.close(patience=0)
    assert left.key == "bad"
    assert [key for key, _ in mirror.arrived] == [f"good {n}" for n in range(5)]
    assert len(warnings) == 1
    assert "bad is refused" in warnings[0]


def test_a_parent_goes_before_its_trials_whatever_changed_last(mirror, background):
    mirror.away.set()
    background.update([state("study")])
    mirror.wait_for(1)
    background.update([state("trial", parent="study"), state("other", parent="study")])
    mirror.wait_for(4)
    background.update([replace(state("study"), times=[1])])
    mirror.wait_for(6)
    mirror.away.clear()
    assert background.close() == []
    assert mirror.arrived[0] == ("study", 1)
    assert {key for key, _ in mirror.arrived} == {"study", "trial", "other"}


def test_the_end_waits_no_longer_for_a_store_that_is_away_than_it_is_told(
    mirror, background, warnings
):
    mirror.away.set()
    background.update([state("a", 1), state("b", 1)])
    left = background.close(patience=0.02)
    assert sorted(each.key for each in left) == ["a", "b"]
    assert mirror.arrived == []
    assert mirror.attempts >= 2
    assert len(warnings) == 1
    assert background.close(patience=0) == left


def test_the_end_of_a_study_whose_store_comes_back_in_time_leaves_nothing(mirror, background):
    mirror.away.set()
    background.update([state("a", 1)])
    mirror.wait_for(2)
    threading.Timer(0.01, mirror.away.clear).start()
    assert background.close(patience=30) == []
    assert mirror.arrived == [("a", 1)]


def test_the_block_ends_without_waiting_where_it_is_left_by_an_error(mirror, warnings):
    def fails(background):
        background.update([state("a")])
        raise KeyError

    mirror.away.set()
    with BackgroundMirror(mirror, warnings.append) as background, pytest.raises(KeyError):
        fails(background)
    assert mirror.arrived == []


def test_a_mistake_of_ours_is_raised_where_the_study_runs(mirror, background, warnings):
    mirror.update = lambda state: state.nothing
    background.update([state("a")])
    with pytest.raises(AttributeError):
        background.close()
    assert warnings == []

import pytest

from sweep import layout
from sweep.errors import SweepError
from sweep.layout import Layout, LayoutChoice


@pytest.fixture(autouse=True)
def _two_cores(monkeypatch):
    monkeypatch.setattr(layout, "cores", lambda: 2)


@pytest.mark.parametrize(
    ("trials", "classes", "expected"),
    [
        (50, 10, (50, 25, 2)),
        (60, 10, (30, 15, 2)),  # two generations of 30, not one of 50 and one of 10
        (1, 10, (1, 1, 1)),
        (8, 10, (8, 8, 1)),
        (10, 10, (10, 5, 2)),
        (200, 10, (50, 25, 2)),
        (500, 2, (125, 63, 2)),
        (4, 1000, (2, 1, 2)),
    ],
)
def test_the_slots_are_as_many_as_fit_in_equally_full_generations(trials, classes, expected):
    settled = LayoutChoice().settle(trials=trials, classes=classes)
    assert (settled.slots, settled.width, settled.workers) == expected


def test_what_the_user_says_is_kept():
    settled = LayoutChoice(slots=6, width=3, workers=1).settle(trials=50, classes=10)
    assert settled == Layout(slots=6, width=3, workers=1)
    assert settled.stacks == 2
    assert str(settled) == "6 slots in stacks of 3, 1 worker"


def test_the_workers_that_the_user_names_move_nothing_else():
    usual = LayoutChoice().settle(trials=50, classes=10)
    for workers in (1, 2, 7):
        named = LayoutChoice(workers=workers).settle(trials=50, classes=10)
        assert (named.slots, named.width) == (usual.slots, usual.width)
        assert named.workers == workers


def test_many_slots_make_more_stacks_than_workers():
    settled = LayoutChoice(slots=400).settle(trials=400, classes=10)
    assert (settled.stacks, settled.width) == (8, 50)


def test_a_study_keeps_its_layout_but_for_what_is_asked_for():
    recorded = Layout(slots=6, width=3, workers=2)
    assert LayoutChoice().resume(recorded) == recorded
    assert LayoutChoice(workers=1).resume(recorded) == Layout(slots=6, width=3, workers=1)
    assert LayoutChoice(width=6).resume(recorded).width == 6


@pytest.mark.parametrize("name", ["slots", "width", "workers"])
def test_a_layout_without_room_is_refused(name):
    with pytest.raises(SweepError, match=rf"{name} must lie in \[1, 4096\]: got 0"):
        Layout(**{"slots": 1, "width": 1, "workers": 1, name: 0})


def test_the_cores_of_this_machine_are_counted(monkeypatch):
    monkeypatch.undo()
    assert layout.cores() >= 1

import pytest

from sweep import timings
from sweep.timings import Timings


class Clock:
    """A clock that stands still until it is told otherwise."""

    now = 0.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(timings, "time", clock)
    return clock


@pytest.fixture
def spent(clock):
    """Return timings of 10 s: training 4 + 2, tracking 1, the rest unclaimed."""
    timings = Timings()
    for name, seconds in (("training", 4), ("tracking", 1), ("training", 2)):
        with timings.part(name):
            clock.now += seconds
    clock.now += 3
    return timings


def test_the_seconds_of_a_part_add_up_and_no_part_is_lost(spent):
    assert spent.seconds() == {"training": 6, "tracking": 1, "other": 3}
    assert spent.wall() == sum(spent.seconds().values()) == 10


def test_a_block_that_fails_counts_all_the_same(clock):
    timings = Timings()

    def fail():
        with timings.part("training"):
            clock.now += 2
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert timings.seconds() == {"training": 2, "other": 0}


def test_the_text_is_the_wall_time_and_the_share_of_every_part(spent):
    assert str(spent) == "10.0 s: training 60 %, tracking 10 %, other 30 %"


def test_rounding_never_makes_the_rest_negative(clock):
    clock.now = 0.1
    timings = Timings()
    for seconds in (0.8, 0.3, 0.4, 0.1):  # their floats add up to more than the wall time
        with timings.part("training"):
            clock.now += seconds
    assert timings.seconds()["training"] > timings.wall()
    assert timings.seconds()["other"] == 0

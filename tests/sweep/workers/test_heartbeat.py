"""Signs of life come from one thread, which outlives whatever the store does."""

import threading
from types import SimpleNamespace

import pytest

from sweep.errors import StoreUnreachableError
from sweep.workers.heartbeat import BEATS, LONGEST_PAUSE, Heartbeat
from sweep.workers.lease import Lease
from sweep.workers.reports import Reports

pytestmark = pytest.mark.slow

PATIENCE = 60.0
FIRST, SECOND = Lease(11, 0, "me"), Lease(12, 1, "me")


class Beaten:
    """Stands for leases: remembers every beat, and answers as it is told."""

    def __init__(self, grace=0.06):
        self.grace = grace
        self.beats, self.threads, self.answers = [], set(), []
        self._heard = threading.Condition()

    def beat(self, curves):
        with self._heard:
            self.beats.append(dict(curves))
            self.threads.add(threading.current_thread().name)
            self._heard.notify_all()
            answer = self.answers.pop(0) if self.answers else set()
        if isinstance(answer, BaseException):
            raise answer
        return answer & set(curves)

    def next(self, more=2):
        """Wait until so many further beats have begun, so that all but the last of them ended."""
        with self._heard:
            wanted = len(self.beats) + more
            assert self._heard.wait_for(lambda: len(self.beats) >= wanted, PATIENCE)
            return self.beats[-1]


@pytest.fixture
def told():
    return []


@pytest.fixture
def beaten():
    return Beaten()


def test_one_thread_beats_for_all_trials_with_what_they_are_worth_by_then(beaten, told):
    values = [0.5]
    with Heartbeat(beaten, told.append) as heartbeat:
        heartbeat.hold(FIRST, values)
        heartbeat.hold(SECOND, ())
        assert beaten.next() == {FIRST: (0.5,), SECOND: ()}
        values.append(0.6)
        assert beaten.next()[FIRST] == (0.5, 0.6)
        heartbeat.drop(FIRST)
        assert beaten.next() == {SECOND: ()}
    assert beaten.threads == {"heartbeat"}
    assert told == []


@pytest.mark.parametrize("error", [StoreUnreachableError("the store is away"), OSError("odd")])
def test_the_thread_survives_a_store_that_is_away_and_tells_it_once(beaten, told, error):
    beaten.answers = [error] * 3
    with Heartbeat(beaten, told.append) as heartbeat:
        heartbeat.hold(FIRST, ())
        beaten.next(6)
    away, back = told
    assert away.endswith(str(error))
    assert back == "the study's database is back"


def test_a_lost_lease_is_known_until_it_is_dropped(beaten, told):
    with Heartbeat(beaten, told.append) as heartbeat:
        heartbeat.hold(FIRST, ())
        heartbeat.hold(SECOND, ())
        assert heartbeat.lost() == set()
        beaten.answers = [{FIRST}]
        beaten.next(3)
        assert heartbeat.lost() == {FIRST}
        heartbeat.drop(FIRST)
        assert heartbeat.lost() == set()
        assert beaten.next() == {SECOND: ()}


def test_a_lease_that_is_dropped_while_it_is_found_lost_is_forgotten(beaten, told):
    heartbeat = Heartbeat(beaten, told.append)
    heartbeat.hold(FIRST, ())
    beat = beaten.beat

    def drop_meanwhile(curves):
        heartbeat.drop(FIRST)
        return beat(curves) | {FIRST}

    beaten.beat = drop_meanwhile
    heartbeat._beat()
    assert heartbeat.lost() == set()


def test_an_ended_trial_is_kept_alive_until_mlflow_has_the_last_of_it(beaten, told):
    waiting, forgotten = {5, 6}, []
    beaten.forget = forgotten.extend
    courier = SimpleNamespace(outbox=SimpleNamespace(waits=waiting.__contains__))
    with Heartbeat(beaten, told.append) as heartbeat:
        reports = Reports(courier, heartbeat)
        for lease, letter in ((FIRST, 5), (SECOND, 6)):
            heartbeat.hold(lease, ())
            reports.ended(lease, letter)
        reports.let_go()
        assert set(beaten.next()) == {FIRST, SECOND}
        waiting.remove(5)
        reports.let_go()
        assert set(beaten.next()) == {SECOND}
        assert forgotten == [FIRST]
        waiting.clear()
        reports.let_go()
        reports.let_go()
        assert beaten.next() == {}
    assert forgotten == [FIRST, SECOND]


@pytest.mark.parametrize("grace", [3.0, 60.0, 86_400.0])
def test_several_beats_in_a_row_may_be_missed(grace, told):
    seconds = Heartbeat(Beaten(grace), told.append).seconds
    assert seconds <= LONGEST_PAUSE
    assert seconds * (BEATS - 1) < grace

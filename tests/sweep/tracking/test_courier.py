import threading
import time
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from sweep.errors import StoreUnreachableError, SweepError
from sweep.tracking.courier import Courier
from sweep.tracking.news import News, Point
from sweep.tracking.outbox import Outbox
from sweep.tracking.run import Run


def letter(text):
    return [News(run=text, tags={"told": text})]


def unreachable(cause=None):
    error = StoreUnreachableError("MLflow is away")
    error.__cause__ = cause
    return error


class Store:
    """Stands in for the store of a tracker: what arrives, and what it raises until then."""

    def __init__(self, tracker, monkeypatch):
        self.arrived, self.again = [], []
        self.errors = {}
        self.away = threading.Event()
        monkeypatch.setattr(tracker, "deliver", self.deliver)

    def deliver(self, letter, *, again=False):
        run = letter[0].run
        if run in self.errors:
            raise self.errors[run]
        if self.away.is_set():
            raise unreachable()
        self.arrived.append(run)
        self.again.append(again)


@pytest.fixture
def store(tracker, monkeypatch):
    monkeypatch.setattr("sweep.tracking.courier.FIRST_PAUSE", 0.001)
    monkeypatch.setattr("sweep.tracking.courier.LONGEST_PAUSE", 0.004)
    return Store(tracker, monkeypatch)


@pytest.fixture
def said():
    return []


@pytest.fixture
def courier(tracker, said, tmp_path):
    return Courier(tracker, Outbox(tmp_path / "outbox"), said.append)


def until(holds):
    """Wait for the courier's thread."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def waiting(courier):
    return [courier.outbox.read(path)[0].run for path in courier.outbox.waiting()]


def test_what_a_tracker_is_given_arrives_by_way_of_the_outbox_in_order(courier, tracker, store):
    with courier:
        for n in range(9):
            tracker.send(letter(str(n)))
        courier.drain()
    assert store.arrived == [str(n) for n in range(9)]
    assert not any(store.again)
    assert waiting(courier) == []


def test_after_the_block_news_go_to_the_store_itself_again(courier, tracker, store):
    with courier:
        pass
    tracker.send(letter("direct"))
    assert store.arrived == ["direct"]
    assert not courier.outbox.folder.exists()


def test_a_letter_is_written_first_then_recorded_and_only_then_sent(courier, tracker, store):
    recorded = []

    def record(number):
        (prepared,) = courier.outbox.folder.iterdir()
        assert courier.outbox.read(prepared) == letter("recorded")
        assert courier.outbox.waiting() == []
        recorded.append((number, list(store.arrived)))

    with courier:
        tracker.send(letter("recorded"), record)
        courier.drain()
    assert recorded == [(1, [])]
    assert store.arrived == ["recorded"]


def test_a_letter_that_cannot_be_recorded_is_not_sent(courier, tracker, store):
    def fails(_):
        raise SweepError("no room")

    with courier:
        with pytest.raises(SweepError, match="no room"):
            tracker.send(letter("lost"), fails)
        tracker.send(letter("next"))
        courier.drain()
    assert store.arrived == ["next"]
    assert waiting(Courier(tracker, Outbox(courier.outbox.folder), print)) == []


def test_without_a_courier_the_record_comes_first_too(tracker, store):
    order = []
    tracker.send(letter("direct"), lambda number: order.append((number, list(store.arrived))))
    assert order == [(0, [])]
    assert store.arrived == ["direct"]


def test_while_the_store_is_away_all_waits_and_when_it_is_back_nothing_lacks(
    courier, tracker, store, said
):
    with courier:
        tracker.send(letter("before"))
        courier.drain()
        store.away.set()
        for n in range(5):
            tracker.send(letter(str(n)))
        until(lambda: said)
        assert waiting(courier) == ["0", "1", "2", "3", "4"]
        store.away.clear()
        courier.drain()
    assert store.arrived == ["before", "0", "1", "2", "3", "4"]
    assert store.again == [False, True, False, False, False, False]
    assert said == [
        f"MLflow is away; meanwhile what is logged waits in {courier.outbox.folder}",
        "MLflow at sqlite:///mlruns/mlflow.db is back",
    ]


def test_each_time_that_the_store_goes_is_told_once_however_often_it_is_tried(courier, store, said):
    tries = []
    deliver = courier.tracker.deliver
    courier.tracker.deliver = lambda *given, **more: tries.append(1) or deliver(*given, **more)
    with courier:
        for times in (1, 2):
            store.away.set()
            courier.post(letter(str(times)))
            seen = len(tries)
            until(lambda seen=seen: len(tries) > seen + 3)
            store.away.clear()
            courier.drain()
    assert ["back" in line for line in said] == [False, True, False, True]


def test_what_an_earlier_process_left_comes_first_and_may_have_arrived_before(
    courier, tracker, store
):
    courier.post(letter("left"))
    later = Courier(tracker, Outbox(courier.outbox.folder), print)
    with later:
        tracker.send(letter("new"))
        later.drain()
    assert store.arrived == ["left", "new"]
    assert store.again == [True, False]


def test_what_was_left_can_be_sent_before_the_block(courier, tracker, store):
    for text in ("a", "b"):
        courier.post(letter(text))
    later = Courier(tracker, Outbox(courier.outbox.folder), print)
    store.errors["b"] = unreachable()
    with pytest.raises(StoreUnreachableError):
        later.send_left()
    assert (store.arrived, waiting(later)) == (["a"], ["b"])
    store.errors.clear()
    later.send_left()
    assert (store.arrived, waiting(later)) == (["a", "b"], [])
    assert store.again == [True, True]


def test_a_letter_that_the_store_refuses_is_dropped_with_a_warning_and_the_next_is_sent(
    courier, store, said
):
    store.errors["bad"] = unreachable(MlflowException("no such name", INVALID_PARAMETER_VALUE))
    with courier:
        for text in ("good", "bad", "fine"):
            courier.post(letter(text))
        courier.drain()
    assert store.arrived == ["good", "fine"]
    (line,) = said
    assert line == (
        "what was new of a run (bad) is dropped: MLflow has deleted it, or never takes this "
        "(no such name)"
    )
    assert waiting(courier) == []


def test_a_defect_in_the_thread_is_raised_where_the_study_runs(courier, store):
    store.errors["bad"] = ZeroDivisionError("ours")
    with courier:
        courier.post(letter("bad"))
        with pytest.raises(ZeroDivisionError, match="ours"):
            courier.drain()
        with pytest.raises(ZeroDivisionError):
            courier.post(letter("next"))
    assert waiting(courier) == ["bad"]


def test_who_is_done_waits_for_a_store_only_so_long(courier, store):
    store.away.set()
    with courier:
        courier.post(letter("a"))
        courier.post(letter("b"))
        with pytest.raises(StoreUnreachableError) as failed:
            courier.drain(patience=0.01)
    assert str(failed.value) == (
        f"MLflow is away; 2 letters for it wait in {courier.outbox.folder}"
    )
    assert failed.value.exit_code == 75
    assert waiting(courier) == ["a", "b"]


def test_patience_begins_anew_when_the_store_was_back(courier, store, monkeypatch):
    clock, steps = [0.0], []

    def sleep(_):
        steps.append(1)
        clock[0] += 6
        store.away.set() if len(steps) % 2 else store.away.clear()
        courier._away = unreachable() if len(steps) % 2 else None
        if len(steps) == 9:
            for path in courier.outbox.waiting():
                path.unlink()

    courier.post(letter("a"))
    monkeypatch.setattr("sweep.tracking.courier.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("sweep.tracking.courier.time.sleep", sleep)
    courier.drain(patience=10)
    assert len(steps) == 9


def test_the_block_ends_though_the_store_is_away(courier, store):
    store.away.set()
    with courier:
        courier.post(letter("a"))
    assert not courier._thread.is_alive()
    assert waiting(courier) == ["a"]


def test_the_thread_ends_though_it_is_told_so_just_before_it_waits(courier, store):
    clear = courier._news.clear

    def clear_late():
        """Let the block end between the thread's question whether it did and its wait."""
        courier._stopping.set()
        courier._news.set()
        clear()

    courier._news.clear = clear_late
    courier._thread.start()
    courier._thread.join(5)
    assert not courier._thread.is_alive()
    assert store.arrived == []


def test_a_run_logged_by_a_courier_is_the_run_that_is_logged_directly(
    courier, tracker, in_store, monkeypatch
):
    monkeypatch.setattr("sweep.tracking.run.time.time", lambda: 1e9)
    Path("a.txt").write_text("text")

    def log(name):
        run = Run.create(tracker, name, tags={"role": "trial"}, note="**So**")
        run.parameters({"epochs": 2})
        run.file(Path("a.txt"), "folder")
        for epoch in (1, 2):
            run.metrics({"val/loss": 1 / epoch}, epoch)
            run.flush()
        run.end("FINISHED")

    log("direct")
    with courier:
        log("by courier")
        courier.drain()
    found = in_store()
    for run in found.values():
        del run["tags"]["mlflow.runName"]
    assert found["by courier"] == found["direct"]
    assert found["direct"]["points"]["val/loss"] == [
        (1, 10**12, 1.0),
        (2, 10**12, 0.5),
    ]


def test_one_run_that_somebody_deleted_costs_the_others_nothing(courier, tracker, in_store, said):
    runs = [Run.create(tracker, name, tags={}) for name in ("gone", "there")]
    tracker.client.delete_run(runs[0].id)
    with courier:
        courier.post(
            [
                News(run=run.id, points=[Point("val/loss", 1.0, 1000, 1)], tags={"told": "yes"})
                for run in runs
            ]
        )
        courier.drain()
    assert in_store()["there"]["latest"] == {"val/loss": 1.0}
    assert in_store()["there"]["tags"]["told"] == "yes"
    assert len(said) == 1


@pytest.mark.parametrize("content", [b"", b"half of a lett", bytes(4096)])
def test_a_letter_that_a_power_cut_damaged_is_dropped_with_a_word(courier, store, said, content):
    for text in ("first", "damaged", "last"):
        courier.outbox.release(courier.outbox.prepare(letter(text)))
    path = courier.outbox.waiting()[1]
    path.write_bytes(content)
    courier.send_left()
    assert store.arrived == ["first", "last"]
    assert said[0].startswith(f"{path}: a letter to MLflow is damaged and dropped: ")
    assert waiting(courier) == []

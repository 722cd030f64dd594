from dataclasses import replace

import pytest
from mlflow.exceptions import MlflowException

from sweep.tracking.delivery import RUN_KEY, Delivery, new_key
from sweep.tracking.news import News, Point

INPUT = {
    "name": "digits-training",
    "digest": "d" * 36,
    "source": "{}",
    "profile": '{"rows": 3}',
    "context": "training",
}
EVERYTHING = News(
    run="new-1",
    name="a run",
    born_with={"sweep.role": "trial"},
    parameters={"epochs": "5"},
    points=[Point("val/loss", 1.0, 1000, 1), Point("val/loss", float("inf"), 1001, 2)],
    tags={"sweep.whole": "True"},
    inputs=[INPUT],
    files={"figures/a.png": b"a", "b.txt": b"b"},
    status="FINISHED",
)
CALLS = ("create_run", "log_inputs", "log_batch", "set_terminated")


@pytest.fixture
def deliver(tracker):
    """Return a function that delivers as a process would that has just begun."""

    def deliver(letter, *, again=False):
        delivery = Delivery(tracker.client, tracker.experiment_id)
        delivery.deliver(letter, again=again)
        return delivery

    return deliver


def test_everything_that_news_hold_arrives(deliver, in_store, tracker):
    deliver([EVERYTHING])
    found = in_store()["a run"]
    assert {name: found["tags"][name] for name in ("sweep.role", "sweep.whole")} == {
        "sweep.role": "trial",
        "sweep.whole": "True",
    }
    del found["tags"]
    largest = 1.7976931348623157e308
    assert found == {
        "status": "FINISHED",
        "parameters": {"epochs": "5"},
        "latest": {"val/loss": largest},
        "points": {"val/loss": [(1, 1000, 1.0), (2, 1001, largest)]},
        "inputs": [("digits-training", "d" * 36)],
        "files": {"b.txt": b"b", "figures/a.png": b"a"},
    }
    (run,) = tracker.client.search_runs([tracker.experiment_id])
    assert run.data.tags[RUN_KEY] == "new-1"


KINDS = [name for name in vars(EVERYTHING) if name not in ("run", "name", "born_with")]


@pytest.mark.parametrize("kind", [*KINDS, "creation", "everything"])
def test_news_that_are_delivered_twice_are_as_good_as_once(deliver, in_store, kind):
    begun = News(run="new-1", name="a run")
    told = {kind: getattr(EVERYTHING, kind)} if kind in KINDS else {}
    letters = {"creation": [begun], "everything": [EVERYTHING]}
    letter = letters.get(kind, [News(run="new-1", **told)])
    if kind in KINDS:
        deliver([begun])
    deliver(letter)
    once = in_store()
    for _ in range(2):
        deliver(letter, again=True)
    assert in_store() == once


@pytest.mark.parametrize("call", [*CALLS, "log_points", "log_artifacts", "tags"])
def test_a_delivery_that_broke_off_anywhere_is_completed_by_the_next(
    deliver, in_store, monkeypatch, tracker, call
):
    letter = [EVERYTHING, replace(EVERYTHING, run="new-2", name="another")]
    places = {
        "log_points": "sweep.tracking.delivery.log_points",
        "log_artifacts": (
            "mlflow.store.artifact.local_artifact_repo.LocalArtifactRepository.log_artifacts"
        ),
        "tags": "sweep.tracking.delivery.Delivery._close",
    }

    def dies(*given, **more):
        """Do what is asked and be gone before the answer."""
        act(*given, **more)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if call in CALLS:
            act = getattr(tracker.client, call)
            patch.setattr(tracker.client, call, dies)
        else:
            from pkgutil import resolve_name

            act = resolve_name(places[call])
            patch.setattr(places[call], dies)
        with pytest.raises(KeyboardInterrupt):
            deliver(letter)
    deliver(letter, again=True)
    broken = in_store()
    for run in tracker.runs():
        tracker.client.delete_run(run.info.run_id)
    deliver([replace(news, run=f"{news.run}-unbroken") for news in letter])
    assert in_store() == broken


def test_what_vouches_for_the_rest_comes_last(deliver, monkeypatch, tracker, in_store):
    def away(*_):
        raise MlflowException("away")

    monkeypatch.setattr("sweep.tracking.delivery.log_points", away)
    with pytest.raises(MlflowException):
        deliver([EVERYTHING])
    found = in_store()["a run"]
    assert "sweep.whole" not in found["tags"]
    assert found["status"] == "RUNNING"
    assert found["files"]
    del tracker


def test_a_run_is_known_by_its_key_once_it_is_created_and_by_its_id_at_any_time(deliver, tracker):
    delivery = Delivery(tracker.client, tracker.experiment_id)
    assert delivery.run_id("new-1") is None
    assert delivery.run_id("abc") == "abc"
    delivery.deliver([News(run="new-1", name="a run")])
    (run,) = tracker.runs()
    assert delivery.run_id("new-1") == run.info.run_id
    later = deliver([News(run="new-1", points=EVERYTHING.points)])
    assert later.run_id("new-1") == run.info.run_id
    deliver([News(run=run.info.run_id, status="KILLED")])
    (again,) = tracker.runs()
    assert (again.info.run_id, again.info.status) == (run.info.run_id, "KILLED")


@pytest.mark.parametrize("run", ["new-1", "0" * 32])
def test_news_of_a_run_that_is_not_there_are_refused_and_make_none(deliver, tracker, run):
    with pytest.raises(MlflowException) as refused:
        deliver([News(run=run, tags={"a": "b"})], again=True)
    assert refused.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    assert tracker.runs() == []


def test_a_later_file_of_the_same_path_takes_the_place_of_the_earlier(deliver, in_store):
    deliver([News(run="new-1", name="a run", files={"a.txt": b"1", "b.txt": b"2"})])
    deliver([News(run="new-1", files={"a.txt": b"3"})])
    assert in_store()["a run"]["files"] == {"a.txt": b"3", "b.txt": b"2"}


def test_more_parameters_and_tags_than_mlflow_takes_at_once_arrive(deliver, in_store):
    many = {f"name {n}": str(n) for n in range(1100)}
    deliver([News(run="new-1", name="a run", parameters=many, tags=many)])
    found = in_store()["a run"]
    assert found["parameters"] == many
    assert many.items() <= found["tags"].items()


def test_no_two_keys_are_alike():
    assert len({new_key() for _ in range(99)}) == 99

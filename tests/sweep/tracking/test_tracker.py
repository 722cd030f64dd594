import os
import subprocess
import sys

import pytest
from mlflow import MlflowClient

from sweep.errors import StoreUnreachableError, SweepError
from sweep.timings import Timings
from sweep.tracking.news import News
from sweep.tracking.tracker import DEFAULT_URI, Tracker, newest_experiment, tracking_uri

WITH_LOGIN = "http://me:s3cr%40t@127.0.0.1:9/base"


@pytest.mark.parametrize(
    ("given", "environment", "counts"),
    [
        (None, None, DEFAULT_URI),
        (None, "http://there:5000", "http://there:5000"),
        ("http://here:5000", "http://there:5000", "http://here:5000"),
        (None, "", DEFAULT_URI),
    ],
)
def test_the_address_given_counts_before_the_environments_and_the_default(
    monkeypatch, given, environment, counts
):
    if environment is not None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", environment)
    assert tracking_uri(given) == counts


def test_the_experiment_is_made_once_and_its_artifacts_lie_beside_the_store(workspace):
    first, again = Tracker("digits"), Tracker("digits")
    assert first.experiment_id == again.experiment_id
    experiment = first.client.get_experiment(first.experiment_id)
    assert experiment.artifact_location == (workspace / "mlruns" / "artifacts").as_uri()


def test_a_deleted_experiment_is_named_with_the_command_that_restores_it(workspace):
    del workspace
    tracker = Tracker("digits")
    tracker.client.delete_experiment(tracker.experiment_id)
    with pytest.raises(SweepError) as refused:
        Tracker("digits")
    assert str(refused.value) == (
        "the MLflow experiment 'digits' was deleted; bring it back with "
        f"`mlflow experiments restore --experiment-id {tracker.experiment_id}`"
    )


@pytest.mark.parametrize("uri", ["./mlruns", "mlruns", ".", "file:///tmp", "gopher://host"])
def test_an_address_that_mlflow_does_not_take_is_refused_with_one_that_it_takes(workspace, uri):
    with pytest.raises(SweepError) as refused:
        Tracker("digits", uri=uri)
    assert str(refused.value) == (
        f"not a tracking address that MLflow takes: {uri!r}; write e.g. {DEFAULT_URI} or "
        "http://127.0.0.1:5000 with --tracking-uri"
    )
    assert refused.value.exit_code == 1
    assert [path.name for path in workspace.iterdir()] == ["mlruns"]


def test_a_missing_driver_is_named_with_its_package_and_not_the_password(workspace, monkeypatch):
    del workspace
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(SweepError) as refused:
        Tracker("digits", uri="postgresql+psycopg2://me:s3cret@127.0.0.1:9/db")
    assert str(refused.value) == (
        "postgresql+psycopg2://***@127.0.0.1:9/db: its driver 'psycopg2' is not installed; "
        "`pip install psycopg2-binary`"
    )


def open_tracker(uri):
    Tracker("digits", uri=uri)


@pytest.mark.parametrize("contact", [open_tracker, newest_experiment])
def test_a_refused_port_is_said_at_once_in_one_line_without_the_password(
    workspace, monkeypatch, contact
):
    del workspace
    waits = []
    monkeypatch.setattr("time.sleep", waits.append)
    with pytest.raises(StoreUnreachableError) as refused:
        contact(WITH_LOGIN)
    assert str(refused.value) == (
        "MLflow at http://***@127.0.0.1:9/base does not do as asked: Connection refused; "
        "check that it is up and has space, then run the same command again"
    )
    assert refused.value.exit_code == 75
    assert sum(waits) < 5
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


def test_time_in_the_store_is_added_to_the_timings_given(workspace):
    del workspace
    timings = Timings()
    tracker = Tracker("digits", timings=timings)
    with tracker.reaching():
        pass
    assert "tracking" in timings.seconds()


def test_the_newest_experiment_is_found_by_name_or_date(workspace):
    del workspace
    digits, cifar10 = Tracker("digits"), Tracker("cifar10")
    assert newest_experiment(DEFAULT_URI, "digits") == digits.experiment_id
    assert newest_experiment(DEFAULT_URI) == cifar10.experiment_id


@pytest.mark.parametrize(("uri", "name"), [(DEFAULT_URI, "digits"), ("sqlite:///none.db", None)])
def test_where_there_are_no_runs_the_way_to_some_is_told_and_nothing_is_made(workspace, uri, name):
    with pytest.raises(SweepError) as refused:
        newest_experiment(uri, name)
    assert str(refused.value) == (
        f"no runs of {name or 'any experiment'} in {uri}; begin some with "
        "`sweep run --loss softmax --trials 50`"
    )
    assert not (workspace / "none.db").exists()


def test_what_is_sent_reaches_the_store_at_once_or_whoever_is_to_send_it(workspace):
    del workspace
    tracker, posted = Tracker("digits"), []
    tracker.send_by(lambda letter, _: posted.append(letter))
    tracker.send([News(run="new-1", name="one")])
    assert tracker.runs() == []
    assert tracker.run_id("new-1") is None
    tracker.send_by(None)
    tracker.send(posted[0])
    (run,) = tracker.runs()
    assert tracker.run_id("new-1") == run.info.run_id
    assert tracker.run_id(run.info.run_id) == run.info.run_id
    assert len(posted) == 1


def test_the_files_of_runs_lie_beside_the_database_and_a_server_keeps_its_own(workspace):
    assert Tracker("tiny").files_in() == workspace.resolve() / "mlruns" / "artifacts"
    tracker = Tracker("other")
    elsewhere = tracker.client.create_experiment("kept", artifact_location="mlflow-artifacts:/7")
    tracker.experiment_id = elsewhere
    assert tracker.files_in() is None


def test_an_experiment_that_another_process_creates_meanwhile_is_found(workspace, monkeypatch):
    del workspace
    first = Tracker("tiny")
    late = iter([None])  # what the other process made is not there yet, and then it is
    found = MlflowClient.get_experiment_by_name
    monkeypatch.setattr(
        MlflowClient, "get_experiment_by_name", lambda self, name: next(late, found(self, name))
    )
    assert Tracker("tiny").experiment_id == first.experiment_id


@pytest.mark.slow
def test_processes_that_start_at_once_make_one_database_and_one_experiment(tmp_path):
    program = (
        "import sys\n"
        "from sweep.tracking.tracker import Tracker\n"
        "print(Tracker('tiny', uri=sys.argv[1]).experiment_id)"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, f"sqlite:///{tmp_path}/runs.db"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    said = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * 3, said
    assert len({out for out, _ in said}) == 1

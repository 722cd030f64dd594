import os
import subprocess
import sys

import mlflow
import pytest
from mlflow import MlflowClient

from sweep.errors import StoreUnreachableError, SweepError
from sweep.tracking.tracker import EXAMPLE_URI, Tracker, newest_experiment, tracking_uri
from sweep.workspace import Workspace

WITH_LOGIN = "http://me:s3cr%40t@127.0.0.1:9/base"


def test_the_address_given_counts_before_the_environments_and_the_workspaces(monkeypatch):
    workspace = Workspace()
    for given, environment, counts in (
        (None, None, EXAMPLE_URI),
        (None, "http://there:5000", "http://there:5000"),
        ("http://here:5000", "http://there:5000", "http://here:5000"),
        (None, "", EXAMPLE_URI),
    ):
        if environment is not None:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", environment)
        assert tracking_uri(given, workspace) == counts


def test_the_experiment_is_made_once_and_its_artifacts_lie_beside_the_store(workspace):
    first, again = Tracker("digits", workspace), Tracker("digits", workspace)
    assert first.experiment_id == again.experiment_id
    experiment = first.client.get_experiment(first.experiment_id)
    assert experiment.artifact_location == (workspace.folder / "artifacts").as_uri()


def test_a_store_is_opened_without_changing_the_processs_tracking_address(workspace):
    before = mlflow.get_tracking_uri()
    Tracker("digits", workspace)
    assert mlflow.get_tracking_uri() == before
    assert "MLFLOW_TRACKING_URI" not in os.environ


def test_a_deleted_experiment_is_named_with_the_command_that_restores_it(workspace, tracker):
    tracker.client.delete_experiment(tracker.experiment_id)
    restore = f"`mlflow experiments restore --experiment-id {tracker.experiment_id}`"
    with pytest.raises(SweepError, match=f"'tiny' was deleted; .* {restore}"):
        Tracker("tiny", workspace)


def test_an_address_that_mlflow_does_not_take_is_refused_with_one_that_it_takes(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for uri in ("./mlruns", "mlruns", ".", "file:///tmp", "gopher://host"):
        with pytest.raises(SweepError) as refused:
            Tracker("digits", Workspace(), uri=uri)
        assert str(refused.value).startswith(f"not a tracking address that MLflow takes: {uri!r};")
        assert EXAMPLE_URI in str(refused.value)
        assert refused.value.exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_a_missing_driver_is_named_with_its_package_and_not_the_password(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(SweepError) as refused:
        Tracker("digits", Workspace(), uri="postgresql+psycopg2://me:s3cret@127.0.0.1:9/db")
    assert str(refused.value) == (
        "postgresql+psycopg2://***@127.0.0.1:9/db: its driver 'psycopg2' is not installed; "
        "`pip install psycopg2-binary`"
    )


def open_tracker(uri):
    Tracker("digits", Workspace(), uri=uri)


@pytest.mark.parametrize("contact", [open_tracker, newest_experiment])
def test_a_refused_port_is_said_at_once_in_one_line_without_the_password(monkeypatch, contact):
    waits = []
    monkeypatch.setattr("time.sleep", waits.append)
    with pytest.raises(StoreUnreachableError) as refused:
        contact(WITH_LOGIN)
    said = str(refused.value)
    assert said.startswith("MLflow at http://***@127.0.0.1:9/base does not do as asked: Connection")
    assert "refused" in said
    assert "\n" not in said
    assert refused.value.exit_code == 75
    assert sum(waits) < 5


def test_how_long_a_store_is_waited_for_is_the_users_choice_where_there_is_one(
    workspace, monkeypatch
):
    retries, seconds = "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"
    monkeypatch.setenv(retries, "7")
    monkeypatch.delenv(seconds, raising=False)
    Tracker("digits", workspace)
    assert (os.environ[retries], os.environ[seconds]) == ("7", "10")


def test_the_newest_experiment_is_found_by_name_or_date(workspace):
    digits, cifar10 = Tracker("digits", workspace), Tracker("cifar10", workspace)
    assert newest_experiment(digits.uri, "digits") == digits.experiment_id
    assert newest_experiment(digits.uri) == cifar10.experiment_id


def test_where_there_are_no_runs_the_way_to_some_is_told_and_nothing_is_made(workspace):
    address = tracking_uri(None, workspace)
    missing = workspace.root / "none.db"
    for uri, name in ((address, "digits"), (f"sqlite:///{missing}", None)):
        with pytest.raises(SweepError, match=f"no runs of {name or 'any experiment'} in {uri};"):
            newest_experiment(uri, name)
    assert not missing.exists()


def test_an_experiment_that_another_process_creates_meanwhile_is_found(
    workspace, tracker, monkeypatch
):
    late = iter([None])  # what the other process made is not there yet, and then it is
    found = MlflowClient.get_experiment_by_name
    monkeypatch.setattr(
        MlflowClient, "get_experiment_by_name", lambda self, name: next(late, found(self, name))
    )
    assert Tracker("tiny", workspace).experiment_id == tracker.experiment_id


@pytest.mark.slow
def test_processes_that_start_at_once_make_one_database_and_one_experiment(tmp_path):
    program = (
        "import sys\n"
        "from sweep.tracking.tracker import Tracker\n"
        "from sweep.workspace import Workspace\n"
        "print(Tracker('tiny', Workspace(), uri=sys.argv[1]).experiment_id)"
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

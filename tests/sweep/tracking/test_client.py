import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import mlflow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import OperationalError

from sweep.environment import environment
from sweep.errors import SweepError
from sweep.tracking import (
    Tracker,
    inputs,
    newest_experiment,
    provenance,
    tracking_uri,
    without_login,
)
from sweep.tracking.client import EXAMPLE_URI, NOTE, in_one_line, mask
from sweep.workspace import Workspace

LETTERS = st.text("abcABC012%$!.-_~", min_size=1, max_size=12)
WITH_LOGIN = "http://me:s3cr%40t@127.0.0.1:9/base"


def failure(error, uri=EXAMPLE_URI):
    """Return what is said of an error."""
    with pytest.raises(SweepError) as failed, in_one_line(uri):
        raise error
    assert "\n" not in str(failed.value)
    assert failed.value.__cause__ is error
    return failed.value


def after(error, *beneath):
    """Return an error that came of others."""
    outer = error
    for cause in beneath:
        error.__context__ = cause
        error = cause
    return outer


def test_the_address_given_counts_before_the_environments_and_the_workspaces(monkeypatch):
    for given_uri, environments, counts in (
        (None, None, EXAMPLE_URI),
        (None, "http://there:5000", "http://there:5000"),
        ("http://here:5000", "http://there:5000", "http://here:5000"),
        (None, "", EXAMPLE_URI),
    ):
        if environments is not None:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", environments)
        assert tracking_uri(given_uri, Workspace()) == counts


def test_what_is_shown_of_an_address_has_no_login():
    for uri, shown in (
        ("http://me:s3cr%40t@127.0.0.1:9/base", "http://***@127.0.0.1:9/base"),
        ("postgresql://me:pass@word@host/db", "postgresql://***@host/db"),
        ("http://token@host", "http://***@host"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        (EXAMPLE_URI, EXAMPLE_URI),
    ):
        assert mask(uri, uri) == shown
        assert mask(f"at {uri}: no", uri) == f"at {shown}: no"
        assert without_login(uri) == shown.replace("***@", "")


@given(LETTERS, LETTERS)
def test_neither_name_nor_password_is_left_of_any_login(user, password):
    uri = f"postgresql://{user}:{password}@host:5432/runs"
    assert mask(uri, uri) == "postgresql://***@host:5432/runs"
    assert without_login(uri) == "postgresql://host:5432/runs"


# What is said of a store that fails


def test_a_failure_names_its_cause_and_only_advice_that_helps():
    api = "API request to endpoint /x failed with error code {} != 200. Response body: '<html>'"
    ended = MlflowException("API request failed")
    for error, cause, helps in (
        (OSError(28, "No space left on device"), "No space left on device", "make room there"),
        (
            after(ended, ValueError(), OSError(111, "Connection refused")),
            "Connection refused",
            "up",
        ),
        (after(MlflowException("x"), TimeoutError("timed out")), "does not answer in time", "up"),
        (MlflowException(api.format(401)), "HTTP 401, it wants a login", "MLFLOW_TRACKING_TOKEN"),
        (MlflowException(api.format(404)), "HTTP 404, no MLflow server", "check the address"),
        (OperationalError("x", {}, Exception("database is locked")), "database is locked", "close"),
    ):
        said = str(failure(error))
        assert said.startswith(f"MLflow request to {EXAMPLE_URI} failed: ")
        assert cause in said
        assert helps in said.partition("; ")[2]
    for error, cause in ((MlflowException("first\nsecond"), "first"), (OSError(), "OSError")):
        assert str(failure(error)) == f"MLflow request to {EXAMPLE_URI} failed: {cause}"
    with pytest.raises(KeyError), in_one_line(EXAMPLE_URI):
        raise KeyError("ours")


def test_no_secret_of_an_address_or_header_is_repeated():
    for uri, text, shown in (
        (
            WITH_LOGIN,
            f"request to {WITH_LOGIN}/api failed",
            "request to http://***@127.0.0.1:9/base",
        ),
        ("http://127.0.0.1:9/?token=t0k3n", "no", "http://127.0.0.1:9/?token=*** failed"),
        ("http://a", "{'Authorization': 'Bearer abcdefgh1234'}, password=hunter2", "Bearer ***"),
        ("postgresql://me:p@s3cr@host/db", "no host 's3cr@host'", "no host '***@host'"),
    ):
        said = str(failure(MlflowException(text), uri))
        assert shown in said
        assert not any(secret in said for secret in ("s3cr", "t0k3n", "abcdefgh", "hunter2"))


class Server(ThreadingHTTPServer):
    """Answers every request with a status, or not at all for so many seconds."""

    daemon_threads = True
    status, seconds, seen = 500, 0.0, 0


class Handler(BaseHTTPRequestHandler):
    def answer(self):
        self.server.seen += 1
        time.sleep(self.server.seconds)
        self.send_error(self.server.status)

    do_GET = do_POST = answer  # noqa: N815 - as http.server has it

    def log_message(self, *_):
        """Keep silent."""


@contextmanager
def answering(status=500, seconds=0.0):
    server = Server(("127.0.0.1", 0), Handler)
    server.status, server.seconds = status, seconds
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def contact(uri, root):
    """Return what is said of an address at which nothing can be tracked; nothing is made."""
    for reach in (
        lambda: Tracker("digits", Workspace(root), uri=uri),
        lambda: newest_experiment(uri),
    ):
        with pytest.raises(SweepError) as refused:
            reach()
    assert list(root.iterdir()) == []
    return refused.value


def test_a_server_that_cannot_be_used_is_given_up_at_once_and_leaves_nothing_behind(
    tmp_path, monkeypatch
):
    waits = []
    monkeypatch.setattr("time.sleep", waits.append)
    refused = contact(WITH_LOGIN, tmp_path)
    assert refused.exit_code == 75
    assert str(refused).startswith("MLflow request to http://***@127.0.0.1:9/base failed: Conn")
    assert "refused; check that it is up" in str(refused)
    assert sum(waits) < 10
    for status, says in ((500, "HTTP 500"), (401, "wants a login"), (404, "no MLflow server")):
        with answering(status) as (_, uri):
            refused = contact(uri, tmp_path)
        assert (refused.exit_code, says in str(refused)) == (75, True), str(refused)


@pytest.mark.slow
def test_a_server_that_does_not_answer_is_given_up_after_what_the_environment_says(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with answering(seconds=1.5) as (server, uri):
        assert "it does not answer in time" in str(contact(uri, tmp_path))
        assert server.seen == 4  # twice a contact


def test_a_proxy_of_the_environment_is_named_with_the_way_around_it(tmp_path, monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://me:s3cret@127.0.0.1:9")
    with answering() as (server, uri):
        said = str(contact(uri, tmp_path))
        assert "through the proxy http://***@127.0.0.1:9" in said
        assert "`NO_PROXY=127.0.0.1` in the environment" in said
        assert server.seen == 0
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert "proxy" not in str(contact(uri, tmp_path))
        assert server.seen > 0


def test_a_missing_driver_is_named_with_its_package_and_not_the_password(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    refused = contact("postgresql+psycopg2://me:s3cret@127.0.0.1:9/db", tmp_path)
    assert str(refused) == (
        "postgresql+psycopg2://***@127.0.0.1:9/db: its driver 'psycopg2' is not installed; "
        "`pip install psycopg2-binary`"
    )


def test_tables_of_another_version_are_named_with_the_one_command_that_mends_it(workspace):
    uri = tracking_uri(None, workspace)
    for revision, says in (
        ("acf3f17fdcc7", f"of an earlier MLflow than {mlflow.__version__}; keep a copy of it, "),
        ("ffffffffffff", "of a later MLflow than .* pip install --upgrade mlflow"),
    ):
        with closing(sqlite3.connect(workspace.mlflow_database)) as store:
            store.execute("UPDATE alembic_version SET version_num = ?", (revision,))
            store.commit()
        with pytest.raises(SweepError, match=says) as refused:
            Tracker("digits", workspace)
        assert refused.value.exit_code == 1
        assert ("mlflow db upgrade " + uri in str(refused.value)) == (revision[0] == "a")


# The experiment


def test_the_experiment_is_made_once_and_its_artifacts_lie_beside_the_store(workspace):
    first, again = Tracker("digits", workspace), Tracker("digits", workspace)
    assert first.experiment_id == again.experiment_id
    experiment = first.client.get_experiment(first.experiment_id)
    assert experiment.artifact_location == (workspace.folder / "artifacts").as_uri()


def test_a_store_is_used_without_changing_environment_folder_or_mlflows_own_address(workspace):
    before = dict(os.environ), Path.cwd(), mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    tracker = Tracker("digits", workspace)
    tracker.client.create_run(tracker.experiment_id)
    newest_experiment(tracker.uri)
    after = dict(os.environ), Path.cwd(), mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    assert after == before


def test_a_description_is_given_once_and_stays(tracker):
    for text in ("of the first study", "of another"):
        tracker.describe(text)
        tags = tracker.client.get_experiment(tracker.experiment_id).tags
        assert tags[NOTE] == "of the first study"


def test_a_deleted_experiment_is_named_with_the_command_that_brings_it_back(workspace, tracker):
    tracker.client.delete_experiment(tracker.experiment_id)
    elsewhere = f"sqlite:///{workspace.root}/mlruns/../mlruns/mlflow.db"
    for uri, option in ((None, ""), (elsewhere, f" --tracking-uri {elsewhere}")):
        with pytest.raises(
            SweepError, match=f"'tiny' was deleted; `sweep doctor --repair{option}`"
        ):
            Tracker("tiny", workspace, uri=uri)
    with pytest.raises(SweepError, match="'tiny' was deleted"):
        newest_experiment(tracker.uri, "tiny")
    restored = Tracker("tiny", workspace, restore=True)
    assert (restored.restored, restored.experiment_id) == (True, tracker.experiment_id)
    assert not Tracker("tiny", workspace, restore=True).restored


def test_an_experiment_that_was_renamed_is_found_and_not_made_again(workspace, tracker):
    tracker.client.rename_experiment(tracker.experiment_id, "linear probes")
    again = Tracker("tiny", workspace)
    assert (again.experiment, again.experiment_id) == ("linear probes", tracker.experiment_id)
    assert newest_experiment(tracker.uri, "tiny") == tracker.experiment_id
    tracker.client.delete_experiment(tracker.experiment_id)
    with pytest.raises(SweepError, match="'linear probes' was deleted"):
        Tracker("tiny", workspace)


def test_an_experiment_that_others_made_is_used_and_found_when_it_is_renamed(workspace, tracker):
    theirs = tracker.client.create_experiment("digits")
    ours = Tracker("digits", workspace)
    assert ours.experiment_id == theirs
    ours.describe("a study")
    tracker.client.rename_experiment(theirs, "more")
    assert Tracker("digits", workspace).experiment_id == theirs


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
    monkeypatch.setattr(MlflowClient, "search_experiments", lambda *_, **__: [])
    assert Tracker("tiny", workspace).experiment_id == tracker.experiment_id


@pytest.mark.slow
def test_processes_that_start_at_once_make_one_database_and_one_experiment(tmp_path):
    program = (
        "import sys\n"
        "from sweep.tracking import Tracker\n"
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


# What a run's numbers rest on


def test_digests_environment_and_git_state_are_tags(make_config, monkeypatch):
    state = {"commit": "abc", "branch": "main", "dirty": "True"}
    monkeypatch.setattr("sweep.tracking.client.git_state", lambda: state)
    data = make_config().data
    tags = provenance(data)
    assert (tags["data"], tags["data_digest"]) == ("tiny", data.data_digest)
    assert tags["split_digest"] == data.split_digest
    assert (tags["git.commit"], tags["git.branch"], tags["git.dirty"]) == ("abc", "main", "True")
    for name, value in environment().items():
        assert tags[f"environment.{name}"] == value
    assert provenance(data, {"numpy": "1.0"})["environment.numpy"] == "1.0"


def test_both_parts_of_the_split_are_inputs_with_their_size_and_where_they_lie(
    make_config, tiny_data
):
    data, told = make_config().data, {}
    for each in inputs(data, tiny_data):
        told[each["context"]] = json.loads(each["profile"])
        assert data.split_digest.startswith(each["digest"])
        source = {"source": data.source, "data_digest": data.data_digest}
        assert json.loads(each["source"]) == source
    assert told == {
        "training": {"rows": 45, "features": 12},
        "validation": {"rows": 15, "features": 12},
    }

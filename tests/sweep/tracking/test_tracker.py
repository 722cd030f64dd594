import os

import pytest
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import OperationalError

from sweep.errors import StoreUnreachableError, SweepError
from sweep.timings import Timings
from sweep.tracking.tracker import (
    DEFAULT_URI,
    Tracker,
    first_contact,
    mask,
    newest_experiment,
    tracking_uri,
    without_login,
)

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


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        (WITH_LOGIN, "http://***@127.0.0.1:9/base"),
        ("postgresql://me:pass@word@host/db", "postgresql://***@host/db"),
        ("http://token@host", "http://***@host"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        (DEFAULT_URI, DEFAULT_URI),
    ],
)
def test_what_is_shown_of_an_address_has_no_login(uri, shown):
    assert mask(uri, uri) == shown
    assert mask(f"at {uri}: no", uri) == f"at {shown}: no"
    assert without_login(uri) == shown.replace("***@", "")


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

    def import_driver(*_, **__):
        raise ModuleNotFoundError("No module named 'psycopg'", name="psycopg")

    monkeypatch.setattr("mlflow.MlflowClient", import_driver)
    with pytest.raises(SweepError) as refused:
        Tracker("digits", uri="postgresql://me:s3cret@127.0.0.1:9/db")
    assert str(refused.value) == (
        "postgresql://***@127.0.0.1:9/db: its driver 'psycopg' is not installed; "
        "`pip install 'psycopg[binary]'`"
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


def test_what_lies_beneath_a_failure_is_told(workspace):
    tracker = Tracker("digits")
    for error, reason in (
        (OSError(28, "No space left on device"), "No space left on device"),
        (OperationalError("UPDATE", {}, Exception("disk is full")), "(builtins.Exception) disk"),
        (OSError(), "OSError"),
    ):
        with pytest.raises(StoreUnreachableError) as failed, tracker.reaching():
            raise error
        assert f"sqlite:///mlruns/mlflow.db does not do as asked: {reason}" in str(failed.value)
        assert "\n" not in str(failed.value)
    assert (workspace / "mlruns").exists()


def test_what_is_no_failure_of_the_store_is_left_as_it_is(workspace):
    del workspace
    with pytest.raises(KeyError), Tracker("digits").reaching():
        raise KeyError("ours")


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


def test_a_password_that_the_store_repeats_is_left_out():
    with pytest.raises(StoreUnreachableError) as failed, first_contact(WITH_LOGIN):
        raise MlflowException(f"API request to {WITH_LOGIN}/api failed")
    assert str(failed.value).startswith(
        "MLflow at http://***@127.0.0.1:9/base does not do as asked: "
        "API request to http://***@127.0.0.1:9/base/api failed; "
    )

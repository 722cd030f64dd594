import pytest
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import OperationalError

from sweep.errors import StoreUnreachableError
from sweep.tracking.contact import in_one_line

URI = "sqlite:///mlruns/mlflow.db"
WITH_LOGIN = "http://me:s3cr%40t@127.0.0.1:9/base"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (OperationalError("UPDATE", {}, Exception("disk is full")), "disk is full; "),
        (MlflowException("first\nsecond"), "first; "),
        (OSError(), "OSError"),
    ],
)
def test_a_failure_of_the_store_is_one_line_that_says_where_and_why(error, reason):
    with pytest.raises(StoreUnreachableError) as failed, in_one_line(URI):
        raise error
    assert str(failed.value).startswith(f"MLflow at {URI} does not do as asked: {reason}")
    assert "\n" not in str(failed.value)
    assert failed.value.__cause__ is error


def test_what_the_system_said_is_told_however_deep_it_lies():
    error, between = MlflowException("API request failed"), ValueError("three retries")
    error.__context__ = between
    between.__cause__ = OSError(111, "Connection refused")
    with pytest.raises(StoreUnreachableError) as failed, in_one_line(URI):
        raise error
    assert "asked: Connection refused; " in str(failed.value)


def test_what_is_no_failure_of_the_store_is_left_as_it_is():
    with pytest.raises(KeyError), in_one_line(URI):
        raise KeyError("ours")


def test_a_password_that_the_store_repeats_is_left_out():
    with pytest.raises(StoreUnreachableError) as failed, in_one_line(WITH_LOGIN):
        raise MlflowException(f"API request to {WITH_LOGIN}/api failed")
    assert str(failed.value).startswith(
        "MLflow at http://***@127.0.0.1:9/base does not do as asked: "
        "API request to http://***@127.0.0.1:9/base/api failed; "
    )


def test_no_token_of_an_address_or_header_is_repeated():
    uri = "http://127.0.0.1:9/?token=t0k3n"
    said = f"request to {uri} failed: {{'Authorization': 'Bearer abcdefgh1234'}}, password=hunter2"
    with pytest.raises(StoreUnreachableError) as failed, in_one_line(uri):
        raise MlflowException(said)
    for secret in ("t0k3n", "abcdefgh", "hunter2"):
        assert secret not in str(failed.value)
    assert "MLflow at http://127.0.0.1:9/?token=*** does not" in str(failed.value)


def test_a_part_of_a_password_that_was_taken_for_a_host_is_left_out():
    uri = "postgresql://me:p@s3cr@127.0.0.1:9/db"
    with pytest.raises(StoreUnreachableError) as failed, in_one_line(uri):
        raise MlflowException("failed to resolve host 's3cr@127.0.0.1'")
    assert "s3cr" not in str(failed.value)
    assert "failed to resolve host '***@127.0.0.1'" in str(failed.value)

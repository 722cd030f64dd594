"""Talking to a tracking store that may fail: in one line, and within seconds."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.disks import with_room
from sweep.errors import StoreUnreachableError
from sweep.tracking.address import database_path, mask

if TYPE_CHECKING:
    from collections.abc import Iterator

HASTE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}


@contextmanager
def first_contact(uri: str) -> Iterator[None]:
    """Say in one line that a store does not answer, within seconds."""
    with hasty(), in_one_line(uri):
        yield


@contextmanager
def hasty() -> Iterator[None]:
    """Give up on a store that does not answer within seconds, not after MLflow's minutes."""
    with _environment(HASTE):
        yield


@contextmanager
def in_one_line(uri: str) -> Iterator[None]:
    """Turn a failing store into one line that says which and why, without its password."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise StoreUnreachableError(
            f"MLflow at {mask(uri, uri)} does not do as asked: {mask(_reason(error, uri), uri)}; "
            "check that it is up and has space, then run the same command again"
        ) from error


def _reason(error: BaseException, uri: str) -> str:
    """Return what the system or the database said where that lies beneath, else the first line."""
    from sqlalchemy.exc import DBAPIError

    beneath: BaseException | None = error
    while beneath is not None:
        if isinstance(beneath, OSError) and beneath.strerror:
            place = beneath.filename2 or beneath.filename or database_path(uri)
            return beneath.strerror if place is None else with_room(beneath.strerror, Path(place))
        if isinstance(beneath, DBAPIError) and beneath.orig is not None:
            said = str(beneath.orig).splitlines()[0]
            database = database_path(uri)
            return said if database is None else with_room(said, database)
        beneath = beneath.__cause__ or beneath.__context__
    return (str(error) or type(error).__name__).splitlines()[0]


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables that the user has not set, for the length of a block."""
    fresh = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(fresh)
    try:
        yield
    finally:
        for name in fresh:
            del os.environ[name]

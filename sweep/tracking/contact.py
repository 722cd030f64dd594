"""What is said, in one line, of a tracking store that fails."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.disks import with_room
from sweep.errors import StoreUnreachableError
from sweep.tracking.address import database_path, mask

if TYPE_CHECKING:
    from collections.abc import Iterator


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
            "check that it is up and has space"
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

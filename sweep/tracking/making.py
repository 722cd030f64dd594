"""MLflow's tables, made once: as a whole file, or by one process of all machines."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sweep.advisory import advisory_lock
from sweep.databases import make_whole
from sweep.postgresql import check_unmixed, is_postgresql, table_names
from sweep.tracking.address import database_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


TABLE = "experiments"
"""One of MLflow's, and of no other program's."""


@contextmanager
def making(uri: str) -> Iterator[None]:
    """Let a client that begins within the block make what is missing, and no other meanwhile.

    MLflow makes the tables of a server's database when its first client begins, and fails where two
    begin at once. Those of a file are made here: its migrations take seconds, see `make_whole`.
    """
    if is_postgresql(uri):
        from sqlalchemy import make_url

        with advisory_lock(make_url(uri), "mlflow"):
            check_unmixed(make_url(uri), TABLE)
            yield
        return
    database = database_path(uri)
    if database is not None and database.parent.is_dir():
        make_whole(database, _migrate)
    yield


def is_missing(uri: str) -> bool:
    """Whether a database is still to be made; no server's, which makes its own."""
    database = database_path(uri)
    if database is not None:
        return not database.exists()
    if not is_postgresql(uri):
        return False
    from sqlalchemy import make_url

    return TABLE not in table_names(make_url(uri))


def _migrate(path: Path) -> None:
    from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore(f"sqlite:///{path}", DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH)  # type: ignore[no-untyped-call]  # MLflow has no types here
    store.engine.dispose()

"""MLflow's tables in a file of SQLite, made as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.databases import make_whole
from sweep.tracking.address import database_path

if TYPE_CHECKING:
    from pathlib import Path


def make_tables(uri: str) -> None:
    """Make a file with MLflow's tables, where it is missing: its migrations take seconds.

    A server makes its own.
    """
    database = database_path(uri)
    if database is not None and database.parent.is_dir():
        make_whole(database, _migrate)


def _migrate(path: Path) -> None:
    from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore(f"sqlite:///{path}", DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH)  # type: ignore[no-untyped-call]  # MLflow has no types here
    store.engine.dispose()

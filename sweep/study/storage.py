"""The Optuna store: one SQLite file, set up so that two processes never lose a write."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager, suppress
from json import JSONDecodeError
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.databases import check_tables, make_whole
from sweep.errors import StoreUnreachableError, SweepError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from optuna.storages import BaseStorage

FOLDER = Path("mlruns")
STORE = FOLDER / "optuna.db"
LOCK_TIMEOUT_SECONDS = 60


def create_storage() -> BaseStorage:
    """Open the store of the working folder; make it if it is not there."""
    with making_stores():
        return _open()


@contextmanager
def making_stores() -> Iterator[None]:
    """Let one process at a time make databases: two at once leave both of them failing."""
    from filelock import FileLock

    try:
        FOLDER.mkdir(exist_ok=True)
        lock = FileLock(FOLDER / "making.lock").acquire()
    except OSError as error:
        raise SweepError(
            f"{FOLDER}/ cannot be made here: {error.strerror}; change to a folder you may write to"
        ) from error
    with lock:
        yield


def open_storage() -> BaseStorage:
    """Open the store of the working folder, or say that there is none."""
    if not STORE.exists():
        raise SweepError(
            f"no studies here: {STORE} does not exist; begin one with "
            "`sweep run --loss softmax --trials 50`, or change to the folder that holds it"
        )
    return _open()


def _open() -> BaseStorage:
    import optuna
    from optuna.storages import RDBStorage, get_storage
    from sqlalchemy import event

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with reaching_store():
            _check_tables()
            make_whole(STORE, lambda path: RDBStorage(f"sqlite:///{path}").engine.dispose())
            storage = RDBStorage(
                f"sqlite:///{STORE}",
                engine_kwargs={"connect_args": {"timeout": LOCK_TIMEOUT_SECONDS}},
            )
    except RuntimeError as error:  # Optuna's word for tables that it does not know
        raise SweepError(
            f"{STORE}: its tables are those of another version of Optuna than "
            f"{optuna.__version__}; install the one that wrote it, or move the file away"
        ) from error

    @event.listens_for(storage.engine, "connect")
    def _durable(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.isolation_level = None  # transactions begin as the listener below says

    # With SQLite's deferred transactions, two processes may pop the same waiting trial.
    @event.listens_for(storage.engine, "begin")
    def _immediate(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    storage.engine.dispose()  # drops the connection that was opened before the listeners
    return get_storage(storage)  # with Optuna's cache of finished trials


def _check_tables() -> None:
    if STORE.is_file():
        with suppress(sqlite3.DatabaseError):  # whoever opens it says so better
            check_tables(STORE, "studies")


@contextmanager
def reaching_store() -> Iterator[None]:
    """Turn a failing database into one line that says which and why."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import DatabaseError

    try:
        yield
    except (StorageInternalError, DatabaseError, JSONDecodeError) as error:
        cause = error.__cause__ or error
        detail = str(getattr(cause, "orig", cause)).splitlines()[0]
        if "readonly" in detail:
            raise SweepError(
                f"{STORE}: cannot be written: {detail}; work in a folder you may write to, "
                "e.g. a copy of this one"
            ) from error
        raise StoreUnreachableError(
            f"{STORE}: the study store does not answer: {detail}; check the disk and the "
            "file's permissions, then run the same command again"
        ) from error

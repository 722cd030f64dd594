"""The Optuna store of the working folder, a SQLite file, where no process loses a write."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager, suppress
from json import JSONDecodeError
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sweep.databases import check_tables, make_whole
from sweep.disks import with_room
from sweep.errors import StoreUnreachableError, SweepError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from optuna.storages import BaseStorage, RDBStorage

FOLDER = Path("mlruns")
STORE = FOLDER / "optuna.db"
LOCK_TIMEOUT_SECONDS = 60


def create_storage() -> BaseStorage:
    """Open the store; make it if it is not there."""
    with making_stores():
        return _open()


def open_storage() -> BaseStorage:
    """Open the store, or say that there is none."""
    if not STORE.exists():
        raise SweepError(
            f"no studies here: {STORE} does not exist; begin one with "
            "`sweep run --loss softmax --trials 50`, or change to the folder that holds it"
        )
    return _open()


def making_stores() -> AbstractContextManager[None]:
    """Let one process at a time make databases: two at once leave both of them failing."""
    return locked("making")


def backend_of(storage: BaseStorage) -> RDBStorage:
    """Return the database beneath Optuna's cache."""
    backend: Any = getattr(storage, "_backend", storage)
    return cast("RDBStorage", backend)


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Let one process at a time do in the working folder what `name` says."""
    from filelock import FileLock

    path = FOLDER / f"{name}.lock"
    lock = FileLock(path)
    try:
        FOLDER.mkdir(exist_ok=True)
        lock.acquire()
    except OSError as error:
        said = f"{path}: cannot be locked" if FOLDER.is_dir() else f"{FOLDER}/ cannot be made here"
        raise SweepError(
            f"{said}: {error.strerror}; change to a folder you may write to"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _open() -> BaseStorage:
    import optuna
    from optuna.storages import get_storage

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with reaching_store():
            storage = _open_file()
    except RuntimeError as error:  # Optuna's word for tables that it does not know
        raise SweepError(
            f"{STORE}: its tables are those of another version of Optuna than "
            f"{optuna.__version__}; install the one that wrote it, or move the file away"
        ) from error
    return get_storage(storage)  # with Optuna's cache of finished trials


def _open_file() -> RDBStorage:
    from optuna.storages import RDBStorage
    from sqlalchemy import event

    _check_tables()
    make_whole(STORE, lambda path: RDBStorage(f"sqlite:///{path}").engine.dispose())
    storage = RDBStorage(
        f"sqlite:///{STORE}",
        engine_kwargs={"connect_args": {"timeout": LOCK_TIMEOUT_SECONDS}},
    )

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
    return storage


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
        detail = with_room(str(getattr(cause, "orig", cause)).splitlines()[0], STORE)
        if "readonly" in detail:
            raise SweepError(
                f"{STORE}: cannot be written: {detail}; work in a folder you may write to, "
                "e.g. a copy of this one"
            ) from error
        raise StoreUnreachableError(
            f"{STORE}: the study store does not answer: {detail}; check the disk and the "
            "file's permissions, then run the same command again"
        ) from error

"""The Optuna store, a SQLite file or a PostgreSQL database, where no process loses a write."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, contextmanager, suppress
from json import JSONDecodeError
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sweep.advisory import advisory_lock
from sweep.databases import check_tables, make_whole
from sweep.disks import with_room
from sweep.errors import StoreUnreachableError, SweepError
from sweep.postgresql import check_driver, explained, is_postgresql, place, read_address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from optuna.storages import BaseStorage, RDBStorage
    from sqlalchemy import URL

FOLDER = Path("mlruns")
STORE = FOLDER / "optuna.db"
LOCK_TIMEOUT_SECONDS = 60


def create_storage(address: str | None = None) -> BaseStorage:
    """Open the store at an address, else of the working folder; make it if it is not there."""
    with making_stores(address):
        return _open(address, make=True)


def make_storage(address: str | None = None) -> bool:
    """Make the store at an address, else in the working folder; return whether it was missing."""
    with making_stores(address):
        missing = not _is_there(address)
        backend_of(_open(address, make=True)).engine.dispose()
    return missing


def _is_there(address: str | None) -> bool:
    if address is None:
        return STORE.exists()
    from sweep.study.postgresql import is_made

    url = read_address(address)
    with _reaching_database(url):
        return is_made(url)


def open_storage(address: str | None = None) -> BaseStorage:
    """Open the store at an address, else of the working folder, or say that there is none."""
    if address is None and not STORE.exists():
        raise SweepError(
            f"no studies here: {STORE} does not exist; begin one with "
            "`sweep run --loss softmax --trials 50`, or change to the folder that holds it"
        )
    return _open(address, make=False)


@contextmanager
def making_stores(address: str | None = None) -> Iterator[None]:
    """Let one process at a time make databases: two at once leave both of them failing."""
    with _lock_at(None if address is None else read_address(address), "making") as _:
        yield


@contextmanager
def locked(storage: BaseStorage, name: str) -> Iterator[None]:
    """Let one process at a time, on all machines that share a store, do what `name` says."""
    with _lock_at(address_of(storage), name) as _:
        yield


@contextmanager
def trying_lock(storage: BaseStorage, name: str) -> Iterator[bool]:
    """Take the lock of `locked` if nobody has it, and yield at once whether that was so."""
    with _lock_at(address_of(storage), name, wait=False) as held:
        yield held


def backend_of(storage: BaseStorage) -> RDBStorage:
    """Return the database beneath Optuna's cache."""
    backend: Any = getattr(storage, "_backend", storage)
    return cast("RDBStorage", backend)


def address_of(storage: BaseStorage | None) -> URL | None:
    """Return the address of a store that machines share; None of a SQLite file."""
    from sqlalchemy import make_url

    address = None if storage is None else str(getattr(backend_of(storage), "url", ""))
    return make_url(address) if address and is_postgresql(address) else None


def name_of(address: str | None) -> str:
    """Return the name of the store at an address as it may be shown."""
    return str(STORE) if address is None else place(read_address(address))


def place_of(storage: BaseStorage | None) -> str:
    """Return the name of a store as it may be shown, without its login."""
    url = address_of(storage)
    return str(STORE) if url is None else place(url)


@contextmanager
def _lock_at(url: URL | None, name: str, *, wait: bool = True) -> Iterator[bool]:
    if url is None:
        with _file_lock(name, wait=wait) as held:
            yield held
        return
    check_driver(url)
    with ExitStack() as stack:
        with _reaching_database(url):  # and not around the block, whose failures are its own
            held = stack.enter_context(advisory_lock(url, name, wait=wait))
        yield held


@contextmanager
def _file_lock(name: str, *, wait: bool) -> Iterator[bool]:
    from filelock import FileLock, Timeout

    path = FOLDER / f"{name}.lock"
    lock = FileLock(path, timeout=-1 if wait else 0)
    try:
        FOLDER.mkdir(exist_ok=True)
        lock.acquire()
    except Timeout:
        held = False
    except OSError as error:
        said = f"{path}: cannot be locked" if FOLDER.is_dir() else f"{FOLDER}/ cannot be made here"
        raise SweepError(
            f"{said}: {error.strerror}; change to a folder you may write to"
        ) from error
    else:
        held = True
    try:
        yield held
    finally:
        if held:
            lock.release()


def _open(address: str | None, *, make: bool) -> BaseStorage:
    import optuna
    from optuna.storages import get_storage

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    url = None if address is None else read_address(address)
    try:
        if url is None:
            with reaching_store():
                storage = _open_file()
        else:
            from sweep.study.postgresql import open_database

            with _reaching_database(url):
                storage = open_database(url, make=make)
    except RuntimeError as error:  # Optuna's word for tables that it does not know
        name, way = (STORE, "move the file away") if url is None else (place(url), "name another")
        raise SweepError(
            f"{name}: its tables are those of another version of Optuna than "
            f"{optuna.__version__}; install the one that wrote it, or {way}"
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
def reaching_store(storage: BaseStorage | None = None) -> Iterator[None]:
    """Turn a failing database into one line that says which and why."""
    url = address_of(storage)
    with _reaching_database(url) if url is not None else _reaching_file():
        yield


@contextmanager
def _reaching_database(url: URL) -> Iterator[None]:
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        raise explained(error.__cause__ or error, url) from error


@contextmanager
def _reaching_file() -> Iterator[None]:
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

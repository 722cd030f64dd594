"""The Optuna store of a working folder, a SQLite file, and what of it has no better public name."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import ExitStack, contextmanager, suppress
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any

from sweep.errors import StoreUnreachableError, SweepError
from sweep.io import check_tables, file_lock, make_whole, may_write, read_only, with_room

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage, RDBStorage
    from optuna.trial import FrozenTrial

    from sweep.workspace import Workspace

LOCK_TIMEOUT_SECONDS = 60


class _Connection(sqlite3.Connection):
    """A connection whose commits wait, while its thread is in `one_transaction`, for the end."""

    thread = threading.local()

    def commit(self) -> None:
        if not getattr(self.thread, "waits", False):
            super().commit()


@contextmanager
def one_transaction(storage: BaseStorage) -> Iterator[None]:
    """Let all that the block writes be there, or nothing of it.

    Optuna commits each value by itself; of a trial with its curve that would be dozens.
    """
    from optuna.storages import RDBStorage

    if not isinstance(storage, RDBStorage):  # in memory: it ends with its process
        yield
        return
    connection = storage.engine.raw_connection()
    try:
        _Connection.thread.waits = True
        try:
            yield
        finally:
            _Connection.thread.waits = False
        connection.commit()
    except BaseException:
        connection.rollback()  # also where the commit failed: it would keep the database locked
        raise
    finally:
        connection.close()


def create_storage(workspace: Workspace) -> RDBStorage:
    """Open the store; make it if it is not there."""
    with locked(workspace, "initialize"):  # two processes at once leave both of them failing
        return _open(workspace)


def open_storage(workspace: Workspace) -> RDBStorage:
    """Open the store, or say that there is none."""
    if not workspace.optuna_database.exists():
        raise SweepError(
            f"no studies here: {workspace.optuna_database} does not exist; begin one with "
            "`sweep run --loss softmax --trials 50`, or change to the folder that holds it"
        )
    return _open(workspace)


@contextmanager
def locked(workspace: Workspace, name: str) -> Iterator[None]:
    """Let one process at a time do in the working folder what `name` says."""
    folder, path = workspace.folder, workspace.lock(name)
    with ExitStack() as held:
        try:
            folder.mkdir(exist_ok=True)
            held.enter_context(file_lock(path))
        except OSError as error:
            what = f"{path}: cannot be locked" if folder.is_dir() else f"{folder}/ cannot be made"
            raise SweepError(
                f"{what}: {error.strerror}; change to a folder you may write to"
            ) from error
        yield


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Keep Optuna from telling of each study that is made; the user's verbosity comes back."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(level, optuna.logging.WARNING))
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)


def add_trial(storage: BaseStorage, study: str, trial: FrozenTrial) -> int:
    """Add a trial as it is; return its number.

    `Study.add_trial` keeps the number to itself, and to find it all trials have to be read.
    """
    study_id = storage.get_study_id_from_name(study)
    trial_id = storage.create_new_trial(study_id, template_trial=trial)
    return storage.get_trial_number_from_id(trial_id)


def set_trial_attribute(
    storage: BaseStorage, study: str, number: int, key: str, value: object
) -> None:
    """Set a user attribute of a trial that has not ended; an earlier value is overwritten.

    `Trial.set_user_attr` would do, but nothing public gives the `Trial` of another process.
    """
    storage.set_trial_user_attr(_trial_id(storage, study, number), key, value)


def set_intermediate_values(
    storage: BaseStorage, study: str, number: int, values: Sequence[float]
) -> None:
    """Set the objective after each epoch, from 1, of a trial that has not ended.

    `Trial.report` would do, but there is no `Trial`, and it warns of values that are there already.
    """
    trial_id = _trial_id(storage, study, number)
    for epoch, value in enumerate(values, start=1):
        storage.set_trial_intermediate_value(trial_id, epoch, value)


def claim_trial(
    storage: BaseStorage,
    study: str,
    number: int,
    params: Mapping[str, Any],
    distributions: Mapping[str, BaseDistribution],
) -> None:
    """Let a trial that waits run with these parameters; `Study.ask` takes whichever waits first."""
    from optuna.trial import TrialState

    trial_id = _trial_id(storage, study, number)
    storage.set_trial_state_values(trial_id, TrialState.RUNNING)
    for name, distribution in distributions.items():
        internal = distribution.to_internal_repr(params[name])
        storage.set_trial_param(trial_id, name, internal, distribution)


def fail_waiting_trial(storage: BaseStorage, study: str, number: int) -> None:
    """End a trial that waits as failed; `Study.tell` takes none that does not run."""
    from optuna.trial import TrialState

    storage.set_trial_state_values(_trial_id(storage, study, number), TrialState.FAIL)


def _trial_id(storage: BaseStorage, study: str, number: int) -> int:
    study_id = storage.get_study_id_from_name(study)
    return storage.get_trial_id_from_study_id_trial_number(study_id, number)


def _open(workspace: Workspace) -> RDBStorage:
    import optuna

    path = workspace.optuna_database
    try:
        with reaching_store(workspace):
            if path.is_file():
                with suppress(sqlite3.DatabaseError, OSError):  # whoever opens it says so better
                    check_tables(path, "studies")
            make_whole(path, lambda partial: _connect(partial).engine.dispose())
            return _connect(path)
    except RuntimeError as error:  # Optuna's word for tables that it does not know
        raise SweepError(
            f"{path}: its tables are those of another version of Optuna than "
            f"{optuna.__version__}; install the one that wrote it, or move the file away"
        ) from error


def _connect(path: Path) -> RDBStorage:
    """Open a database in which no process loses a write, whatever its folder is called.

    Where nothing may be written, it is read.
    """
    from optuna.storages import RDBStorage

    writable = not path.exists() or (may_write(path.parent) and os.access(path, os.W_OK))
    address = path.absolute().as_uri() if writable else read_only(path)

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            address,
            uri=True,
            timeout=LOCK_TIMEOUT_SECONDS,
            # A transaction that reads first and then finds another's write would fail.
            isolation_level="IMMEDIATE",
            check_same_thread=False,
            factory=_Connection,
        )
        if writable:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
        return connection

    # The pool would end a transaction that is not over, see `one_transaction`.
    options = {"creator": connect, "pool_reset_on_return": None}
    return RDBStorage("sqlite://", engine_kwargs=options)


@contextmanager
def reaching_store(workspace: Workspace) -> Iterator[None]:
    """Turn a failing database into one line that says which and why."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import DatabaseError

    path = workspace.optuna_database
    try:
        yield
    except (StorageInternalError, DatabaseError, sqlite3.Error, JSONDecodeError) as error:
        cause: Any = error.__cause__ or error
        detail = with_room(str(getattr(cause, "orig", cause)).splitlines()[0], path)
        if "readonly" in detail:
            raise SweepError(
                f"{path}: cannot be written: {detail}; work in a folder you may write to, "
                "e.g. a copy of this one"
            ) from error
        raise StoreUnreachableError(
            f"{path}: the study store does not answer: {detail}; check the disk and the "
            "file's permissions, then run the same command again"
        ) from error

"""A mirror in a Python process of its own: MLflow's imports and calls hold up no training.

Importing MLflow takes over a second, making its tables another, and each of its calls holds the
interpreter for 6 to 10 ms. All of that happens beside the study, on another core.
"""

from __future__ import annotations

import atexit
import json
import os
import pickle
import sqlite3
import subprocess
import sys
import threading
import traceback
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any, Concatenate, NamedTuple, ParamSpec, TypeVar
from uuid import uuid4

from sweep.environment import collect_rarely, print_warnings_of_packages
from sweep.errors import StoreUnreachableError, SweepError
from sweep.io import file_lock
from sweep.tracking.client import Tracker, check_address, database_path, tracking_uri
from sweep.tracking.mirror import Mirror
from sweep.tracking.undocumented import load_mlflow, own_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from sweep.tracking.mirror import RunState
    from sweep.workspace import Workspace

P = ParamSpec("P")
T = TypeVar("T")

PROGRAM = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); import {0}; {0}.serve()"
RELEASE = "release"
CLOSE_SECONDS = 5.0
LOCK_SECONDS = 60.0


class Connection(NamedTuple):
    """Where the runs of one study are sent."""

    study: str
    experiment: str
    workspace: Workspace
    uri: str | None
    program: str
    environment: dict[str, str]
    token: str
    """Tells the mirrors of one process apart, each of which knows what it has sent."""


class RemoteMirror:
    """A `Mirror` in another process, with its interface.

    Making one starts the process, which begins to import; the first call connects. As long as it is
    connected no other process mirrors the study: not even one whose study was killed a moment ago.

    Parameters
    ----------
    study
        Its name.
    experiment, workspace, uri
        As of a `Tracker`.

    """

    def __init__(
        self, study: str, experiment: str, workspace: Workspace, *, uri: str | None = None
    ) -> None:
        address = uri or os.environ.get("MLFLOW_TRACKING_URI")
        self._connection = Connection(
            study=study,
            experiment=experiment,
            workspace=replace(workspace, root=workspace.root.absolute()),
            uri=None if address is None else _absolute(address),
            program=sys.argv[0],
            environment=dict(os.environ),
            token=uuid4().hex,
        )
        self.is_new = not _exists(self._connection)
        _PROCESS.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        with suppress(StoreUnreachableError):
            _PROCESS.call(self._connection, RELEASE)

    def connect(self) -> None:
        """Wait until the store has answered; one that is yet to be made is not waited for.

        Raises
        ------
        SweepError, StoreUnreachableError
            As `Tracker` does.

        """
        check_address(tracking_uri(self._connection.uri, self._connection.workspace))
        if not self.is_new:
            self._ask("connect")

    def finished_keys(self, *, study: str, study_id: str) -> set[str]:
        """See `Mirror.finished_keys`."""
        return self._ask("finished_keys", study=study, study_id=study_id)  # type: ignore[no-any-return]

    def run_id(self, key: str) -> str | None:
        """See `Mirror.run_id`."""
        return self._ask("run_id", key)  # type: ignore[no-any-return]

    def discard(self, key: str) -> None:
        """See `Mirror.discard`."""
        self._ask("discard", key)

    def update(self, state: RunState) -> str:
        """See `Mirror.update`."""
        if state.files is not None:  # the other process may have begun in another folder
            state = replace(state, files=state.files.absolute())
        return self._ask("update", state)  # type: ignore[no-any-return]

    def call(
        self, function: Callable[Concatenate[Tracker, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """See `Mirror.call`; the function, its arguments and what it returns are pickled."""
        return self._ask("call", function, *args, **kwargs)  # type: ignore[no-any-return]

    def _ask(self, method: str, *args: object, **kwargs: object) -> Any:
        """Return what the method of the other side's mirror returns, or raise what it raises.

        Where the process has died, StoreUnreachableError; the next call starts another one.
        """
        return _PROCESS.call(self._connection, method, args, kwargs)


def _exists(connection: Connection) -> bool:
    path = _database(connection)
    return path is None or path.exists()


def _database(connection: Connection) -> Path | None:
    return database_path(tracking_uri(connection.uri, connection.workspace))


def _own_database(connection: Connection) -> set[Path]:
    """Return the working folder's database, where it is that one; others stay as they are."""
    path = _database(connection)
    return {path} if path == connection.workspace.mlflow_database else set()


def _set_journal(database: Path, mode: str) -> None:
    """Let SQLite keep a WAL, which commits in a third of the time, or DELETE, its usual way.

    With a log beside it a database cannot be read in a folder that is read-only, nor copied alone:
    it has one only while a study writes. Where somebody has it open it stays as it is.
    """
    if database.exists():
        with suppress(sqlite3.Error), closing(sqlite3.connect(database)) as connection:
            connection.execute(f"PRAGMA journal_mode={mode}")


def _absolute(uri: str) -> str:
    """Return the address with the path of its file, if it names one, from the root on."""
    path = database_path(uri)
    return uri if path is None else uri.replace(f":///{path}", f":///{path.absolute()}", 1)


class _Process:
    """The process, which all mirrors of this one share: it starts once."""

    def __init__(self) -> None:
        self._popen: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._databases: set[Path] = set()

    def start(self) -> None:
        with self._lock:
            self._started()

    def call(self, connection: Connection, *request: object) -> Any:
        with self._lock:
            popen = self._started()
            self._databases |= _own_database(connection)
            try:
                _send(_pipe(popen.stdin), (connection, *request))
                answer, error = pickle.load(_pipe(popen.stdout))  # noqa: S301 - of our own process
            except (OSError, EOFError) as broken:
                code = self._end(wait=0)
                raise StoreUnreachableError(
                    f"the process that talks to MLflow has ended, with {code}"
                ) from broken
            except BaseException:  # Ctrl-C: what it answers later is no answer to the next call
                self._end(wait=0)
                raise
        if error is not None:
            raise error
        return answer

    def _started(self) -> subprocess.Popen[bytes]:
        if self._popen is not None and self._popen.poll() is not None:
            self._end(wait=0)
        if self._popen is None:
            self._popen = subprocess.Popen(  # noqa: S603 - this Python, a fixed program
                [sys.executable, "-c", PROGRAM.format(__name__), json.dumps(sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # Ctrl-C is for the study, which ends this process in its time.
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        return self._popen

    def close(self) -> None:
        """Let the process end; it does so by itself, too, when this one has."""
        with self._lock:
            self._end(wait=CLOSE_SECONDS)

    def _end(self, wait: float) -> int | None:
        popen, self._popen = self._popen, None
        if popen is None:
            return None
        with suppress(OSError):
            _pipe(popen.stdin).close()
        with suppress(subprocess.TimeoutExpired):
            popen.wait(wait)
        popen.kill()
        _pipe(popen.stdout).close()
        code = popen.wait()
        while self._databases:
            _set_journal(self._databases.pop(), "DELETE")
        return code


_PROCESS = _Process()
atexit.register(_PROCESS.close)


def close_process() -> None:
    """End the process that mirrors share, if it runs; the next mirror starts another."""
    _PROCESS.close()


def serve() -> None:
    """Answer calls until the other side closes or is gone."""
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a package prints is no answer
    print_warnings_of_packages()
    collect_rarely()
    load_mlflow()  # while the other side still prepares
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401 - half a second of what follows

    own_settings.__enter__()  # for good: the process is ours
    mirrors = _Mirrors()
    while True:
        try:
            connection, method, *arguments = pickle.load(requests)  # noqa: S301 - of our own
            _send(answers, mirrors.answer(connection, method, arguments))
        except (EOFError, OSError):
            os._exit(0)  # all is sent; Python's own way out of MLflow takes half a second


class _Mirrors:
    """The mirrors that the other side uses."""

    def __init__(self) -> None:
        self._mirrors: dict[str, Mirror] = {}
        self._locks: dict[str, ExitStack] = {}

    def answer(
        self, connection: Connection, method: str, arguments: list[Any]
    ) -> tuple[object, Exception | None]:
        try:
            if method == RELEASE:
                self._forget(connection)
                return None, None
            args, kwargs = arguments
            return getattr(self._mirror(connection), method)(*args, **kwargs), None
        except SweepError as error:
            return None, error
        except Exception:  # noqa: BLE001 - a defect; it is raised where the call was made
            return None, RuntimeError(traceback.format_exc())

    def _mirror(self, connection: Connection) -> Mirror:
        token, workspace = connection.token, connection.workspace
        if token not in self._mirrors:
            if token not in self._locks:
                self._locks[token] = _locked(workspace.lock(f"{connection.study}.mirror"))
            sys.argv[0] = connection.program
            os.environ.clear()
            os.environ.update(connection.environment)
            tracker = Tracker(connection.experiment, workspace, uri=connection.uri)
            for database in _own_database(connection):
                _set_journal(database, "WAL")
            self._mirrors[token] = Mirror(tracker)
        return self._mirrors[token]

    def _forget(self, connection: Connection) -> None:
        self._mirrors.pop(connection.token, None)
        lock = self._locks.pop(connection.token, None)
        if lock is not None:
            lock.close()


def _locked(path: Path) -> ExitStack:
    """Wait for the process of a study that was killed a moment ago."""
    from filelock import Timeout

    held = ExitStack()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held.enter_context(file_lock(path, seconds=LOCK_SECONDS))
    except Timeout as error:
        raise StoreUnreachableError(
            f"{path}: another process still sends what it has of this study to MLflow; run the "
            "same command again when it has ended"
        ) from error
    return held


def _send(pipe: IO[bytes], message: object) -> None:
    pipe.write(pickle.dumps(message))
    pipe.flush()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None  # noqa: S101 - it was asked for
    return pipe

"""One `sweep run` per study at a time; the lock falls with the process that holds it."""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from sweep.errors import SweepError
from sweep.search.storage import locked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sweep.workspace import Workspace

GLANCE_SECONDS = 0.2
"""Longer than somebody who only looks whether the lock is held holds it."""


def record_lock(workspace: Workspace, study: str) -> AbstractContextManager[None]:
    """Let one process at a time read and write what a study's record holds beside its trials."""
    return locked(workspace, f"{study}.record")


@contextmanager
def study_lock(workspace: Workspace, study: str) -> Iterator[None]:
    """Hold the study, or say which process on which host does."""
    from filelock import FileLock, Timeout

    path = workspace.lock(study)
    owner = path.with_suffix(".owner")
    lock = FileLock(path, timeout=GLANCE_SECONDS)
    try:
        lock.acquire()
    except Timeout as error:
        raise _held(study, holder(path)) from error
    except OSError as error:
        raise SweepError(
            f"{path}: study {study!r} cannot be locked: {error.strerror}; check the folder's "
            "permissions and the disk"
        ) from error
    try:
        with suppress(OSError):  # only a courtesy to the one who waits
            owner.write_text(f"process {os.getpid()} on {socket.gethostname()}")
        yield
    finally:
        with suppress(OSError):
            owner.unlink(missing_ok=True)
        lock.release()


def _held(study: str, runner: str) -> SweepError:
    return SweepError(
        f"study {study!r} is being run by {runner}; wait for it, stop it, or choose another name "
        "with --study"
    )


def refuse_running(workspace: Workspace, study: str) -> None:
    """Refuse a study of the working folder that a process runs, before anything is loaded."""
    runner = runner_of(workspace, study)
    if runner is not None:
        raise _held(study, runner)


def runner_of(workspace: Workspace, study: str) -> str | None:
    """Return which process runs a study of the working folder; None if none does."""
    path = workspace.lock(study)
    return holder(path) if is_held(path) else None


def is_held(path: Path) -> bool:
    """Whether a living process holds a lock file.

    It is tried with a shared lock, which is given back at once.
    """
    import fcntl

    try:
        file = path.open("rb")
    except OSError:
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # a file system without locks
            return False
        fcntl.flock(file, fcntl.LOCK_UN)
    return False


def holder(path: Path) -> str:
    """Return who holds a lock file, as far as it said."""
    owner = ""
    with suppress(OSError, UnicodeDecodeError):
        owner = path.with_suffix(".owner").read_text()
    return owner or "another process"

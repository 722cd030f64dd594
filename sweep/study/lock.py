"""One `sweep run` per study at a time; the lock falls with the process that holds it."""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from sweep.errors import SweepError
from sweep.study.storage import FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def record_lock(study: str) -> Iterator[None]:
    """Let one process at a time read and write what a study's record holds beside its trials."""
    from filelock import FileLock

    path = FOLDER / f"{study}.record.lock"
    try:
        lock = FileLock(path).acquire()
    except OSError as error:
        raise SweepError(
            f"{path}: cannot be locked: {error.strerror}; check the folder's permissions"
        ) from error
    with lock:
        yield


@contextmanager
def study_lock(study: str) -> Iterator[None]:
    """Hold the study, or say which process on which host does."""
    from filelock import FileLock, Timeout

    path = FOLDER / f"{study}.lock"
    owner = FOLDER / f"{study}.owner"
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        holder = ""
        with suppress(OSError):
            holder = owner.read_text()
        holder = holder or "another process"
        raise SweepError(
            f"study {study!r} is being run by {holder}; wait for it, stop it, or choose another "
            "name with --study"
        ) from error
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
        owner.unlink(missing_ok=True)
        lock.release()

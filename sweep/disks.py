"""Disks that may be full: what that is called, how much is free, and a place for passing files."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.errors import StoreUnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
FULL = (*map(os.strerror, NO_ROOM), "database or disk is full")
"""What the system and SQLite say of it."""


def with_room(said: str, path: Path) -> str:
    """Return what was said of a failed write; of a full disk which, and how much is free."""
    if not any(words in said for words in FULL):
        return said
    disk = path.absolute()
    while not os.path.ismount(disk):
        disk = disk.parent
    with suppress(OSError):
        return f"{said} ({shutil.disk_usage(disk).free:,} B free on {disk})"
    return said


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Lend a folder for files that are read again at once.

    Raises
    ------
    StoreUnreachableError
        There is no room for them.

    """
    place = Path(tempfile.tempdir or os.environ.get("TMPDIR") or "/tmp")  # noqa: S108 - to be named
    try:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder).parent
            yield Path(folder)
    except OSError as error:
        raise StoreUnreachableError(
            f"{place}: a temporary file cannot be written: {with_room(str(error.strerror), place)}"
            "; make room there, or name another folder with TMPDIR"
        ) from error

"""Files that the user asked for: whole or not at all, and over nothing of somebody else's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sweep.errors import SweepError

if TYPE_CHECKING:
    from pathlib import Path

HEAD = 4096
"""Within so many bytes a file of ours says that it is one."""


def check_replaceable(path: Path, *, mark: bytes, kind: str) -> None:
    """Refuse a path at which something other than an earlier file of the same kind stands.

    Such a file has `mark` near its beginning, or is empty; `kind` names it, e.g. "report".
    """
    try:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise SweepError(f"{path}: is there already and is no file; name another with --out")
        if not path.exists():
            _check_folder(path)
            return
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise SweepError(
            f"{path}: cannot be used: {error.strerror}; name another with --out"
        ) from error
    if head and mark not in head:
        raise SweepError(
            f"{path}: is there already and is no {kind} of sweep's; move it away, or name "
            "another with --out"
        )


def _check_folder(path: Path) -> None:
    """Refuse a place where nothing can be made, before there is anything to write."""
    folder = path.parent
    why = "is no folder" if not folder.is_dir() else "may not be written to"
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        raise SweepError(f"{path}: cannot be written: {folder} {why}; name another with --out")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there with all its content, or as it was before."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)

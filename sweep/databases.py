"""SQLite files that are there as a whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def make_whole(path: Path, make: Callable[[Path], None]) -> None:
    """Make a database, unless it is there: beside its place, and then in it.

    Making the tables takes seconds, and a process that dies meanwhile would leave a file that
    stops every later one. `make` gets the path to write, and closes what it opens.
    """
    from filelock import FileLock

    if path.exists():
        return
    with FileLock(path.with_name(f"{path.name}.lock")):
        if path.exists():  # made by another process meanwhile
            return
        partial = path.resolve().with_name(f"{path.name}.partial")
        for leftover in partial.parent.glob(f"{partial.name}*"):  # SQLite's journals, too
            leftover.unlink(missing_ok=True)
        make(partial)
        partial.replace(path)

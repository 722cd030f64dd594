"""SQLite files that are there as a whole or not at all."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from sweep.errors import SweepError

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


def check_tables(path: Path, expected: str) -> None:
    """Refuse a database without an expected table: it is not the store, which would write into it.

    Raises
    ------
    SweepError
        It is empty, or another program's.
    sqlite3.DatabaseError
        It is damaged or no database, or (OperationalError) cannot be opened now.

    """
    import sqlite3

    address = f"{path.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as database:
        names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        tables = [name for (name,) in names]
    if expected in tables:
        return
    what = f"holds something else ({', '.join(tables):.60})" if tables else "is empty"
    raise SweepError(
        f"{path}: {what}, so it is not the store that was here; put that back, or move this away"
    )

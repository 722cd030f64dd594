"""Files that are written whole or not at all, locks, and what a full disk says."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.errors import StoreUnreachableError, SweepError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HEAD = 4096
"""Within so many bytes a file of ours says that it is one."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
FULL = (*map(os.strerror, NO_ROOM), "database or disk is full", "disk I/O error")
"""What the system and SQLite say of a full disk; the last where a file of its log cannot grow."""


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
    if not folder.is_dir() or not may_write(folder):
        raise SweepError(f"{path}: cannot be written: {folder} {why}; name another with --out")


def may_write(folder: Path) -> bool:
    """Whether this process may make files in a folder."""
    effective = os.access in os.supports_effective_ids
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=effective)


def check_writable(folder: Path) -> None:
    """Refuse a folder in which nothing can be kept, before the work; it may yet have to be made."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir() or not may_write(existing):
        raise SweepError(
            f"{folder}: cannot be written to; work in a folder you may write to, e.g. a copy of "
            "this one"
        )


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say in one line what the system will not let us read."""
    try:
        yield
    except OSError as error:
        raise SweepError(f"{path}: cannot be read: {error.strerror or error}") from error


def check_file(path: Path, instead: str) -> None:
    """Refuse a path at which no file stands; `instead` says what to do where it is a folder."""
    if path.is_dir():
        raise SweepError(f"{path}: is a folder; {instead}")
    if not path.is_file():
        raise SweepError(f"{path}: there is no such file; check the name and the folder")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there with all its content, or as it was before."""
    from sweep_model.npz import replacing

    with replacing(path) as file:
        file.write(content)


@contextmanager
def file_lock(path: Path, *, seconds: float = -1) -> Iterator[None]:
    """Hold a lock file; it falls with the process that holds it.

    Raises
    ------
    TimeoutError
        Another process still holds it after so many seconds; without them it is waited for.
    OSError
        Nothing can be locked there.

    """
    from filelock import FileLock

    with FileLock(path, timeout=seconds):
        yield


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


def free_memory() -> int | None:
    """Return how many bytes this process may still take; None where the system does not say."""
    limits = []
    with suppress(OSError, ValueError):
        lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
        sizes = {name: int(kilobytes) for name, kilobytes, *_ in lines}
        limits.append(1024 * (sizes.get("MemAvailable:", 0) + sizes.get("SwapFree:", 0)))
    with suppress(OSError, ValueError, KeyError):  # a container's own limit
        group = Path("/sys/fs/cgroup")
        lines = (line.split() for line in (group / "memory.stat").read_text().splitlines())
        files = {name: int(size) for name, size in lines}["inactive_file"]  # given up when needed
        used = int((group / "memory.current").read_text()) - files
        limits.append(int((group / "memory.max").read_text()) - used)
    with suppress(ImportError, OSError, ValueError):  # `ulimit -v`
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        if limit != resource.RLIM_INFINITY:
            limits.append(limit - pages * resource.getpagesize())
    return max(0, min(limits)) if limits else None


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Lend a folder for files that are read again at once.

    Raises
    ------
    StoreUnreachableError
        There is no room for them.

    """
    parent = Path(tempfile.tempdir or os.environ.get("TMPDIR") or "/tmp")  # noqa: S108 - to be named
    try:
        with tempfile.TemporaryDirectory() as folder:
            parent = Path(folder).parent
            yield Path(folder)
    except OSError as error:
        raise StoreUnreachableError(
            f"{parent}: a temporary file cannot be written: "
            f"{with_room(str(error.strerror), parent)}"
            "; make room there, or name another folder with TMPDIR"
        ) from error


def make_whole(path: Path, make: Callable[[Path], None]) -> None:
    """Make a database, unless it is there: beside its place, and then in it.

    Making the tables takes seconds, and a process that dies meanwhile would leave a file that
    stops every later one. `make` gets the path to write, and closes what it opens.
    """
    if path.exists():
        return
    with file_lock(path.with_name(f"{path.name}.lock")):
        if path.exists():  # made by another process meanwhile
            return
        partial = path.resolve().with_name(f"{path.name}.partial")
        for leftover in partial.parent.glob(f"{partial.name}*"):  # SQLite's journals, too
            leftover.unlink(missing_ok=True)
        make(partial)
        partial.replace(path)


def sqlite_address(path: Path) -> str:
    """Return SQLAlchemy's address of a database, whatever the folders are called."""
    from sqlalchemy import URL

    return URL.create("sqlite", database=str(path)).render_as_string()


def read_only(path: Path) -> str:
    """Return the address at which SQLite reads a database without changing a byte of its folder.

    One with a write-ahead log that nobody has open would get an empty log; it is read as it lies.
    https://www.sqlite.org/fileformat.html, offset 18: the file format's read and write version.
    """
    if path.with_name(f"{path.name}-wal").exists():
        return f"{path.resolve().as_uri()}?mode=ro"
    # Only now, that nobody has it open with a log: to close a file lets go of all locks on it that
    # this process has, SQLite's too (https://www.sqlite.org/howtocorrupt.html, 2.2).
    logged = False
    with suppress(OSError), path.open("rb") as file:  # SQLite says it better
        logged = file.read(20)[18:] == b"\2\2"
    return f"{path.resolve().as_uri()}?{'immutable=1' if logged else 'mode=ro'}"


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

    with closing(sqlite3.connect(read_only(path), uri=True)) as database:
        names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        tables = [name for (name,) in names]
    if expected in tables:
        return
    what = f"holds something else ({', '.join(tables):.60})" if tables else "is empty"
    raise SweepError(
        f"{path}: {what}, so it is not the store that was here; put that back, or move this away"
    )

"""What bad input must come to, whatever it is: one line, the right exit code, nothing written."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shlex
import sqlite3
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

LONGEST = 1100
"""Characters of a line: long enough for a path and a rule, too short for a dump."""
SIDECARS = (".db-wal", ".db-shm", ".lock")
"""What SQLite has not yet written down, that somebody is reading, and empty files to hold."""


CAPABILITIES_VERSION = 0x20080522
RIGHTS_OVER_FILES = 0b110
"""Of root: to read, write and look into whatever it likes."""


def listing(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder, and what each other entry is."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"link to {path.readlink()}"
        elif path.suffix in SIDECARS:
            continue
        elif path.is_file():
            readable = os.access(path, os.R_OK, effective_ids=True)
            found[name] = hashlib.sha256(_content(path)).hexdigest() if readable else "sealed"
        else:
            found[name] = "no file"
    return found


def _content(path: Path) -> bytes:
    """Return a file's bytes; of a database what it says, which reading may write down anew."""
    if path.suffix == ".db":
        with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(path)) as database:
            return "\n".join(database.iterdump()).encode()
    return path.read_bytes()


@contextmanager
def _unchanged(folder: Path) -> Iterator[None]:
    before = listing(folder)
    yield
    assert listing(folder) == before


@pytest.fixture
def unchanged() -> Callable[[Path], object]:
    """Return a context that ends well only where a folder is as it was."""
    return _unchanged


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Enter an empty folder."""
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def refused(invoke) -> Callable[..., str]:
    """Return a check that a command is refused: `refused(command, exit code, *parts of the line)`.

    The command is one that a shell would take, without its `sweep`. The working folder must be as
    it was. Returns what was said.
    """

    def check(command: str, code: int, *says: str) -> str:
        with _unchanged(Path.cwd()):
            done = invoke(*shlex.split(command))
        assert (done.exit_code, done.stdout) == (code, ""), (done.output, done.exception)
        assert "Traceback" not in done.stderr
        *usage, line = done.stderr.removesuffix("\n").split("\n")
        if code == 2:
            assert not usage or usage[0].startswith("Usage: sweep ")
            assert line.startswith("Error: ")
        else:
            assert usage == []
            assert line.startswith("sweep: ")
        assert line.isprintable(), line
        assert len(line) <= LONGEST, line
        for part in says:
            assert part in line, line
        return line

    return check


@pytest.fixture
def plain_user() -> Callable[[], AbstractContextManager[None]]:
    """Return a context in which files' permissions count, as they do not for root."""
    return _plain_user


@contextmanager
def _plain_user() -> Iterator[None]:
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(CAPABILITIES_VERSION, 0)
    capabilities = (ctypes.c_uint32 * 6)()  # twice effective, permitted, inheritable
    if libc.capget(header, capabilities):
        pytest.skip("root cannot lay down its rights here")
    before = capabilities[0]
    capabilities[0] = before & ~RIGHTS_OVER_FILES
    if libc.capset(header, capabilities):
        pytest.skip("root cannot lay down its rights here")
    try:
        yield
    finally:
        capabilities[0] = before
        libc.capset(header, capabilities)

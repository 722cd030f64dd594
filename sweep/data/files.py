"""Open files that nobody vouches for, and say in one line what is wrong with them."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sweep.errors import SweepError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say in one line what the system will not let us read."""
    try:
        yield
    except OSError as error:
        raise SweepError(f"{path}: cannot be read: {error.strerror or error}") from error


def read_file(path: Path, sizes: range) -> bytes:
    """Return the content of a regular file whose length must be one of `sizes`."""
    with reading(path):
        if not path.is_file():
            raise SweepError(f"{path}: is missing; put it there, or move the folder away")
        check_size(str(path), path.stat().st_size, sizes)
        return path.read_bytes()


def check_size(name: str, size: int, sizes: range) -> None:
    """Refuse a length that is none of `sizes`."""
    if size not in sizes:
        least, most = sizes.start, sizes.stop - 1
        allowed = f"{least:,}" if least == most else f"{least:,} to {most:,}"
        raise SweepError(f"{name}: must have {allowed} bytes: got {size:,}")


def has_hash(path: Path, algorithm: str, expected: str) -> bool:
    """Whether a file is there and has that hash, in hexadecimal."""
    with reading(path):
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, algorithm).hexdigest() == expected

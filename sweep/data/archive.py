"""Stream known members out of a .tar.gz; nothing is ever extracted to the disk."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from typing import TYPE_CHECKING

from sweep.data.files import check_size
from sweep.errors import SweepError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

MAX_MEMBERS = 64  # the official archives hold 8 and 9
SLACK = 1 << 24  # bytes for headers, padding and a readme
BLOCK = 1 << 20

# What gzip and tarfile raise at damaged or hostile bytes; RecursionError: name upon long name.
_BROKEN = (tarfile.TarError, zlib.error, EOFError, OSError, ValueError, RecursionError)


class _Bounded:
    """A file that ends in an error, not in a full memory, when it is longer than it should be."""

    def __init__(self, file: gzip.GzipFile, limit: int, path: Path) -> None:
        self._file, self._limit, self._path = file, limit, path
        self._read = 0

    def read(self, size: int) -> bytes:
        block = self._file.read(size)
        self._read += len(block)
        if self._read > self._limit:
            raise SweepError(
                f"{self._path}: unpacks to more than the {self._limit:,} bytes that it may hold"
            )
        return block


def stream_members(
    path: Path, sizes: Mapping[str, range], wanted: Collection[str]
) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of the wanted members in the order in which they come.

    `sizes` names every member that must be there, once, and the lengths that it may have.
    Other files are passed over unread; links and devices are refused.

    Raises
    ------
    SweepError
        The archive is damaged, hostile or not what it should be.
    """
    limit = sum(size.stop for size in sizes.values()) + SLACK
    missing = set(sizes)
    try:
        with gzip.open(path) as unzipped:
            bounded = _Bounded(unzipped, limit, path)
            with tarfile.open(fileobj=bounded, mode="r|", bufsize=BLOCK) as tar:  # type: ignore[call-overload] # reading asks for read alone
                for count, member in enumerate(tar, start=1):
                    name = member.name.removeprefix("./")
                    _check(path, name, member, count, sizes)
                    if name not in sizes:
                        continue
                    if name not in missing:
                        raise SweepError(f"{path}: holds {name} twice")
                    missing.remove(name)
                    if name in wanted:
                        yield name, tar.extractfile(member).read()
            while bounded.read(BLOCK):
                pass  # to the very end, where the check sum is
    except _BROKEN as error:
        raise SweepError(
            f"{path}: is no whole .tar.gz archive: {str(error) or type(error).__name__:.200}"
        ) from error
    if missing:
        raise SweepError(f"{path}: lacks {', '.join(sorted(missing))}")


def _check(
    path: Path, name: str, member: tarfile.TarInfo, count: int, sizes: Mapping[str, range]
) -> None:
    if count > MAX_MEMBERS:
        raise SweepError(f"{path}: holds more than {MAX_MEMBERS} members")
    plain = member.isreg() and not member.issparse()
    if not (plain or (member.isdir() and name not in sizes)):
        raise SweepError(f"{path}: {name[:100]!r} is no regular file")
    if name in sizes:
        check_size(f"{path}: {name}", member.size, sizes[name])

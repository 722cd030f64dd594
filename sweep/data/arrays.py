"""Read arrays out of a .npz that somebody else wrote: headers first, within bounds, no pickle."""

from __future__ import annotations

import io
import math
import struct
import tokenize
import warnings
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sweep.data.files import reading
from sweep.errors import SweepError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    import numpy.typing as npt

MAX_BYTES = 8 << 30  # all arrays of a file together, unpacked
MAX_HEADER = 10_000  # NumPy's own bound

# What zipfile and NumPy's array reader raise at damaged or hostile bytes.
_BROKEN = (
    *(ValueError, TypeError, KeyError, OSError, EOFError, MemoryError, RuntimeError, SyntaxError),
    *(OverflowError, struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)


@dataclass(frozen=True)
class Header:
    """What an array in the file says of itself."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def read_headers(path: Path, known: Collection[str]) -> dict[str, Header]:
    """Return the header of every array; nothing larger than a header is read.

    Raises
    ------
    SweepError
        There is no such file, it is damaged, too large, or holds objects or unknown names.
    """
    with _opened(path) as archive:
        members = archive.infolist()
        names = [member.filename.removesuffix(".npy") for member in members]
        strange = sorted(set(names) - set(known))
        if strange:
            raise SweepError(f"{path}: may hold {', '.join(known)}: got {strange[0][:100]!r} too")
        if len(set(names)) < len(names):
            raise SweepError(f"{path}: holds an array twice: got {', '.join(sorted(names))}")
        total = sum(member.file_size for member in members)
        if total > MAX_BYTES:
            raise SweepError(f"{path}: unpacks to {total:,} bytes: at most {MAX_BYTES:,} are read")
        return {
            name: _read_header(path, archive, member)
            for name, member in zip(names, members, strict=True)
        }


def read_array(path: Path, name: str) -> npt.NDArray[Any]:
    """Return one array whose header has been read and found good."""
    with _opened(path) as archive, archive.open(f"{name}.npy") as file:
        array: npt.NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        return array


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    with reading(path):
        if not path.is_file():
            raise SweepError(f"{path}: there is no such file")
        path.open("rb").close()  # zipfile would say that it is damaged
    try:
        with zipfile.ZipFile(path) as archive, warnings.catch_warnings(action="ignore"):
            yield archive  # an old spelling in a header is nothing to warn of
    except _BROKEN as error:
        reason = str(error) or type(error).__name__
        raise SweepError(f"{path}: is no whole .npz file: {reason.splitlines()[0]:.200}") from error


def _read_header(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Header:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise SweepError(f"{path}: {member.filename} is packed in a way that NumPy does not write")
    with archive.open(member) as file:
        start = io.BytesIO(file.read(MAX_HEADER))
    read = (
        np.lib.format.read_array_header_1_0
        if np.lib.format.read_magic(start) == (1, 0)
        else np.lib.format.read_array_header_2_0  # and 3.0, which differs in field names only
    )
    shape, _, dtype = read(start)
    if dtype.hasobject:
        raise SweepError(
            f"{path}: {member.filename} holds Python objects, which are never unpickled; "
            "save it as numbers or text"
        )
    size = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or start.tell() + size != member.file_size:
        raise ValueError(f"{member.filename} is not as long as its header says")
    return Header(shape, dtype)

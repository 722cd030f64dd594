"""Named arrays in a .npz file that is written whole or not at all, and read with suspicion."""

from __future__ import annotations

import io
import json
import os
import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Lend a file beside `path`, which is moved there at the end, once it is on the disk.

    Raises
    ------
    OSError
        The file cannot be written; what `path` held before is still there.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_arrays(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write the arrays to a file that is there as a whole, or as it was before: see `replacing`."""
    with replacing(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_arrays(
    path: Path, names: Collection[str] | None = None, *, optional: str = ""
) -> dict[str, npt.NDArray[Any]]:
    """Read a file of exactly the arrays `names`, if given; no pickle is ever opened.

    An array `optional` may be there besides.

    Raises
    ------
    OSError
        The file cannot be opened.
    ValueError
        It is no such file; the message says what is wrong with it.
    """
    with path.open("rb") as file:
        try:
            return _read_archive(file, names, optional)
        except Exception as error:
            # Hostile bytes have raised eight kinds of error in zipfile and NumPy, TypeError and
            # TokenError among them; no list of them would be complete.
            raise ValueError(f"{path} cannot be read: {error!s:.200}") from error


ABOUT = "about"
"""The name of the array that holds plain values, as JSON."""


def pack(about: object) -> npt.NDArray[np.uint8]:
    """Return plain values as an array, to be written beside others."""
    return np.frombuffer(json.dumps(about).encode(), np.uint8)


def unpack(arrays: Mapping[str, npt.NDArray[Any]]) -> Any:
    """Return the plain values that `pack` made the array `ABOUT` of."""
    return json.loads(arrays[ABOUT].tobytes())


def _read_archive(
    file: io.BufferedReader, names: Collection[str] | None, optional: str
) -> dict[str, npt.NDArray[Any]]:
    with zipfile.ZipFile(file) as archive:
        if names is None:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
        elif optional and f"{optional}.npy" in archive.namelist():
            names = [*names, optional]
        expected = sorted(f"{name}.npy" for name in names)
        if sorted(archive.namelist()) != expected:
            raise ValueError(f"it holds {sorted(archive.namelist())}, not {expected}")
        # Uncompressed, as they are written, members are no larger than the file: no zip bombs.
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise ValueError("its arrays are compressed")
        return {name: _read_array(archive.read(f"{name}.npy")) for name in names}


def _read_array(content: bytes) -> npt.NDArray[Any]:
    stream = io.BytesIO(content)
    array: npt.NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    if stream.read(1):
        raise ValueError("there are bytes after the end of an array")
    return array

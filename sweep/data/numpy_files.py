"""NumPy's own files: an .npz, an .npy, a folder of .npy files. Headers first; no pickle."""

from __future__ import annotations

import io
import math
import re
import struct
import tokenize
import warnings
import zipfile
import zlib
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from sweep.data.arrays import Array
from sweep.data.dataset import listed
from sweep.errors import SweepError
from sweep.io import check_file, reading

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

MAX_HEADER = 10_000  # NumPy's own bound
NUMBERED = re.compile(r"(.*?)([0-9]+)")

# What zipfile and NumPy's array reader raise at damaged or hostile bytes.
_BROKEN = (
    *(ValueError, TypeError, KeyError, OSError, EOFError, RuntimeError, SyntaxError),
    *(OverflowError, struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)


def open_npz(path: Path, wanted: Collection[str]) -> tuple[dict[str, Array], list[str]]:
    """Return the arrays that are wanted, by their names in the file, and the names of the others.

    Nothing larger than a header is read.
    """
    with _opened_npz(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        twice = [name for name in wanted if names.count(name) > 1]
        if twice:
            raise SweepError(f"{path}: holds {twice[0]} twice; write it anew with np.savez")
        arrays = {}
        for name in wanted:
            if name in names:
                header = _member_header(path, archive, archive.getinfo(f"{name}.npy"))
                arrays[name] = Array(f"{path}: {name}", *header, partial(_member, path, name))
        return arrays, sorted(set(names) - set(wanted))


def open_npy(path: Path, name: str) -> Array:
    """Return the array of an .npy file, called `name`; it is mapped into memory where it is read.

    Bytes that the file does not have are never touched, as its length is checked.
    """
    check_file(path, "name an .npy file inside it, or an unpacked .npz")
    with _damaged(path, ".npy", "np.save"), path.open("rb") as file:
        shape, dtype = _header(path, path.name, file, path.stat().st_size, name)
    return Array(f"{path}: {name}", shape, dtype, partial(_mapped, path))


def open_folder(path: Path, wanted: Collection[str]) -> tuple[dict[str, Array], list[str]]:
    """Return what a folder of .npy files holds: arrays by name, or X in numbered files.

    As with an .npz those that are wanted, and the names of the others.
    """
    with reading(path):
        names = sorted(file.stem for file in path.iterdir() if file.suffix == ".npy")
    if not names:
        raise SweepError(f"{path}: is a folder without .npy files; name a file, e.g. one inside it")
    held = [name for name in wanted if name in names]
    numbered = [match for match in map(NUMBERED.fullmatch, names) if match]
    if held or not numbered:
        arrays = {name: open_npy(path / f"{name}.npy", name) for name in held}
        return arrays, [name for name in names if name not in held]
    stems = sorted({match[1] for match in numbered})
    if len(numbered) < len(names) or len(stems) > 1:
        raise SweepError(
            f"{path}: numbered files must be parts of one array: got {listed(names)}; keep labels "
            "and other arrays in another folder, or name arrays with --map"
        )
    numbered.sort(key=lambda match: int(match[2]))
    for one, other in pairwise(numbered):
        if int(one[2]) == int(other[2]):
            raise SweepError(
                f"{path}: numbered files must have a number each: got {one[0]}.npy and "
                f"{other[0]}.npy; remove or rename one of them"
            )
    parts = [open_npy(path / f"{match[0]}.npy", match[0]) for match in numbered]
    return {"X": _stacked(path, parts)}, []


def _stacked(folder: Path, parts: Sequence[Array]) -> Array:
    """Return the rows of several arrays, one after the other."""
    first = parts[0]
    for part in parts:
        if part.shape[1:] != first.shape[1:] or part.dtype != first.dtype or not part.shape:
            raise SweepError(
                f"{part.where} must have the features and the dtype of the first file: got {part}, "
                f"that is {first}; make it as that was made"
            )
    shape = (sum(part.shape[0] for part in parts), *first.shape[1:])

    def read() -> npt.NDArray[Any]:
        rows, start = np.empty(shape, first.dtype), 0
        for part in parts:
            rows[start : start + part.shape[0]] = part.read()
            start += part.shape[0]
        return rows

    return Array(f"{folder}: X", shape, first.dtype, read)


def _mapped(path: Path) -> npt.NDArray[Any]:
    with _damaged(path, ".npy", "np.save"):
        mapped: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        return mapped.view(np.ndarray)


def _member(path: Path, name: str) -> npt.NDArray[Any]:
    try:
        with _opened_npz(path) as archive, archive.open(f"{name}.npy") as file:
            array: npt.NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
            return array
    except MemoryError as error:
        raise SweepError(
            f"{path}: memory does not suffice to read {name}; end other programs, or save fewer "
            "rows or features"
        ) from error


@contextmanager
def _opened_npz(path: Path) -> Iterator[zipfile.ZipFile]:
    with reading(path):
        check_file(path, "name an .npz file, e.g. one inside it")
        with path.open("rb") as file:  # zipfile would say that it is damaged
            start = file.read(np.lib.format.MAGIC_LEN)
        if start.startswith(np.lib.format.MAGIC_PREFIX) and len(start) == np.lib.format.MAGIC_LEN:
            raise SweepError(
                f"{path}: is a .npy file, which holds one array; save X and y together: "
                "np.savez(file, X=features, y=labels), or call it .npy and give --labels"
            )
    with _damaged(path, ".npz", "np.savez"), zipfile.ZipFile(path) as archive:
        yield archive


@contextmanager
def _damaged(path: Path, kind: str, writer: str) -> Iterator[None]:
    """Say in one line what is wrong with a file."""
    try:
        with warnings.catch_warnings(action="ignore"):
            yield  # an old spelling in a header is nothing to warn of
    except _BROKEN as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise SweepError(
            f"{path}: is no whole {kind} file: {reason:.200}; copy it anew, or write it anew with "
            f"{writer}"
        ) from error


def _member_header(
    path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo
) -> tuple[tuple[int, ...], np.dtype[Any]]:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise SweepError(
            f"{path}: {member.filename} is packed in a way that NumPy does not write; "
            "save it with np.savez or np.savez_compressed"
        )
    with archive.open(member) as file:
        name = member.filename.removesuffix(".npy")
        return _header(path, member.filename, file, member.file_size, name)


def _header(
    path: Path, called: str, file: IO[bytes], length: int, name: str
) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape and the dtype of an array file of a length in bytes."""
    start = io.BytesIO(file.read(MAX_HEADER))
    read = (
        np.lib.format.read_array_header_1_0
        if np.lib.format.read_magic(start) == (1, 0)
        else np.lib.format.read_array_header_2_0  # and 3.0, which differs in field names only
    )
    shape, _, dtype = read(start)
    if dtype.hasobject:
        mend = f"{name}={name}.astype({'np.float32' if name.startswith('X') else 'str'})"
        raise SweepError(
            f"{path}: {called} holds Python objects, which are never unpickled; "
            f"save numbers or text: {mend}"
        )
    size = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or start.tell() + size != length:
        raise ValueError(f"{called} is not as long as its header says")
    return shape, dtype

"""Arrays in a .safetensors file, mapped into memory; the format is a header in JSON and bytes.

https://github.com/huggingface/safetensors#format: eight bytes of the header's length, the header,
and the arrays, little-endian and in row order, at offsets from its end.
"""

from __future__ import annotations

import json
import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from sweep.data.arrays import Array
from sweep.errors import SweepError
from sweep.io import check_file, reading

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    import numpy.typing as npt

MAX_HEADER = 100_000_000  # bytes, the format's own bound
BRAIN = "BF16"  # the first half of a float32; NumPy has no such type
KINDS = "BOOL=? U8=u1 I8=i1 U16=<u2 I16=<i2 F16=<f2 U32=<u4 I32=<i4 F32=<f4 U64=<u8 I64=<i8 F64=<f8"
DTYPES = dict(pair.split("=") for pair in KINDS.split()) | {BRAIN: "<u2"}


def open_safetensors(path: Path, wanted: Collection[str]) -> tuple[dict[str, Array], list[str]]:
    """Return the arrays that are wanted, by their names in the file, and the names of the others.

    Nothing but the header is read.
    """
    check_file(path, "name a .safetensors file inside it")
    try:
        with reading(path), path.open("rb") as file:
            size, length = path.stat().st_size, int.from_bytes(file.read(8), "little")
            # A header that is longer than the file is cut, and no JSON.
            header = json.loads(file.read(min(length, size, MAX_HEADER)))
        header.pop("__metadata__", None)
        arrays = {
            name: _array(path, name, header[name], 8 + length, size)
            for name in wanted
            if name in header
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SweepError(
            f"{path}: is no whole .safetensors file: {error!s:.200}; copy it anew, or write it "
            "anew with safetensors.numpy.save_file"
        ) from error
    return arrays, sorted(set(header) - set(wanted))


def _array(path: Path, name: str, about: dict[str, Any], start: int, size: int) -> Array:
    """Return the array that a part of the header is about; ValueError where it cannot be true."""
    kind, shape, (begin, end) = about["dtype"], about["shape"], about["data_offsets"]
    if kind not in DTYPES:
        raise SweepError(
            f"{path}: {name} holds {str(kind)!r:.20}, which NumPy does not have; save it as float16"
        )
    dtype = np.dtype(DTYPES[kind])
    if not all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
        raise ValueError(f"{name} has no shape and place")
    if end - begin != math.prod(shape) * dtype.itemsize or start + end > size:
        raise ValueError(f"{name} is not as long as its header says")
    brain = kind == BRAIN
    read = partial(_read, path, tuple(shape), dtype, start + begin, brain=brain)
    return Array(f"{path}: {name}", tuple(shape), np.dtype("f4") if brain else dtype, read)


def _read(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], offset: int, *, brain: bool
) -> npt.NDArray[Any]:
    """Return the array, mapped into memory; brain floats are widened to float32, which is exact."""
    with reading(path):
        mapped = np.memmap(path, dtype, "r", offset, shape).view(np.ndarray)
    if not brain:
        return mapped
    return (mapped.astype(np.uint32) << 16).view(np.float32)

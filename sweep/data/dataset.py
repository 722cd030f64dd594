"""Raw rows with their labels, and the digest that identifies them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from sweep_model.arrays import ImageShape, Labels


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Raw rows with their labels; the arrays are read-only.

    Attributes
    ----------
    name : what runs and studies call it.
    rows : (n, d) uint8 or float32, images flattened in channel, row, column order.
    labels : (n,) int64, each an index into `class_names`.
    image_shape : (channels, height, width), or None where rows are no images: then there is
        nothing to flip or draw.
    """

    name: str
    rows: npt.NDArray[Any]
    labels: Labels
    class_names: tuple[str, ...]
    image_shape: ImageShape | None

    def __post_init__(self) -> None:
        self.rows.flags.writeable = False
        self.labels.flags.writeable = False

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of what the data say, whatever files they came from."""
        meaning = {
            "dtype": self.rows.dtype.name,
            "shape": self.rows.shape,
            "image_shape": self.image_shape,
            "class_names": self.class_names,
        }
        return sha256_of(
            json.dumps(meaning, sort_keys=True).encode(),
            little_endian(self.rows),
            little_endian(self.labels),
        )


def little_endian(array: npt.NDArray[Any]) -> memoryview:
    """The bytes of an array in row order, the same on every machine; no copy on most."""
    order = array.dtype.newbyteorder("<")
    return np.ascontiguousarray(array, dtype=order).reshape(-1).view(np.uint8).data


def sha256_of(*parts: bytes | memoryview) -> str:
    """One digest of several byte strings, each preceded by its length."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()

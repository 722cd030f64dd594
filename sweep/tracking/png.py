"""Pixels as a PNG file: drawings repeat themselves, and a writer that knows it is quick."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from sweep.figures.weight_colours import Pixels

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
SUB: Final = 1  # a row is told by its differences from one pixel to the next,
UP: Final = 2  # or by those from the row above
RGB: Final = 2


def png(pixels: Pixels) -> bytes:
    """Return uint8 (height, width, 3) as a PNG file, to the pixel.

    A row that repeats the one above becomes zeros by the filter Up, every other takes Sub: for
    drawings, whose pixels repeat, the file is as small as Pillow's in a quarter of the time,
    which goes into trying all filters on each row.

    Source: PNG specification, third edition, sections 5, 9 and 11.
    """
    height, width, _ = pixels.shape
    rows = pixels.reshape(height, 3 * width)
    new = np.ones(height, dtype=bool)
    new[1:] = (rows[1:] != rows[:-1]).any(axis=1)
    filtered = np.zeros((height, 1 + 3 * width), dtype=np.uint8)
    filtered[:, 0] = np.where(new, SUB, UP)
    differences = rows[new]
    differences[:, 3:] -= rows[new, :-3]
    filtered[new, 1:] = differences
    deflate = zlib.compressobj(level=1, strategy=zlib.Z_RLE)
    data = deflate.compress(filtered.data) + deflate.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, RGB, 0, 0, 0)
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(name: bytes, content: bytes) -> bytes:
    checked = name + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

"""Left-right mirroring, and the basis in which it is a change of sign.

Rows are images laid flat in channel, row, column order; the functions serve weights (k, d) too.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sweep_model.arrays import Floats, ImageShape

_SCALE = math.sqrt(0.5)  # a Python float: a NumPy one would turn float32 into float64


def mirror(rows: Floats, image_shape: ImageShape) -> Floats:
    """Every image (a row of (n, c * h * w)) mirrored left to right, as a new array.

    Raises
    ------
    ValueError
        The rows are not as long as the images.
    """
    return _lines(rows, image_shape)[:, :, ::-1].copy().reshape(rows.shape)


def to_mirror_basis(rows: Floats, image_shape: ImageShape) -> tuple[Floats, Floats]:
    """Turn every pair (left, right) into (left + right) / sqrt 2 and (left - right) / sqrt 2.

    The change of basis is orthonormal, so products of rows and sums of squares stay as they
    are, and mirroring an image only changes the sign of its odd part.

    Returns
    -------
    even : (n, c * h * ceil(w / 2)); the middle column of an odd width is in it, unscaled.
    odd : (n, c * h * floor(w / 2)).

    Raises
    ------
    ValueError
        The rows are not as long as the images.
    """
    lines = _lines(rows, image_shape)
    width = image_shape[2]
    half = width // 2
    left, right = lines[:, :, :half], lines[:, :, : -half - 1 : -1]
    even = np.empty((*lines.shape[:2], width - half), dtype=lines.dtype)
    even[:, :, half:] = lines[:, :, half : width - half]
    # In place: the whole of CIFAR-10 goes through here, 600 MB in float32.
    pairs = even[:, :, :half]
    np.add(left, right, out=pairs)
    pairs *= _SCALE
    odd = left - right
    odd *= _SCALE
    return _flat(even), _flat(odd)


def from_mirror_basis(even: Floats, odd: Floats, image_shape: ImageShape) -> Floats:
    """Undo `to_mirror_basis`: rows (n, c * h * w) in pixel order.

    Raises
    ------
    ValueError
        The two parts are not as long as the halves of the images.
    """
    channels, height, width = image_shape
    half = width // 2
    evens = _lines(even, (channels, height, width - half))
    odds = _lines(odd, (channels, height, half))
    pairs = evens[:, :, :half]
    lines = np.empty((*evens.shape[:2], width), dtype=even.dtype)
    lines[:, :, :half] = (pairs + odds) * _SCALE
    lines[:, :, half : width - half] = evens[:, :, half:]
    lines[:, :, width - half :] = ((pairs - odds) * _SCALE)[:, :, ::-1]
    return _flat(lines)


def _lines(rows: Floats, image_shape: ImageShape) -> Floats:
    """The rows as (n, c * h, w): a view that keeps the lines of pixels apart."""
    channels, height, width = image_shape
    if rows.shape[1:] != (channels * height * width,):
        raise ValueError(f"rows of shape {rows.shape} are not images of shape {image_shape}")
    return rows.reshape(len(rows), channels * height, width)


def _flat(lines: Floats) -> Floats:
    """Undo `_lines`; a size of -1 would be ambiguous where there are no rows or no columns."""
    return lines.reshape(len(lines), lines.shape[1] * lines.shape[2])

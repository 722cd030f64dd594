"""Refuse what cannot be trained on, with the counts that say why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sweep.errors import SweepError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from sweep_model.arrays import Labels

CHUNK = 1 << 24  # values looked at together: a 16 MB mask


def finite_features(array: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """Return features (n, ...) as uint8 or float32, all of them finite."""
    if array.dtype in (np.uint8, np.bool_):
        return array.astype(np.uint8, copy=False)
    with np.errstate(over="ignore"):  # too large for float32: infinite, and refused below
        features = array.astype(np.float32, copy=False)
    nan = infinite = 0
    for chunk in _chunks(features.reshape(-1)):
        if not np.isfinite(chunk).all():
            nan += int(np.isnan(chunk).sum())
            infinite += int(np.isinf(chunk).sum())
    if nan or infinite:
        raise SweepError(
            f"{name}: features must be finite float32 numbers: {nan:,} of {features.size:,} are "
            f"NaN and {infinite:,} infinite; drop or fill those rows"
        )
    return features


def whole_labels(array: npt.NDArray[Any], name: str) -> Labels:
    """Return labels (n,) as int64; floats are taken where each is a whole number."""
    wrong = ~(np.isfinite(array) & (array >= 0) & (array < 2**31) & (array == np.floor(array)))
    if wrong.any():
        row = int(wrong.argmax())
        raise SweepError(
            f"{name}: labels must be whole numbers from 0: {int(wrong.sum()):,} of "
            f"{len(array):,} are not, the first in row {row}: {array[row].item()!r}"
        )
    return array.astype(np.int64)


def known_labels(labels: Labels, classes: int, name: str) -> Labels:
    """Return the labels, each of which must be one of the classes."""
    strange = labels >= classes
    if strange.any():
        row = int(strange.argmax())
        raise SweepError(
            f"{name}: labels must be below the number of classes, {classes}: "
            f"{int(strange.sum()):,} of {len(labels):,} are not, the first in row {row}: "
            f"{int(labels[row])}"
        )
    return labels


def trainable(labels: Labels, classes: int, name: str) -> None:
    """Refuse rows of a single class, and fewer rows than there are classes."""
    present = np.unique(labels)
    if len(present) == 1:
        raise SweepError(
            f"{name}: there must be two classes or more: all {len(labels):,} rows are of "
            f"class {int(present[0])}"
        )
    if len(labels) < classes:
        raise SweepError(
            f"{name}: there must be a row for each class at least: {len(labels):,} rows, "
            f"{classes:,} classes"
        )


def _chunks(values: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]

"""The embedded digits: 1,797 real images that come with scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from sweep.data.dataset import Dataset, stratified_split

if TYPE_CHECKING:
    import numpy.typing as npt

    from sweep.data.dataset import SplitKind
    from sweep_model import Labels

TEST_ROWS = 360
TEST_SEED = 0  # never the user's: another split seed must not turn test rows into training rows


@dataclass(frozen=True)
class Digits:
    """The 1,797 handwritten digits, 8 x 8 pixels from 0 to 16, that come with scikit-learn."""

    name: ClassVar[str] = "digits"
    kind: ClassVar[str] = "images that come with scikit-learn"
    files: ClassVar[None] = None
    location: ClassVar[str] = "comes with scikit-learn"
    folder: ClassVar[None] = None
    official: ClassVar[tuple[None, str]] = None, "no check sums are published"
    split_kind: ClassVar[SplitKind] = "stratified"
    default_val_size: ClassVar[int] = 300
    has_test: ClassVar[bool] = True

    def development(self) -> Dataset:
        """1,437 of the rows, every class with its share."""
        rows, labels = _load()
        return _dataset(rows, labels, stratified_split(labels, TEST_ROWS, TEST_SEED)[0])

    def test(self) -> Dataset:
        """The other 360, the same whatever the split seed."""
        rows, labels = _load()
        return _dataset(rows, labels, stratified_split(labels, TEST_ROWS, TEST_SEED)[1])


def _load() -> tuple[npt.NDArray[np.uint8], Labels]:
    from sklearn.datasets import load_digits

    rows, labels = load_digits(return_X_y=True)
    return rows.astype(np.uint8), labels.astype(np.int64)


def _dataset(rows: npt.NDArray[Any], labels: Labels, chosen: Labels) -> Dataset:
    return Dataset(
        name=Digits.name,
        rows=rows[chosen],
        labels=labels[chosen],
        class_names=tuple("0123456789"),
        image_shape=(1, 8, 8),
    )

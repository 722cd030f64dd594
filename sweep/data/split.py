"""Which development rows train and which validate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from sweep.data.dataset import little_endian, sha256_of
from sweep.errors import SweepError

if TYPE_CHECKING:
    from sweep.data.dataset import Dataset
    from sweep.data.source import Source
    from sweep_model.arrays import Labels

_GOLDEN = (5**0.5 - 1) / 2  # multiples of it fill the unit interval evenly


@dataclass(frozen=True, eq=False)
class Split:
    """Which development rows train and which validate: ascending row numbers, none in both."""

    train: Labels
    val: Labels

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the row numbers."""
        return sha256_of(little_endian(self.train), little_endian(self.val))


def split_rows(
    source: Source, dataset: Dataset, *, val_size: int | None = None, split_seed: int = 0
) -> Split:
    """Part the development rows of a source; `split_seed` matters to a stratified split only.

    Unless given, `val_size` is the source's default, or the nearest that rows and classes allow.

    Raises
    ------
    SweepError
        `val_size` is out of range, or the data brings its own validation rows.
    """
    size = source.default_val_size if val_size is None else val_size
    if source.split_kind == "given":
        if size != source.default_val_size:
            raise SweepError(
                f"--val-size {size}: {dataset.name} brings its own {source.default_val_size:,} "
                "validation rows; leave --val-size out"
            )
        return _last(len(dataset.rows), size)
    stratified = source.split_kind == "stratified"
    if stratified:
        _refuse_single_rows(dataset)
    classes = len(np.unique(dataset.labels))
    least, most = classes if stratified else 1, len(dataset.rows) - classes
    if val_size is None:  # a default suits small data, too, where anything does
        size = max(least, min(size, most))
    if not least <= size <= most:
        raise SweepError(
            f"--val-size {size}: must be from {least} to {most} for the {len(dataset.rows):,} "
            f"rows and {classes} classes of {dataset.name}"
        )
    if not stratified:
        return _last(len(dataset.rows), size)
    return Split(*stratified_split(dataset.labels, size, split_seed))


def _refuse_single_rows(dataset: Dataset) -> None:
    """Refuse a class that cannot both train and validate."""
    alone = np.flatnonzero(np.bincount(dataset.labels) == 1)
    if len(alone):
        raise SweepError(
            f"{dataset.name}: a class needs two rows to be split: {len(alone)} of "
            f"{len(np.unique(dataset.labels))} classes have one, the first is "
            f"{dataset.class_names[alone[0]]!r}; add rows, or give X_val and y_val"
        )


def stratified_split(labels: Labels, size: int, seed: int) -> tuple[Labels, Labels]:
    """Draw `size` row numbers, every class with its share: (the others, the drawn)."""
    from sklearn.model_selection import train_test_split

    others, drawn = train_test_split(
        np.arange(len(labels)), test_size=size, stratify=labels, random_state=seed
    )
    return np.sort(others), np.sort(drawn)


def stratified_sample(labels: Labels, size: int) -> tuple[Labels, Labels]:
    """Part row numbers into a sample with each class's share, and the others; both ascend.

    The sample is the same for the same labels. It takes the rows of a class at even distances.
    """
    counts = np.bincount(labels)
    by_class = np.argsort(labels, kind="stable")
    places = np.concatenate([np.arange(count) for count in counts])
    shares = np.empty(len(labels))
    shares[by_class] = (places * _GOLDEN) % 1  # spread evenly, however many are taken
    numbers = np.argsort(shares, kind="stable")
    return np.sort(numbers[:size]), np.sort(numbers[size:])


def _last(n: int, size: int) -> Split:
    return Split(np.arange(n - size), np.arange(n - size, n))

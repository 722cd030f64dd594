"""From raw rows and a split to rows ready to train on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from model.reference import Rows
from model.standardise import Standardiser
from sweep.errors import SweepError

if TYPE_CHECKING:
    import numpy.typing as npt

    from model.arrays import ImageShape, Labels
    from sweep.data.dataset import Dataset
    from sweep.data.split import Split


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """Rows ready to train on, standardised by the training rows alone."""

    name: str
    training: Rows
    validation: Rows
    standardiser: Standardiser
    class_names: tuple[str, ...]
    image_shape: ImageShape | None
    data_digest: str
    split_digest: str


def prepare(dataset: Dataset, split: Split) -> Prepared:
    """Standardise the rows of a split; CIFAR-10 takes 0.6 GB more and two seconds.

    Raises
    ------
    SweepError
        A feature cannot be standardised in float32.
    """
    training, validation = (_take(dataset.rows, part) for part in (split.train, split.val))
    try:
        standardiser = Standardiser.fit(training)
        with np.errstate(over="raise"):  # a value too far from the mean for float32
            standardised = standardiser.apply(training), standardiser.apply(validation)
    except (ValueError, FloatingPointError) as error:
        raise SweepError(f"{dataset.name}: {error}; rescale or drop the feature") from error
    return Prepared(
        name=dataset.name,
        training=Rows(standardised[0], dataset.labels[split.train]),
        validation=Rows(standardised[1], dataset.labels[split.val]),
        standardiser=standardiser,
        class_names=dataset.class_names,
        image_shape=dataset.image_shape,
        data_digest=dataset.digest,
        split_digest=split.digest,
    )


def _take(rows: npt.NDArray[Any], numbers: Labels) -> npt.NDArray[Any]:
    """The numbered rows: a view where they lie side by side, which saves 150 MB on CIFAR-10."""
    first, last = int(numbers[0]), int(numbers[-1])
    if np.array_equal(numbers, np.arange(first, last + 1)):
        return rows[first : last + 1]
    return rows[numbers]

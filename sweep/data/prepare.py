"""From raw rows and a split to rows ready to train on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sweep.data.split import stratified_sample
from sweep.errors import SweepError
from sweep_model.preprocessing import MirrorBasis, MirrorRows, Standardiser
from sweep_model.training import Rows

if TYPE_CHECKING:
    import numpy.typing as npt

    from sweep.data.dataset import Dataset
    from sweep.data.split import Split
    from sweep_model.arrays import ImageShape, Labels

SAMPLE = 10_000
"""Training rows that are evaluated after every epoch; all of them would be a third of the work."""
NAMED = 5
"""Classes that a notice names; there may be thousands of them."""
_CHUNK = 1_000  # rows turned at a time: beside the rows themselves it takes 25 MB for CIFAR-10


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """Rows ready to train on, standardised by the training rows alone.

    The training rows are in pixel order, for the reference trainer, or in the mirror basis, for
    panels: CIFAR-10 once is 0.6 GB, so nobody holds both. The first `sample` of them are a fixed
    stratified sample, in both cases.
    """

    name: str
    training: Rows | MirrorRows
    validation: Rows
    sample: int
    standardiser: Standardiser
    class_names: tuple[str, ...]
    image_shape: ImageShape | None
    data_digest: str
    split_digest: str

    def unvalidated(self) -> str | None:
        """Return in a line which classes no validation row is of; None if every class has one."""
        rows = np.bincount(self.validation.labels, minlength=len(self.class_names))
        missing = [repr(self.class_names[label]) for label in np.flatnonzero(rows == 0)]
        if not missing:
            return None
        named = ", ".join(missing[:NAMED]) + (", ..." if len(missing) > NAMED else "")
        return (
            f"{self.name} has no validation row of {len(missing)} of {len(self.class_names)} "
            f"classes ({named}), so nothing will be known of them; ask for more rows with "
            "--val-size, or put some into X_val."
        )


def prepare(dataset: Dataset, split: Split, *, mirrored: bool = False) -> Prepared:
    """Standardise the rows of a split; CIFAR-10 takes 0.6 GB more and two seconds.

    `mirrored` puts the training rows in the mirror basis, which panels train in.

    Raises
    ------
    SweepError
        A feature cannot be standardised in float32.
    """
    training, validation = (_take(dataset.rows, part) for part in (split.train, split.val))
    labels, val_labels = dataset.labels[split.train], dataset.labels[split.val]
    sample, others = stratified_sample(labels, SAMPLE)
    order = np.concatenate([sample, others])
    try:
        standardiser = Standardiser.fit(training)
        with np.errstate(over="raise"):  # a value too far from the mean for float32
            trained_on: Rows | MirrorRows = (
                _mirrored(training, labels, order, standardiser, dataset.image_shape)
                if mirrored
                else Rows(standardiser.apply(training[order]), labels[order])
            )
            validated_on = Rows(standardiser.apply(validation), val_labels)
    except (ValueError, FloatingPointError) as error:
        raise SweepError(f"{dataset.name}: {error}; rescale or drop the feature") from error
    return Prepared(
        name=dataset.name,
        training=trained_on,
        validation=validated_on,
        sample=len(sample),
        standardiser=standardiser,
        class_names=dataset.class_names,
        image_shape=dataset.image_shape,
        data_digest=dataset.digest,
        split_digest=split.digest,
    )


def _mirrored(
    rows: npt.NDArray[Any],
    labels: Labels,
    order: Labels,
    standardiser: Standardiser,
    image_shape: ImageShape | None,
) -> MirrorRows:
    """Standardise and turn some rows at a time, so that they are in memory once."""
    basis = MirrorBasis(rows.shape[1], image_shape)
    turned = np.empty(rows.shape, dtype=np.float32)
    for start in range(0, len(rows), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        turned[chunk] = basis.turn(standardiser.apply(rows[order[chunk]]))
    return MirrorRows(turned, labels[order], basis)


def _take(rows: npt.NDArray[Any], numbers: Labels) -> npt.NDArray[Any]:
    """The numbered rows: a view where they lie side by side, which saves 150 MB on CIFAR-10."""
    first, last = int(numbers[0]), int(numbers[-1])
    if np.array_equal(numbers, np.arange(first, last + 1)):
        return rows[first : last + 1]
    return rows[numbers]

"""What trainers take and give: rows, and where a trial stands after each epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sweep_model.arrays import Floats, ImageShape, Labels
    from sweep_model.mirror_rows import MirrorRows


@dataclass(frozen=True, eq=False)
class Rows:
    """Standardised rows (n, d) float32 with their labels (n,) int64, n at least 1."""

    rows: Floats
    labels: Labels

    def __post_init__(self) -> None:
        if self.rows.ndim != 2 or self.rows.dtype != np.float32:  # noqa: PLR2004 - (n, d)
            raise ValueError(
                f"rows must be (n, d) float32, got {self.rows.shape} {self.rows.dtype}"
            )
        if self.labels.shape != (len(self.rows),) or self.labels.dtype != np.int64:
            raise ValueError(
                f"labels must be ({len(self.rows)},) int64, "
                f"got {self.labels.shape} {self.labels.dtype}"
            )
        if len(self.labels) == 0 or self.labels.min() < 0:
            raise ValueError("there must be at least one row, and no label below 0")


@dataclass(frozen=True)
class Evaluation:
    """Mean loss and cost in nats, and the fraction of rows predicted rightly."""

    loss: float
    cost: float
    accuracy: float


@dataclass(frozen=True, eq=False)
class EpochResult:
    """Where a trial stands after `epoch`, counted from 1; the arrays are the receiver's own.

    The training rows are evaluated as they are, not mirrored.
    """

    epoch: int
    learning_rate: float
    train: Evaluation
    val: Evaluation
    weights: Floats
    bias: Floats


@dataclass(frozen=True, eq=False, kw_only=True)
class SlotState:
    """All that a trial in the slot of a stack carries from one pass into the next.

    Attributes
    ----------
    first_pass : in which it began.
    weights : (k, d) float32, in the mirror basis of its rows.
    bias : (k,) float32.
    """

    first_pass: int
    weights: Floats
    bias: Floats


class DivergedError(Exception):
    """A cost or a weight is no longer finite after `epoch`, counted from 1."""

    def __init__(self, epoch: int, reason: str) -> None:
        super().__init__(epoch, reason)  # both, or it could not travel between processes
        self.epoch = epoch
        self.reason = reason

    def __str__(self) -> str:
        return f"diverged in epoch {self.epoch}: {self.reason}"


def check_rows(training: Rows | MirrorRows, validation: Rows | MirrorRows, classes: int) -> None:
    """Refuse rows of two lengths, and labels that are no class, with a ValueError."""
    features = training.rows.shape[1]
    if validation.rows.shape[1] != features:
        raise ValueError(f"validation rows must be (n, {features}), got {validation.rows.shape}")
    largest = int(max(training.labels.max(), validation.labels.max()))
    if largest >= classes:
        raise ValueError(f"labels must be below classes={classes!r}, got {largest!r}")


def check_images(features: int, flip_probability: float, image_shape: ImageShape | None) -> None:
    """Refuse flips of rows that are no images, and images of another size: a ValueError."""
    if image_shape is None and flip_probability > 0:
        raise ValueError(
            f"flip_probability must be 0 where rows have no image_shape, got {flip_probability!r}"
        )
    if image_shape is not None and math.prod(image_shape) != features:
        raise ValueError(f"image_shape must hold {features} features, got {image_shape!r}")


def refuse_divergence(result: EpochResult) -> None:
    """Raise what a trainer raises, and a stack returns, when a trial has diverged.

    Raises
    ------
    DivergedError
        A cost, a weight or a bias is not finite.
    """
    for name, cost in (("training", result.train.cost), ("validation", result.val.cost)):
        if not math.isfinite(cost):
            raise DivergedError(result.epoch, f"the {name} cost is {cost}")
    if not (np.isfinite(result.weights).all() and np.isfinite(result.bias).all()):
        raise DivergedError(result.epoch, "a weight or bias is not finite")

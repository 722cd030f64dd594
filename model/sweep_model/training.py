"""What trainers take and give: rows, a training, and its figures after each epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sweep_model.rng import LIMIT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sweep_model import Floats, Labels
    from sweep_model.hyperparameters import Hyperparameters


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


class PanelKind(NamedTuple):
    """What the trainings of one panel have in common."""

    normalise: str
    draw: int
    seed: int
    batch_size: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Training:
    """One training: a setting with a seed, from its first pass over the rows to its last.

    Attributes
    ----------
    seed : decides the initial weights and the order of the rows in each pass.
    number : of the trial; with the seed it decides the flips.
    first_pass : the pass that is its first epoch.
    epochs : passes that it takes in all.
    row_weights : (n,) float, 0 or more, how much each training row counts: a batch's gradient is
        the weighted mean over its rows, and a batch of weight 0 makes no step. None: all the same.
    normalise, draw : how its rows are made ready, a name, and which draw of them it trains on:
        those that carry the same ones.

    Raises
    ------
    ValueError
        A number is out of its range.
    """

    hyperparameters: Hyperparameters
    epochs: int
    seed: int = 0
    number: int = 0
    first_pass: int = 0
    row_weights: Floats | None = None
    normalise: str = "standardise"
    draw: int = 0

    @property
    def panel_kind(self) -> PanelKind:
        """Which panels it may stand in."""
        size = self.hyperparameters.batch_size
        return PanelKind(self.normalise, self.draw, self.seed, size)

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(f"epochs must be 1 or more, got {self.epochs!r}")
        for name in ("seed", "number", "first_pass"):
            if not 0 <= getattr(self, name) < LIMIT:
                raise ValueError(f"{name} must be from 0 to 2^32 - 1, got {getattr(self, name)!r}")
        weights = self.row_weights
        if weights is not None and not (
            weights.ndim == 1 and np.isfinite(weights).all() and (weights >= 0).all()
        ):
            raise ValueError("row_weights must be (n,), finite and 0 or more")


@dataclass(frozen=True)
class Evaluation:
    """Mean loss and cost in nats, the fraction of rows predicted rightly, and what was asked for.

    Attributes
    ----------
    further : metrics of `sweep_model.metrics.further_metrics` by name.
    """

    loss: float
    cost: float
    accuracy: float
    further: Mapping[str, float] = field(default_factory=dict)

    def value(self, name: str) -> float:
        """Return a metric by its name."""
        return self.further[name] if name in self.further else getattr(self, name)


@dataclass(frozen=True)
class EpochResult:
    """A training after `epoch`, counted from 1. Rows are evaluated as they are, not mirrored.

    Attributes
    ----------
    learning_rate : of this epoch.
    evaluations : by the name of the set of rows.
    """

    epoch: int
    learning_rate: float
    evaluations: Mapping[str, Evaluation]


class DivergedError(Exception):
    """A cost or a weight is no longer finite after `epoch`, counted from 1."""

    def __init__(self, epoch: int, reason: str) -> None:
        super().__init__(epoch, reason)  # both, or it could not travel between processes
        self.epoch = epoch
        self.reason = reason

    def __str__(self) -> str:
        return f"diverged in epoch {self.epoch}: {self.reason}"


def averaged_steps(steps: int) -> range:
    """Return the steps of an epoch, from 0, after which the weights count in their mean.

    The last one, and every fourth before it within the second half.
    """
    return range(steps - 1, steps // 2 - 1, -4)


def balanced_weights(labels: Labels) -> Floats:
    """Row weights n / (K n_k), (n,) float64, of n rows in K classes, n_k of them in the row's.

    Source: King and Zeng, "Logistic Regression in Rare Events Data", Political Analysis 9, 2001;
    as scikit-learn's `class_weight="balanced"`.
    """
    counts = np.bincount(labels)
    weights: Floats = len(labels) / (np.count_nonzero(counts) * counts[labels])
    return weights


def check_labels(name: str, labels: Labels, classes: int) -> None:
    """Refuse labels of the set `name` that are no class, with a ValueError."""
    if labels.max() >= classes:
        raise ValueError(f"{name} labels must be below {classes=}, got {labels.max()}")


def check_row_weights(row_weights: Floats | None, n: int) -> None:
    """Refuse row weights that are not one for each of n rows, with a ValueError."""
    if row_weights is not None and len(row_weights) != n:
        raise ValueError(f"row_weights must be one for each of {n} rows, got {len(row_weights)}")


def divergence(result: EpochResult, *, finite: bool) -> DivergedError | None:
    """Return the error of a training whose cost, or a weight (not `finite`), is not finite."""
    for name, evaluation in result.evaluations.items():
        if not math.isfinite(evaluation.cost):
            return DivergedError(result.epoch, f"the {name} cost is {evaluation.cost}")
    if not finite:
        return DivergedError(result.epoch, "a weight or bias is not finite")
    return None

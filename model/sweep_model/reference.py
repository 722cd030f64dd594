"""Train one trial in the plainest way: the oracle that a faster engine is tested against."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sweep_model.cost import gradient, mean_loss, penalty
from sweep_model.metrics import accuracy
from sweep_model.mirror import mirror
from sweep_model.results import (
    DivergedError,
    EpochResult,
    Evaluation,
    Rows,
    check_images,
    check_rows,
    refuse_divergence,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sweep_model.arrays import Floats, ImageShape, Labels
    from sweep_model.draws import Draws
    from sweep_model.hyperparameters import Hyperparameters
    from sweep_model.losses import Loss

__all__ = ["DivergedError", "EpochResult", "Evaluation", "Rows", "evaluate", "train"]


def train(
    training: Rows,
    validation: Rows,
    hyperparameters: Hyperparameters,
    *,
    loss: Loss,
    classes: int,
    epochs: int,
    draws: Draws,
    image_shape: ImageShape | None = None,
) -> Iterator[EpochResult]:
    """Mini-batch gradient descent on the cost, one shuffle and one set of flips per epoch.

    Raises
    ------
    ValueError
        The arguments do not fit together; at once, not at the first epoch.
    DivergedError
        While iterating: the cost of an epoch, or a weight, is not finite.
    """
    if epochs < 1:
        raise ValueError(f"epochs must be 1 or more, got {epochs!r}")
    check_rows(training, validation, classes)
    check_images(training.rows.shape[1], hyperparameters.flip_probability, image_shape)

    def results() -> Iterator[EpochResult]:
        l2 = hyperparameters.l2
        weights = draws.initial_weights(classes, training.rows.shape[1])
        bias: Floats = np.zeros(classes, dtype=np.float32)
        for epoch in range(epochs):
            rate = hyperparameters.rate(epoch)
            batches = _batches(training, hyperparameters, draws, epoch, image_shape)
            weights, bias = _descend(weights, bias, batches, rate=rate, l2=l2, loss=loss)
            result = EpochResult(
                epoch=epoch + 1,
                learning_rate=rate,
                train=evaluate(weights, bias, training, l2=l2, loss=loss),
                val=evaluate(weights, bias, validation, l2=l2, loss=loss),
                weights=weights.copy(),
                bias=bias.copy(),
            )
            refuse_divergence(result)
            yield result

    return results()


@np.errstate(over="ignore", invalid="ignore")  # a cost that is not finite is the caller's to see
def evaluate(weights: Floats, bias: Floats, rows: Rows, *, l2: float, loss: Loss) -> Evaluation:
    """Evaluate W (k, d) and b (k,) on the rows as they are."""
    scores = rows.rows @ weights.T + bias
    mean = mean_loss(scores, rows.labels, loss)
    return Evaluation(
        loss=mean,
        cost=mean + penalty(weights, l2),
        accuracy=accuracy(scores.argmax(axis=1), rows.labels),
    )


def _batches(
    training: Rows,
    hyperparameters: Hyperparameters,
    draws: Draws,
    epoch: int,
    image_shape: ImageShape | None,
) -> Iterator[tuple[Floats, Labels]]:
    """The rows of one epoch, shuffled, some of them mirrored; the last batch may be short."""
    n = len(training.rows)
    order = draws.order(epoch, n)
    flips = draws.flips(epoch, n, hyperparameters.flip_probability)
    for start in range(0, n, hyperparameters.batch_size):
        chosen = order[start : start + hyperparameters.batch_size]
        rows = training.rows[chosen]
        flipped = flips[chosen]
        if image_shape is not None and flipped.any():
            rows[flipped] = mirror(rows[flipped], image_shape)
        yield rows, training.labels[chosen]


@np.errstate(over="ignore", invalid="ignore")  # divergence is found by its cost, after the epoch
def _descend(
    weights: Floats,
    bias: Floats,
    batches: Iterator[tuple[Floats, Labels]],
    *,
    rate: float,
    l2: float,
    loss: Loss,
) -> tuple[Floats, Floats]:
    """One step down the gradient per batch."""
    for rows, labels in batches:
        down_weights, down_bias = gradient(weights, bias, rows, labels, l2=l2, loss=loss)
        weights = weights - rate * down_weights
        bias = bias - rate * down_bias
    return weights, bias

"""The cost J = mean loss + l2 * sum(W^2) of a linear classifier; the biases are free.

Throughout, the scores are s = W x + b: weights W (k, d), bias b (k,), rows x (n, d).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sweep_model.arrays import Floats, Labels
    from sweep_model.losses import Loss


def cost(
    weights: Floats, bias: Floats, rows: Floats, labels: Labels, *, l2: float, loss: Loss
) -> float:
    """J, in nats; the sums are made in float64 whatever the dtype of the arrays."""
    return mean_loss(rows @ weights.T + bias, labels, loss) + penalty(weights, l2)


def gradient(
    weights: Floats, bias: Floats, rows: Floats, labels: Labels, *, l2: float, loss: Loss
) -> tuple[Floats, Floats]:
    """dJ/dW (k, d) and dJ/db (k,), in the dtype of the arrays."""
    slopes = loss.gradient(rows @ weights.T + bias, labels) / len(rows)
    return slopes.T @ rows + 2 * float(l2) * weights, slopes.sum(axis=0)


def mean_loss(scores: Floats, labels: Labels, loss: Loss) -> float:
    """The mean over the rows of the loss of scores (n, k), in nats."""
    return float(loss.values(scores, labels).mean(dtype=np.float64))


def penalty(weights: Floats, l2: float) -> float:
    """l2 * sum(W^2)."""
    return float(l2 * np.square(weights, dtype=np.float64).sum())

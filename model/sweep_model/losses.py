"""Two losses of a row of scores, s (n, k), with their gradients; labels are (n,), 0 to k - 1.

All of it is computed from the scores, never from log(p), so scores of 1e4 give finite values,
and all of it keeps the dtype of the scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweep_model.arrays import Floats, Labels


@dataclass(frozen=True)
class Loss:
    """A loss: pure functions of the scores (n, k) and the labels (n,).

    Attributes
    ----------
    values : the loss of each row in nats, (n,).
    gradient : d values[i] / d scores[i], (n, k).
    probabilities : what the scores say of each class, 0 to 1, (n, k).
    """

    name: str
    values: Callable[[Floats, Labels], Floats]
    gradient: Callable[[Floats, Labels], Floats]
    probabilities: Callable[[Floats], Floats]


def _softmax(scores: Floats) -> Floats:
    """p_k = exp(s_k) / sum_j exp(s_j); each row adds up to 1."""
    # A common shift changes no p: with the largest score at 0, exp cannot overflow.
    powers: Floats = np.exp(scores - scores.max(axis=1, keepdims=True))
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


def _softmax_values(scores: Floats, labels: Labels) -> Floats:
    """-log p_y = log(sum_j exp(s_j)) - s_y."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    values: Floats = np.log(np.exp(shifted).sum(axis=1))
    values -= shifted[np.arange(len(labels)), labels]
    return values


def _softmax_gradient(scores: Floats, labels: Labels) -> Floats:
    """P - y, with y one-hot."""
    slopes = _softmax(scores)
    slopes[np.arange(len(labels)), labels] -= 1
    return slopes


def _sigmoid(scores: Floats) -> Floats:
    """p_k = 1 / (1 + exp(-s_k)), each class on its own."""
    # exp of minus the size cannot overflow, and sigmoid(s) = exp(s) / (1 + exp(s)) for s < 0.
    powers = np.exp(-np.abs(scores))
    probabilities: Floats = np.where(scores >= 0, 1, powers)
    probabilities /= 1 + powers
    return probabilities


def _bce_values(scores: Floats, labels: Labels) -> Floats:
    """-(1/K) sum_k [(1 - y_k) log(1 - p_k) + y_k log p_k].

    Since -log(1 - p) = softplus(s) and -log p = softplus(-s), it is the mean softplus of the
    scores after the true class's has changed its sign.
    """
    against = scores.copy()
    against[np.arange(len(labels)), labels] *= -1
    values: Floats = np.logaddexp(0, against).mean(axis=1)
    return values


def _bce_gradient(scores: Floats, labels: Labels) -> Floats:
    """(p - y) / K, with y one-hot."""
    slopes = _sigmoid(scores)
    slopes[np.arange(len(labels)), labels] -= 1
    slopes /= scores.shape[1]
    return slopes


SOFTMAX = Loss("softmax", _softmax_values, _softmax_gradient, _softmax)
BCE = Loss("bce", _bce_values, _bce_gradient, _sigmoid)
LOSSES = {loss.name: loss for loss in (SOFTMAX, BCE)}

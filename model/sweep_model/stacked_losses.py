"""The losses of `sweep_model.losses` for many trials at once, made for speed.

Scores are (k, n, slots): the classes come first, so that every sum or maximum over them adds or
compares long lines, all rows' and trials' scores for one class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweep_model.arrays import Floats, Labels


@dataclass(frozen=True)
class StackedLoss:
    """A loss of scores (k, n, slots); the functions use up the scores they are given.

    Attributes
    ----------
    targets : k -> (k, k) float32; row y is what `slopes` wants to know of the class y.
    slopes : (scores, targets (k, n, slots) of the rows, out (k, n, slots)): leaves
        d values / d scores in `out`.
    values : (scores, labels (n,), largest score (n, slots)) -> the loss in nats, (n, slots).
    """

    targets: Callable[[int], Floats]
    slopes: Callable[[Floats, Floats, Floats], None]
    values: Callable[[Floats, Labels, Floats], Floats]


def _softmax_targets(classes: int) -> Floats:
    """y, one-hot."""
    return np.eye(classes, dtype=np.float32)


def _softmax_slopes(scores: Floats, targets: Floats, out: Floats) -> None:
    """P - y."""
    # A common shift changes no p: with the largest score at 0, exp cannot overflow.
    scores -= np.maximum.reduce(scores, axis=0)
    np.exp(scores, out=scores)
    scores /= np.add.reduce(scores, axis=0)
    np.subtract(scores, targets, out=out)


def _softmax_values(scores: Floats, labels: Labels, largest: Floats) -> Floats:
    """log(sum_j exp(s_j)) - s_y."""
    scores -= largest
    own = scores[labels, np.arange(len(labels))]
    np.exp(scores, out=scores)
    values: Floats = np.log(np.add.reduce(scores, axis=0))
    values -= own
    return values


def _bce_targets(classes: int) -> Floats:
    """2 y - 1, with y one-hot."""
    return 2 * np.eye(classes, dtype=np.float32) - 1


def _bce_slopes(scores: Floats, targets: Floats, out: Floats) -> None:
    """(p - y) / K = (tanh(s / 2) - (2 y - 1)) / 2 K, since p = (1 + tanh(s / 2)) / 2."""
    scores *= 0.5
    np.tanh(scores, out=scores)
    scores -= targets
    np.multiply(scores, 0.5 / len(scores), out=out)


def _bce_values(scores: Floats, labels: Labels, largest: Floats) -> Floats:  # noqa: ARG001 - as above
    """The mean softplus of the scores after the true class's has changed its sign."""
    scores[labels, np.arange(len(labels))] *= -1
    # softplus(s) = max(s, 0) + log(1 + exp(-|s|)); logaddexp takes twenty times as long.
    sizes = np.abs(scores)
    np.negative(sizes, out=sizes)
    np.exp(sizes, out=sizes)
    np.log1p(sizes, out=sizes)
    np.maximum(scores, 0, out=scores)
    scores += sizes
    values: Floats = np.add.reduce(scores, axis=0)
    values /= len(scores)
    return values


STACKED_LOSSES = {
    "softmax": StackedLoss(_softmax_targets, _softmax_slopes, _softmax_values),
    "bce": StackedLoss(_bce_targets, _bce_slopes, _bce_values),
}

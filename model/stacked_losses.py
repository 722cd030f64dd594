"""The losses of `model.losses` for many trials at once, made for speed.

Scores are (n, k, slots): class-major, so that all trials' scores for one class lie side by side
and every sum or maximum over the classes adds or compares whole lines of trials.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from model.arrays import Floats, Labels


@dataclass(frozen=True)
class StackedLoss:
    """A loss of scores (n, k, slots); the functions use up the scores they are given.

    Attributes
    ----------
    targets : k -> (k, k) float32; row y is what `slopes` wants to know of the class y.
    slopes : (scores, targets (n, k, slots) of the rows, space (n, slots)): turns the scores into
        d values / d scores where they stand.
    values : (scores, labels (n,), largest score (n, slots)) -> the loss in nats, (n, slots).
    """

    targets: Callable[[int], Floats]
    slopes: Callable[[Floats, Floats, Floats], None]
    values: Callable[[Floats, Labels, Floats], Floats]


def _softmax_targets(classes: int) -> Floats:
    """y, one-hot."""
    return np.eye(classes, dtype=np.float32)


def _softmax_slopes(scores: Floats, targets: Floats, space: Floats) -> None:
    """P - y."""
    np.maximum.reduce(scores, axis=1, out=space)
    # A common shift changes no p: with the largest score at 0, exp cannot overflow.
    scores -= space[:, None]
    np.exp(scores, out=scores)
    np.einsum("nkt->nt", scores, out=space)  # twice as fast as add.reduce over the middle axis
    scores /= space[:, None]
    scores -= targets


def _softmax_values(scores: Floats, labels: Labels, largest: Floats) -> Floats:
    """log(sum_j exp(s_j)) - s_y."""
    scores -= largest[:, None]
    own = scores[np.arange(len(labels)), labels]
    np.exp(scores, out=scores)
    values: Floats = np.log(np.einsum("nkt->nt", scores))
    values -= own
    return values


def _bce_targets(classes: int) -> Floats:
    """2 y - 1, with y one-hot."""
    return 2 * np.eye(classes, dtype=np.float32) - 1


def _bce_slopes(scores: Floats, targets: Floats, space: Floats) -> None:  # noqa: ARG001 - as above
    """(p - y) / K = (tanh(s / 2) - (2 y - 1)) / 2 K, since p = (1 + tanh(s / 2)) / 2."""
    scores *= 0.5
    np.tanh(scores, out=scores)
    scores -= targets
    scores *= 0.5 / scores.shape[1]


def _bce_values(scores: Floats, labels: Labels, largest: Floats) -> Floats:  # noqa: ARG001 - as above
    """The mean softplus of the scores after the true class's has changed its sign."""
    scores[np.arange(len(labels)), labels] *= -1
    # softplus(s) = max(s, 0) + log(1 + exp(-|s|)); logaddexp takes twenty times as long.
    sizes = np.abs(scores)
    np.negative(sizes, out=sizes)
    np.exp(sizes, out=sizes)
    np.log1p(sizes, out=sizes)
    np.maximum(scores, 0, out=scores)
    scores += sizes
    values: Floats = np.einsum("nkt->nt", scores)
    values /= scores.shape[1]
    return values


STACKED_LOSSES = {
    "softmax": StackedLoss(_softmax_targets, _softmax_slopes, _softmax_values),
    "bce": StackedLoss(_bce_targets, _bce_slopes, _bce_values),
}

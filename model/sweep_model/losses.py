"""The two losses of scores s = W x + b, and the cost J = mean loss + l2 * sum(W^2).

All of it is computed from the scores, never from log(p), so scores of 1e4 give finite values, and
all of it keeps the dtype of the scores. Each loss stands here twice: as its formula, for scores
(n, k), and as the kernels that fast training uses, for scores (k, n, lanes) of many trainings.
There the classes come first, so that a sum or a maximum over them goes through long lines of
memory, and the arrays that are handed in are used up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from sweep_model import Floats, Labels


@dataclass(frozen=True)
class Loss:
    """A loss: pure functions of scores (n, k) and labels (n,), 0 to k - 1, and fast kernels.

    Attributes
    ----------
    name, words : in options and records, and in sentences.
    mean_of_classes : whether it is a mean of k losses, so that its gradient is 1/k of others'.
    values : the loss of each row in nats, (n,).
    gradient : d values[i] / d scores[i], (n, k).
    probabilities : what the scores say of each class, 0 to 1, (n, k).
    slopes_ : (scores (k, n, lanes), labels): the gradient times `slope_scale(k)`, in place.
    slope_scale : k -> the factor that `slopes_` leaves out.
    values_ : (scores (k, n, lanes), labels, largest score (n, lanes)) -> the loss, (n, lanes).
    """

    name: str
    words: str
    mean_of_classes: bool
    values: Callable[[Floats, Labels], Floats]
    gradient: Callable[[Floats, Labels], Floats]
    probabilities: Callable[[Floats], Floats]
    slopes_: Callable[[Floats, Labels], None]
    slope_scale: Callable[[int], float]
    values_: Callable[[Floats, Labels, Floats], Floats]


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


def _softmax_slopes_(scores: Floats, labels: Labels) -> None:
    """P - y."""
    scores -= np.maximum.reduce(scores, axis=0)
    np.exp(scores, out=scores)
    scores /= np.add.reduce(scores, axis=0)
    scores[labels, np.arange(len(labels))] -= 1


def _softmax_slope_scale(k: int) -> float:  # noqa: ARG001 - bce's depends on k
    return 1.0


def _softmax_values_(scores: Floats, labels: Labels, largest: Floats) -> Floats:
    """log(sum_j exp(s_j)) - s_y."""
    scores -= largest
    own = scores[labels, np.arange(len(labels))]
    np.exp(scores, out=scores)
    values: Floats = np.log(np.add.reduce(scores, axis=0))
    values -= own
    return values


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


def _bce_slopes_(scores: Floats, labels: Labels) -> None:
    """2 (p - y) = tanh(s / 2) + 1 - 2 y, since p = (1 + tanh(s / 2)) / 2; tanh is fast."""
    scores *= 0.5
    np.tanh(scores, out=scores)
    scores += 1
    scores[labels, np.arange(len(labels))] -= 2


def _bce_slope_scale(k: int) -> float:
    return 0.5 / k


def _bce_values_(scores: Floats, labels: Labels, largest: Floats) -> Floats:  # noqa: ARG001 - as softmax
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


SOFTMAX = Loss(
    name="softmax",
    words="softmax cross-entropy",
    mean_of_classes=False,
    values=_softmax_values,
    gradient=_softmax_gradient,
    probabilities=_softmax,
    slopes_=_softmax_slopes_,
    slope_scale=_softmax_slope_scale,
    values_=_softmax_values_,
)
BCE = Loss(
    name="bce",
    words="binary cross-entropy",
    mean_of_classes=True,
    values=_bce_values,
    gradient=_bce_gradient,
    probabilities=_sigmoid,
    slopes_=_bce_slopes_,
    slope_scale=_bce_slope_scale,
    values_=_bce_values_,
)
LOSSES = {loss.name: loss for loss in (SOFTMAX, BCE)}


def predict(scores: Floats) -> tuple[npt.NDArray[np.int32], Floats]:
    """The first class with the largest of scores (k, n, lanes), and that score: both (n, lanes)."""
    # argmax over the first axis takes three times as long.
    largest = scores[0].copy()
    predicted = np.zeros(largest.shape, dtype=np.int32)
    beaten = np.empty(largest.shape, dtype=np.bool_)
    for k in range(1, len(scores)):
        np.greater(scores[k], largest, out=beaten)
        np.maximum(predicted, beaten * np.int32(k), out=predicted)  # a mask would be slower
        np.maximum(largest, scores[k], out=largest)
    return predicted, largest


def normalised(scores: Floats, loss: Loss) -> Floats:
    """Scores (n, k) whose softmax is the loss's probabilities divided by their sum."""
    # sigmoid / sum = softmax of log(sigmoid), which is finite where all sigmoids vanish
    return scores if loss != BCE else -np.logaddexp(0, -scores)


def penalty(weights: Floats, l2: float) -> float:
    """l2 * sum(W^2); the sum is made in float64."""
    return float(l2 * np.square(weights, dtype=np.float64).sum())


def mean_loss(
    scores: Floats, labels: Labels, loss: Loss, row_weights: Floats | None = None
) -> float:
    """The mean over the rows of the loss of scores (n, k), in nats, made in float64."""
    return float(np.average(loss.values(scores, labels).astype(np.float64), weights=row_weights))


def cost(
    weights: Floats,
    bias: Floats,
    rows: Floats,
    labels: Labels,
    *,
    l2: float,
    loss: Loss,
    row_weights: Floats | None = None,
) -> float:
    """J in nats, of weights W (k, d), bias b (k,) and rows (n, d) that may be weighted (n,)."""
    return mean_loss(rows @ weights.T + bias, labels, loss, row_weights) + penalty(weights, l2)


def gradient(
    weights: Floats,
    bias: Floats,
    rows: Floats,
    labels: Labels,
    *,
    l2: float,
    loss: Loss,
    row_weights: Floats | None = None,
) -> tuple[Floats, Floats]:
    """dJ/dW (k, d) and dJ/db (k,), in the dtype of the arrays; the biases are not penalised."""
    slopes = loss.gradient(rows @ weights.T + bias, labels)
    if row_weights is None:
        slopes = slopes / len(rows)
    else:
        shares = row_weights / row_weights.sum(dtype=np.float64)
        slopes = slopes * shares.astype(slopes.dtype)[:, None]
    return slopes.T @ rows + 2 * float(l2) * weights, slopes.sum(axis=0)

"""One trial at a time as a course exercise writes it: float64, images in columns, whole copies."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from measuring import CLASSES, FEATURES, SHAPE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from measuring import Data

    from sweep_model import Floats, Labels
    from sweep_model.hyperparameters import Hyperparameters
    from sweep_model.training import Rows


class Textbook:
    """X (d, n) and one-hot Y (k, n): shuffled and mirrored as a whole before every epoch."""

    def __init__(self, data: Data, threads: int) -> None:
        if threads != 1:
            raise ValueError(f"threads must be 1, got {threads!r}")
        self._training, self._validation = _columns(data.training), _columns(data.validation)

    def train(self, settings: Sequence[Hyperparameters]) -> Iterator[list[float]]:
        """See `Trainer`."""
        (setting,) = settings
        rng = np.random.default_rng(0)
        weights, bias = rng.normal(0, 0.01, (CLASSES, FEATURES)), np.zeros((CLASSES, 1))
        images, labels = self._training
        n, epoch = len(labels), 0
        while True:
            rate = setting.rate(epoch)
            order = rng.permutation(n)
            x, y = images[:, order], np.eye(CLASSES)[:, labels[order]]
            flipped = rng.random(n) < setting.flip_probability
            x[:, flipped] = _mirrored(x[:, flipped])
            for start in range(0, n, setting.batch_size):
                batch = slice(start, start + setting.batch_size)
                slopes = _softmax(weights @ x[:, batch] + bias) - y[:, batch]
                m = slopes.shape[1]
                weights -= rate * (slopes @ x[:, batch].T / m + 2 * setting.l2 * weights)
                bias -= rate * slopes.mean(axis=1, keepdims=True)
            _evaluate(weights, bias, *self._training, setting.l2)
            _, accuracy = _evaluate(weights, bias, *self._validation, setting.l2)
            yield [accuracy]
            epoch += 1


def _columns(rows: Rows) -> tuple[Floats, Labels]:
    return np.ascontiguousarray(rows.rows.T, dtype=np.float64), rows.labels


def _mirrored(x: Floats) -> Floats:
    mirrored: Floats = x.reshape(*SHAPE, -1)[:, :, ::-1].reshape(x.shape)
    return mirrored


def _softmax(scores: Floats) -> Floats:
    powers: Floats = np.exp(scores - scores.max(axis=0))
    powers /= powers.sum(axis=0)
    return powers


def _evaluate(
    weights: Floats, bias: Floats, x: Floats, labels: Labels, l2: float
) -> tuple[float, float]:
    """The cost, added up row by row, and the accuracy."""
    probabilities = _softmax(weights @ x + bias)
    total = 0.0
    for i, label in enumerate(labels):
        total -= math.log(probabilities[label, i] + np.finfo(np.float64).tiny)
    right = probabilities.argmax(axis=0) == labels
    return total / len(labels) + l2 * float(np.square(weights).sum()), float(right.mean())

"""Evaluate all trials of a stack on rows as they are, not mirrored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from sweep_model.arrays import Floats
    from sweep_model.mirror_rows import MirrorRows
    from sweep_model.stacked_losses import StackedLoss
    from sweep_model.stacked_weights import StackedWeights

_BLOCK = 1024  # rows at a time, measured: longer blocks are no faster


class StackedEvaluation:
    """Mean loss and accuracy of all slots, block by block of rows, in one product each."""

    def __init__(self, rows: MirrorRows, weights: StackedWeights, loss: StackedLoss) -> None:
        self._rows, self._weights, self._loss = rows, weights, loss
        classes, slots = weights.bias.shape
        self._products: Floats = np.empty((_BLOCK, classes * slots), dtype=np.float32)
        self._scores: Floats = np.empty(_BLOCK * classes * slots, dtype=np.float32)

    def run(self) -> tuple[Floats, Floats]:
        """Mean loss in nats and fraction of rows predicted rightly, each (slots,) float64."""
        classes, slots = self._weights.bias.shape
        total, right = np.zeros(slots), np.zeros(slots)
        n = len(self._rows.labels)
        for start in range(0, n, _BLOCK):
            rows = self._rows.rows[start : start + _BLOCK]
            labels = self._rows.labels[start : start + _BLOCK]
            products = self._products[: len(rows)]
            np.matmul(rows, self._weights.stored, out=products)
            by_class = products.reshape(len(rows), classes, slots).transpose(1, 0, 2)
            scores = self._scores[: products.size].reshape(by_class.shape)
            np.add(by_class, self._weights.bias[:, None], out=scores)
            predicted, largest = _predict(scores)
            right += np.count_nonzero(predicted == labels[:, None], axis=0)
            total += self._loss.values(scores, labels, largest).sum(axis=0, dtype=np.float64)
        return total / n, right / n


def _predict(scores: Floats) -> tuple[npt.NDArray[np.int32], Floats]:
    """The first class with the largest score, and that score; argmax takes three times as long."""
    largest = scores[0].copy()
    predicted = np.zeros(largest.shape, dtype=np.int32)
    beaten = np.empty(largest.shape, dtype=np.bool_)
    for k in range(1, len(scores)):
        np.greater(scores[k], largest, out=beaten)
        np.maximum(predicted, beaten * np.int32(k), out=predicted)  # a mask would be slower
        np.maximum(largest, scores[k], out=largest)
    return predicted, largest

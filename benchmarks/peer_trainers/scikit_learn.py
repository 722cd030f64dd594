"""One trial at a time by scikit-learn: an SGDClassifier that is fitted batch by batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from measuring import CLASSES, SHAPE
from sklearn.linear_model import SGDClassifier

from sweep_model.losses import BCE
from sweep_model.preprocessing import mirror

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from measuring import Data

    from sweep_model.hyperparameters import Hyperparameters
    from sweep_model.training import Rows


class ScikitLearn:
    """One logistic regression per class, as SGDClassifier does it, row after row."""

    def __init__(self, data: Data, threads: int) -> None:
        if threads != 1:
            raise ValueError(f"threads must be 1, got {threads!r}")
        self._data = data

    def train(self, settings: Sequence[Hyperparameters]) -> Iterator[list[float]]:
        """See `Trainer`."""
        (setting,) = settings
        model = SGDClassifier(
            loss="log_loss",
            alpha=2 * setting.l2,
            learning_rate="constant",
            eta0=setting.learning_rate / setting.batch_size,  # it steps after every row
        )
        rng, classes = np.random.default_rng(0), np.arange(CLASSES)
        training = self._data.training
        while True:
            order = rng.permutation(len(training.labels))
            for start in range(0, len(order), setting.batch_size):
                chosen = order[start : start + setting.batch_size]
                rows = training.rows[chosen]
                flipped = rng.random(len(chosen)) < setting.flip_probability
                rows[flipped] = mirror(rows[flipped], SHAPE)
                model.partial_fit(rows, training.labels[chosen], classes=classes)
            _evaluate(model, training)
            _, accuracy = _evaluate(model, self._data.validation)
            yield [accuracy]


def _evaluate(model: SGDClassifier, rows: Rows) -> tuple[float, float]:
    """Mean loss, and the accuracy."""
    scores = model.decision_function(rows.rows)
    loss = float(BCE.values(scores, rows.labels).mean())
    return loss, float((scores.argmax(axis=1) == rows.labels).mean())

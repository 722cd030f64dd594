"""The plain NumPy loop: one trial at a time, by the project's own reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from measuring import CLASSES, SHAPE

from sweep_model.losses import SOFTMAX
from sweep_model.reference import train
from sweep_model.training import Training

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from measuring import Data

    from sweep_model.hyperparameters import Hyperparameters

ENDLESS = 1_000_000  # epochs


class Plain:
    """`sweep_model.reference`, which `sweep.search.objective` trains with."""

    def __init__(self, data: Data, threads: int) -> None:
        if threads != 1:
            raise ValueError(f"threads must be 1, got {threads!r}")
        self._data = data

    def train(self, settings: Sequence[Hyperparameters]) -> Iterator[list[float]]:
        """See `Trainer`."""
        (setting,) = settings
        results = train(
            self._data.training,
            {"train": self._data.training, "val": self._data.validation},
            Training(hyperparameters=setting, epochs=ENDLESS),
            loss=SOFTMAX,
            classes=CLASSES,
            image_shape=SHAPE,
        )
        for result, _, _ in results:
            yield [result.evaluations["val"].accuracy]

"""The way of this project: trainings side by side in panels."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from measuring import CLASSES, SHAPE

from sweep_model.losses import SOFTMAX
from sweep_model.panels import Panels, Problem
from sweep_model.preprocessing import MirrorRows
from sweep_model.training import Training

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from measuring import Data

    from sweep_model.hyperparameters import Hyperparameters

LANES, ENDLESS = 4, 1_000_000


class SideBySide:
    """Panels of the lanes of a default study, on threads."""

    def __init__(self, data: Data, threads: int) -> None:
        training = MirrorRows.of(data.training, SHAPE)
        validation = MirrorRows.of(data.validation, SHAPE)
        self._problem = Problem(
            rows=training,
            evaluation={"train": training, "val": validation},
            loss=SOFTMAX,
            classes=CLASSES,
        )
        self._threads = threads

    def train(self, settings: Sequence[Hyperparameters]) -> Iterator[list[float]]:
        """See `Trainer`."""
        panels = Panels(self._problem, lanes=LANES)
        for number, setting in enumerate(settings):
            training = Training(hyperparameters=setting, epochs=ENDLESS, number=number)
            panels.start(number, training)
        with ThreadPoolExecutor(self._threads) as pool:
            while True:
                results, _ = panels.run_pass(pool, self._threads)
                accuracies = []
                for number in range(len(settings)):
                    result = results[number]
                    if isinstance(result, Exception):
                        raise result  # an empty lane would make the times look better
                    accuracies.append(result.evaluations["val"].accuracy)
                yield accuracies

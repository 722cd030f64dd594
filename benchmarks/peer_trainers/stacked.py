"""The way of this project: one stack of trials per thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from measuring import BATCH_SIZES, CLASSES, SHAPE

from sweep_model.blocking import Blocking
from sweep_model.losses import SOFTMAX
from sweep_model.mirror_rows import MirrorRows
from sweep_model.results import DivergedError
from sweep_model.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from measuring import Data

    from sweep_model.hyperparameters import Hyperparameters


class Stacked:
    """Stacks that meet after every pass, as they do in a search."""

    def __init__(self, data: Data, threads: int) -> None:
        self._rows = MirrorRows.of(data.training, SHAPE), MirrorRows.of(data.validation, SHAPE)
        self._threads = threads

    def train(self, settings: Sequence[Hyperparameters]) -> Iterator[list[float]]:
        """See `Trainer`."""
        parts = [settings[i :: self._threads] for i in range(self._threads)]
        stacks = [self._fill(part, seed) for seed, part in enumerate(parts)]
        with ThreadPoolExecutor(self._threads) as pool:
            while True:
                yield [accuracy for part in pool.map(_pass, stacks) for accuracy in part]

    def _fill(self, settings: Sequence[Hyperparameters], seed: int) -> Stack:
        stack = Stack(
            *self._rows,
            loss=SOFTMAX,
            classes=CLASSES,
            slots=len(settings),
            seed=seed,
            blocking=Blocking.of(BATCH_SIZES),  # the space's, whichever of them are in use
        )
        for slot, setting in enumerate(settings):
            stack.start(slot, setting)
        return stack


def _pass(stack: Stack) -> list[float]:
    accuracies = []
    for result in stack.run_pass().values():
        if isinstance(result, DivergedError):
            raise result  # an empty slot would make the times look better than they are
        accuracies.append(result.val.accuracy)
    return accuracies

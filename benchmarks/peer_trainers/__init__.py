"""Trainers of the same trials, in the ways that a user could choose: see `Trainer`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from measuring import Data

    from sweep_model.hyperparameters import Hyperparameters


class Trainer(Protocol):
    """Trains trials on the rows that it was built with.

    Building it is not timed: it brings the rows into the form that it likes best. `threads` is
    how many it may keep busy.
    """

    def __init__(self, data: Data, threads: int) -> None: ...

    def train(self, settings: Sequence[Hyperparameters]) -> Iterator[list[float]]:
        """Train one trial per setting, for ever.

        After each epoch it finds the mean loss and the accuracy of all training rows and of the
        validation rows, and yields the latter's accuracy, one per trial.
        """

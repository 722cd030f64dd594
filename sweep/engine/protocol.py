"""What an engine does: five calls, whatever trains behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping

    from sweep_model.panels import LaneState
    from sweep_model.training import DivergedError, EpochResult, Training

Results: TypeAlias = "Mapping[Hashable, EpochResult | DivergedError]"
"""How each training stands after a pass, by its key, or how it diverged."""


class Engine(Protocol):
    """Trainings by key; one pass over the rows is an epoch of each of them.

    What a training comes to depends on the training and the number of lanes alone, not on what
    else trains, nor where, nor on how many workers.
    """

    @property
    def next_pass(self) -> int:
        """The number of the next pass."""

    def start(self, key: Hashable, training: Training) -> None:
        """Begin a training with the next pass."""

    def drop(self, key: Hashable) -> None:
        """Take a training out."""

    def states(self, keys: Iterable[Hashable]) -> dict[Hashable, LaneState]:
        """Return what trainings carry between two passes, for `restore`."""

    def restore(self, states: Mapping[Hashable, tuple[Training, LaneState]]) -> None:
        """Go on with trainings from their states, to the same bits."""

    def run_pass(self) -> Results:
        """Train and evaluate each training for one epoch.

        A training that diverged is out; one that has had its last epoch is dropped by the caller.
        """

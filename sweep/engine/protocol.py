"""What an engine does: five calls, whatever trains behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

from sweep.errors import StoreUnreachableError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping

    from sweep.environment import Environment
    from sweep_model.panels import LaneState
    from sweep_model.training import DivergedError, EpochResult, Training

Results: TypeAlias = "Mapping[Hashable, EpochResult | DivergedError]"
"""How each training stands after a pass, by its key, or how it diverged."""


class TrainersLostError(StoreUnreachableError):
    """What trained is lost with the machines it was on: begin anew, or from a checkpoint.

    The engine is empty, before its first pass, and trains on what is left.
    """


class Engine(Protocol):
    """Trainings by key; one pass over the rows is an epoch of each of them.

    What a training comes to depends on the training and the number of lanes alone, not on what
    else trains, nor where, nor on how many workers. Where work goes to other machines each call
    may raise `TrainersLostError`.
    """

    @property
    def next_pass(self) -> int:
        """The number of the next pass."""

    @property
    def lanes_agree(self) -> bool:
        """Whether BLAS gives the same bits in each lane, as far as was needed."""

    @property
    def environment(self) -> Environment:
        """What the bits of trainings depend on besides themselves, where they train."""

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

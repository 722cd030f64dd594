"""What the store already knows of each position when a study goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweep.engine import Seat
from sweep.study import attributes
from sweep.study.ending import Ending
from sweep.study.position import is_settled, position_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class Record:
    """One position: its latest attempt, with the setting that the first one got.

    Attributes
    ----------
    trial
        The latest attempt.
    attempts
        How many there were.

    """

    trial: FrozenTrial
    attempts: int

    @property
    def settled(self) -> bool:
        """Whether the trial ended by itself, so that it need not run again."""
        return is_settled(self.trial)

    @property
    def ending(self) -> Ending:
        """How a settled trial ended."""
        return Ending(self.trial.user_attrs[attributes.ENDING])

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The setting."""
        return self.trial.params

    @property
    def first_pass(self) -> int:
        """The pass in which it begins, in logical time."""
        return seat_of(self.trial).first_pass

    @property
    def slot(self) -> int:
        """The slot of the study in which it trains."""
        return int(self.trial.user_attrs[attributes.SLOT])

    def curve(self, metric: str) -> list[float]:
        """Return the values of a settled trial after each of its epochs."""
        curve: list[float] = self.trial.user_attrs[attributes.CURVES][metric]
        return curve


def records_of(trials: Sequence[FrozenTrial]) -> dict[int, Record]:
    """Return what is known of each position; what did not come from a study's run is not."""
    found: dict[int, Record] = {}
    for trial in trials:
        if attributes.SEAT not in trial.user_attrs:
            continue
        position = position_of(trial)
        attempts = found[position].attempts if position in found else 0
        found[position] = Record(trial, attempts + 1)
    return found


def seat_of(trial: FrozenTrial) -> Seat:
    """Return where a trial trained: with it, it comes out the same again."""
    return Seat(**trial.user_attrs[attributes.SEAT])

"""What the store already knows of each position when a study goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sweep.engine import Seat
from sweep.errors import SweepError
from sweep.study import attributes
from sweep.study.ending import Ending
from sweep.study.position import is_settled, position_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from optuna.trial import FrozenTrial

    from sweep.study.checkpoint import TrialState


class Start(NamedTuple):
    """The pass in which a trial begins, and the slot of the study; the earlier is the smaller."""

    first_pass: int
    slot: int


@dataclass(frozen=True)
class Record:
    """One position: its latest attempt, with the setting that the first one got.

    Attributes
    ----------
    trial
        The latest attempt.
    attempts
        How many there were.
    state
        Where it stands, if it was left in training and a checkpoint has it.

    """

    trial: FrozenTrial
    attempts: int
    state: TrialState | None = None

    @property
    def settled(self) -> bool:
        """Whether the trial ended by itself, so that it need not run again."""
        return is_settled(self.trial)

    @property
    def left(self) -> bool:
        """Whether a process died, or was stopped, while it trained."""
        return not self.trial.state.is_finished()

    @property
    def ending(self) -> Ending:
        """How a settled trial ended."""
        return Ending(self.trial.user_attrs[attributes.ENDING])

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The setting."""
        return self.trial.params

    @property
    def start(self) -> Start:
        """When and where it begins, in logical time."""
        slot = int(self.trial.user_attrs[attributes.SLOT])
        return Start(seat_of(self.trial).first_pass, slot)

    def check_start(self, now: Start, study: str) -> None:
        """Raise a SweepError where the trial would begin at another time or place than it did."""
        if self.start != now:
            raise SweepError(
                f"study {study!r}: position {position_of(self.trial)} began in pass "
                f"{self.start.first_pass} and slot {self.start.slot}, and would now in pass "
                f"{now.first_pass} and slot {now.slot}; it cannot go on as it was: name a new one "
                "with --study"
            )

    def curve(self, metric: str) -> list[float]:
        """Return the values after each epoch, of a trial that is settled or has a state."""
        curves = self.state.curves if self.state else self.trial.user_attrs[attributes.CURVES]
        curve: list[float] = curves[metric]
        return curve


def records_of(
    trials: Sequence[FrozenTrial], states: Mapping[int, TrialState]
) -> dict[int, Record]:
    """Return what is known of each position; what did not come from a study's run is not.

    `states` are those of the trials that were left in training, by their number.
    """
    found: dict[int, Record] = {}
    for trial in trials:
        if attributes.SEAT in trial.user_attrs:
            attempts = trial.user_attrs.get(attributes.ATTEMPT, 1)
            state = None if is_settled(trial) else states.get(trial.number)
            found[position_of(trial)] = Record(trial, attempts, state)
    return found


def seat_of(trial: FrozenTrial) -> Seat:
    """Return where a trial trained: with it, it comes out the same again."""
    return Seat(**trial.user_attrs[attributes.SEAT])

"""What a running study tells whoever watches it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweep.search.trials import TrialRecord


class Listener:
    """Receives the events of a study, in order; this one keeps silent."""

    def trial_began(self, number: int) -> None:
        """Trial `number` is about to train."""

    def epoch_ended(self, number: int, epoch: int, value: float) -> None:
        """The objective's value after `epoch`, counted from 1."""

    def trial_known(self, trial: TrialRecord) -> None:
        """An earlier run of the study has ended a trial."""

    def trial_ended(self, trial: TrialRecord) -> None:
        """A trial ended."""

    def pass_ended(self, training: int) -> None:
        """Every trial has trained for one more epoch; `training` of them go on."""

    def warned(self, text: str) -> None:
        """Something went wrong that does not end the study."""

"""The right of one worker to train one trial of a shared study."""

from __future__ import annotations

from dataclasses import dataclass

from sweep.errors import SweepError


class LeaseLostError(SweepError):
    """Another worker has taken the trial over, or it was given up."""

    def __init__(self, number: int) -> None:
        super().__init__(f"lease lost on trial {number}: another worker has taken it over")


@dataclass(frozen=True)
class Lease:
    """The right to train one trial, as long as its heartbeat is fresh.

    Attributes
    ----------
    trial_id, number
        What the store and the study call the trial.
    worker
        Who has it.
    attempt
        From 1; each worker that takes the trial over makes another one.
    deaths
        How many workers died with it.

    """

    trial_id: int
    number: int
    worker: str
    attempt: int = 1
    deaths: int = 0

    def record(self) -> dict[str, object]:
        """Return what the trial's attribute holds."""
        return {"worker": self.worker, "attempt": self.attempt, "deaths": self.deaths}

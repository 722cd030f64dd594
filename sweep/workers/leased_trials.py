"""Trials of a shared study in both stores: as those of a local one, but for whose they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sweep.study import attributes
from sweep.study.trial_life import TrialLife
from sweep.study.trial_lives import TrialLives

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sweep.data import Prepared
    from sweep.study.ending import Ending
    from sweep.study.training_run import TrainingRun
    from sweep.study.trial_life import Asked
    from sweep.timings import Timings
    from sweep.tracking.run import Run
    from sweep.workers.lease import Lease
    from sweep.workers.leases import Leases


class LeasedLife(TrialLife):
    """Keeps the record of one trial for as long as its worker has it.

    Parameters
    ----------
    leases
        Of the study.
    lease
        The trial's.
    given
        As a `TrialLife` takes them.

    """

    def __init__(self, leases: Leases, lease: Lease, **given: Any) -> None:
        super().__init__(leases.study, **given)
        self.leases, self.lease = leases, lease
        self.letter = 0
        """The number of the letter that tells MLflow of its end."""

    def finish(self, ending: Ending, record: Mapping[str, Any]) -> None:
        """End the trial in the record; a LeaseLostError where another worker has it."""
        self.letter = record[attributes.LETTER]
        self.leases.finish(self.lease, ending, self.values, record)


class LeasedTrials(TrialLives):
    """Begins the trials that a worker claimed; each attempt gets an MLflow run of its own.

    Parameters
    ----------
    leases
        Of the study.
    parent
        Its MLflow run.
    data
        What is trained on.
    timings
        Where the time spent in the store is added up, as `sampling`.

    """

    def __init__(self, leases: Leases, parent: Run, data: Prepared, timings: Timings) -> None:
        super().__init__(leases.study, parent, data, timings, {})
        self.leases = leases
        self._claimed: dict[int, Lease] = {}

    def begin_claimed(self, asked: Asked, lease: Lease) -> LeasedLife:
        """Begin a trial; a LeaseLostError where another worker has it."""
        with self.timings.part("sampling"):
            self.leases.begin(lease, asked.trial, asked.record())
        self._claimed[lease.trial_id] = lease
        life = self.live(asked, lease.number, lease.trial_id)
        assert isinstance(life, LeasedLife)  # noqa: S101 - made below
        return life

    def life(self, asked: Asked, number: int, trial_id: int, training: TrainingRun) -> LeasedLife:
        """Return what keeps a trial's record."""
        return LeasedLife(
            self.leases,
            self._claimed.pop(trial_id),
            asked=asked,
            number=number,
            trial_id=trial_id,
            training=training,
            timings=self.timings,
        )

"""Begins trials in both stores, and takes up again those that a dead process left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.study import attributes
from sweep.study.recording import begin_trial
from sweep.study.storage import reaching_store
from sweep.study.training_run import TrainingRun, log_curves
from sweep.study.trial_life import TrialLife, create_trial_run, trial_parameters
from sweep.tracking.run import Run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from optuna.trial import FrozenTrial

    from sweep.data import Prepared
    from sweep.study.checkpoint import TrialState
    from sweep.study.opening import OpenStudy
    from sweep.study.trial_life import Asked
    from sweep.timings import Timings
    from sweep_model.arrays import Floats


class TrialLives:
    """The trials of one run of a study.

    Parameters
    ----------
    study
        The study that asks.
    parent
        Its MLflow run.
    data
        What is trained on.
    timings
        Where the time spent in the store is added up, as `sampling`.
    runs
        The MLflow run of each trial that was left unfinished, by the trial's number.

    """

    def __init__(
        self,
        study: OpenStudy,
        parent: Run,
        data: Prepared,
        timings: Timings,
        runs: Mapping[int, str],
    ) -> None:
        self.study, self.parent, self.data, self.timings = study, parent, data, timings
        self.runs = runs

    def begin(self, asked: Asked) -> TrialLife:
        """Begin a trial."""
        with self.timings.part("sampling"):
            number, trial_id = begin_trial(self.study, asked.trial, asked.record())
        return self._live(asked, number, trial_id)

    def begin_again(self, asked: Asked, left: FrozenTrial) -> TrialLife:
        """Begin a trial anew that was left unfinished, and of which nothing was kept."""
        with self.timings.part("sampling"), reaching_store():
            trial_id = left._trial_id  # noqa: SLF001 - Optuna's own name for it
            storage = self.study.storage
            storage.set_trial_user_attr(trial_id, attributes.ATTEMPT, asked.attempt)
        return self._live(asked, left.number, trial_id)

    def take_up(
        self, asked: Asked, left: FrozenTrial, state: TrialState, weights: Floats
    ) -> TrialLife:
        """Go on with a trial from its last checkpoint; `weights` are in pixel order."""
        trial_id = left._trial_id  # noqa: SLF001 - Optuna's own name for it
        if left.number in self.runs:
            run = self._run(left.number, asked.attempt)
        else:  # the MLflow store is younger than the checkpoint
            run = self._live(asked, left.number, trial_id).training.run
            log_curves(run, state.curves, asked.hyperparameters)
        loss = self.study.settings.loss
        training = TrainingRun.continued(run, self.data, loss, state, weights)
        return self._life(asked, left.number, trial_id, training)

    def _live(self, asked: Asked, number: int, trial_id: int) -> TrialLife:
        """Let a trial that the store has begun begin in MLflow."""
        settings = self.study.settings
        run = self._run(number, asked.attempt)
        given = trial_parameters(settings, asked.hyperparameters, asked.seat)
        training = TrainingRun.begun(run, self.data, settings.data, given)
        life = self._life(asked, number, trial_id, training)
        life.describe(None)
        run.flush()  # what a run is given is seen while it trains
        return life

    def _life(self, asked: Asked, number: int, trial_id: int, training: TrainingRun) -> TrialLife:
        """Return what keeps a trial's record."""
        return TrialLife(
            self.study,
            asked,
            number=number,
            trial_id=trial_id,
            training=training,
            timings=self.timings,
        )

    def _run(self, number: int, attempt: int) -> Run:
        if number in self.runs:
            run = Run(self.parent.tracker, self.runs[number])
            run.tags({"attempt": attempt})
            run.resume()
            return run
        return create_trial_run(self.study, number, attempt, self.parent)

"""One trial from asking to telling, in both stores.

Optuna's store is the record, the MLflow run a copy. Whatever happens, the order is: create the
run, save its id on the trial, train, save the curves, tell Optuna, complete and close the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.environment import environment
from sweep.errors import SweepError
from sweep.study import attributes
from sweep.study.ending import Ending
from sweep.study.storage import reaching_store
from sweep.study.training_run import TrainingRun, parameters
from sweep.tracking.provenance import log_provenance
from sweep.tracking.run import Run

if TYPE_CHECKING:
    from model.reference import EpochResult
    from sweep.curves import Curves
    from sweep.data import Prepared
    from sweep.study.asking import Asked
    from sweep.study.opening import OpenStudy
    from sweep.timings import Timings


class TrialLife:
    """Keeps one running trial's record.

    Parameters
    ----------
    study
        The study that asked.
    asked
        The trial with its setting.
    parent
        The study's own MLflow run.
    data
        What is trained on.
    timings
        Where the time spent in the store is added up, as `sampling`.

    """

    def __init__(
        self, study: OpenStudy, asked: Asked, parent: Run, data: Prepared, timings: Timings
    ) -> None:
        self.study = study
        self.asked = asked
        self.timings = timings
        run = create_trial_run(study, asked.trial.number, asked.attempt, parent)
        self._save({attributes.TRIAL_RUN: run.id})
        settings = study.settings
        run.parameters(
            parameters(
                asked.hyperparameters,
                loss=settings.loss,
                epochs=settings.epochs,
                seed=asked.seed,
            )
        )
        log_provenance(run, settings.data, data)
        self.training = TrainingRun(run, data, settings.loss)
        self.training.begin(asked.seed)
        self.value: float | None = None

    def record(self, result: EpochResult) -> float:
        """Take in one epoch and return the objective's value."""
        self.value = self.training.record(result)[self.study.settings.metric]
        return self.value

    def end(self, ending: Ending, reason: str = "") -> str | None:
        """End the trial in both stores; return what went wrong with its figures and files, if any.

        The result is recorded first: nothing that is drawn or copied afterwards can cost it.
        """
        number = self.asked.trial.number
        classifier = self.training.classifier()
        # The ending is saved last: with it, the record is whole.
        self._save(
            {
                attributes.CURVES: self.training.curves,
                attributes.WEIGHTS_DIGEST: classifier.digest if classifier is not None else None,
                attributes.ENVIRONMENT: environment(),
                attributes.REASON: reason,
                attributes.ENDING: str(ending),
            }
        )
        with self.timings.part("sampling"):
            tell(self.study, number, ending, self.training.curves)
        trouble = None
        try:
            self.training.log_ending(ending, reason, title=trial_title(self.study, number))
        except SweepError:
            raise
        except Exception as error:  # noqa: BLE001 - a figure must not end a study
            trouble = f"{type(error).__name__}: {error}"
            self.training.run.tags({"artifact_error": trouble})
        self.training.run.end(ending.mlflow_status)
        return trouble

    def _save(self, values: dict[str, object]) -> None:
        with self.timings.part("sampling"), reaching_store():
            for key, value in values.items():
                self.asked.trial.set_user_attr(key, value)


def tell(study: OpenStudy, number: int, ending: Ending, curves: Curves) -> None:
    """Tell Optuna a trial's curve and how it ended; a complete one is worth its last value."""
    values = curves.get(study.settings.metric, [])
    trial_id = study.trial_id(number)
    with reaching_store():
        for epoch, value in enumerate(values, start=1):
            study.storage.set_trial_intermediate_value(trial_id, epoch, value)
        study.optuna.tell(
            number, values[-1] if ending == Ending.COMPLETE else None, state=ending.state
        )


def create_trial_run(study: OpenStudy, number: int, attempt: int, parent: Run) -> Run:
    """Begin the MLflow run of a trial."""
    return Run.create(
        parent.tracker,
        f"trial-{number:03d}",
        tags={"role": "trial", **study.tags, "trial": number, "attempt": attempt},
        parent=parent,
    )


def trial_title(study: OpenStudy, number: int) -> str:
    """Return what a trial's figures are headed."""
    return f"{study.name} · trial {number:03d}"

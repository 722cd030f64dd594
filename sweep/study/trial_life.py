"""One trial from its beginning to its end, in both stores.

Optuna's store is the record, the MLflow run a copy. Whatever happens, the order is: begin the
trial in the record, create the run, save its id on the trial, train, end the trial in the record,
complete and close the run.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from model.hyperparameters import Hyperparameters
from sweep.environment import environment
from sweep.errors import SweepError
from sweep.study import attributes
from sweep.study.recording import begin_trial, finish_trial
from sweep.study.storage import reaching_store
from sweep.study.training_run import TrainingRun, parameters
from sweep.tracking.run import Run

if TYPE_CHECKING:
    import optuna

    from model.results import EpochResult
    from sweep.data import Prepared
    from sweep.engine import Seat
    from sweep.settings import Settings
    from sweep.study.ending import Ending
    from sweep.study.opening import OpenStudy
    from sweep.timings import Timings


@dataclass(frozen=True)
class Asked:
    """A trial that is to be trained: its setting, and where it trains.

    Attributes
    ----------
    trial
        As the ledger asked for it.
    seat
        Decides its bits.
    slot
        Of the study.
    attempt
        From 1; an interrupted trial is tried again.

    """

    trial: optuna.Trial
    seat: Seat
    slot: int
    attempt: int

    @property
    def position(self) -> int:
        """Its place in the sequence that the seed decides."""
        return self.trial.number

    @property
    def hyperparameters(self) -> Hyperparameters:
        """Its setting."""
        return Hyperparameters(**self.trial.params)

    def record(self) -> dict[str, object]:
        """Return what the store keeps of it beside the setting."""
        return {
            attributes.POSITION: self.position,
            attributes.ATTEMPT: self.attempt,
            attributes.SLOT: self.slot,
            attributes.SEAT: asdict(self.seat),
        }


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
        with timings.part("sampling"):
            self.number, self.trial_id = begin_trial(study, asked.trial, asked.record())
        run = create_trial_run(study, self.number, asked.attempt, parent)
        with timings.part("sampling"), reaching_store():
            study.storage.set_trial_user_attr(self.trial_id, attributes.TRIAL_RUN, run.id)
        given = trial_parameters(study.settings, asked.hyperparameters, asked.seat)
        self.training = TrainingRun.begun(run, data, study.settings.data, given)
        run.flush()  # what a run is given is seen while it trains

    @property
    def values(self) -> list[float]:
        """The objective's value after each epoch so far."""
        return self.training.curves[self.study.settings.metric]

    def record(self, result: EpochResult) -> float:
        """Take in one epoch and return the objective's value."""
        return self.training.record(result)[self.study.settings.metric]

    def end(self, ending: Ending, reason: str = "") -> str | None:
        """End the trial in both stores; return what went wrong with its figures and files, if any.

        The result is recorded first: nothing that is drawn or copied afterwards can cost it.
        """
        classifier = self.training.classifier()
        record = {
            attributes.CURVES: self.training.curves,
            attributes.WEIGHTS_DIGEST: classifier.digest if classifier is not None else None,
            attributes.ENVIRONMENT: environment(),
            attributes.REASON: reason,
            attributes.ENDING: str(ending),
        }
        with self.timings.part("sampling"):
            finish_trial(self.study, self.trial_id, ending, self.values, record)
        trouble = None
        try:
            self.training.log_ending(ending, reason, title=trial_title(self.study, self.number))
        except SweepError:
            raise
        except Exception as error:  # noqa: BLE001 - a figure must not end a study
            trouble = f"{type(error).__name__}: {error}"
            self.training.run.tags({"artifact_error": trouble})
        self.training.run.end(ending.mlflow_status)
        return trouble


def trial_parameters(
    settings: Settings, hyperparameters: Hyperparameters, seat: Seat
) -> dict[str, object]:
    """Return what a trial of a study is given, as its run shows it."""
    given = parameters(hyperparameters, loss=settings.loss, epochs=settings.epochs, seed=seat.seed)
    return given | {name: getattr(seat, name) for name in ("first_pass", "slot", "width")}


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

"""One trial from its beginning to its end, in both stores.

Optuna's store is the record, the MLflow run a copy. Whatever happens, the order is: begin the
trial in the record, create the run, train, write down what the run gets at its end, end the trial
in the record, send it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

from sweep.environment import environment
from sweep.errors import SweepError
from sweep.study import attributes
from sweep.study.recording import finish_trial
from sweep.study.training_run import parameters
from sweep.study.trial_note import trial_note
from sweep.tracking.run import Run
from sweep_model.hyperparameters import Hyperparameters

if TYPE_CHECKING:
    import optuna

    from sweep.engine import Seat
    from sweep.settings import Settings
    from sweep.study.ending import Ending
    from sweep.study.opening import OpenStudy
    from sweep.study.training_run import TrainingRun
    from sweep.timings import Timings
    from sweep_model.results import EpochResult


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
        From 1; more where it had to begin anew.

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
        What it is.
    number, trial_id
        What the store calls it.
    training
        Its training, begun.
    timings
        Where the time spent in the store is added up, as `sampling`.

    """

    def __init__(
        self,
        study: OpenStudy,
        asked: Asked,
        *,
        number: int,
        trial_id: int,
        training: TrainingRun,
        timings: Timings,
    ) -> None:
        self.study, self.asked = study, asked
        self.number, self.trial_id = number, trial_id
        self.training = training
        self.timings = timings

    @property
    def values(self) -> list[float]:
        """The objective's value after each epoch so far."""
        return self.training.curves[self.study.settings.metric]

    def record(self, result: EpochResult) -> float:
        """Take in one epoch and return the objective's value."""
        return self.training.record(result)[self.study.settings.metric]

    def describe(self, ending: Ending | None, reason: str = "") -> None:
        """Bring the description of its run up to date."""
        note = trial_note(
            self.study.settings,
            self.number,
            self.asked.hyperparameters,
            self.asked.seat,
            curves=self.training.curves,
            ending=ending,
            reason=reason,
        )
        self.training.run.note(note)

    def end(self, ending: Ending, reason: str = "") -> str | None:
        """End the trial in both stores; return what went wrong with its figures and files, if any.

        Whatever that is, it costs nothing of the result. What MLflow gets waits on the disk before
        the end is recorded, and goes out only then.
        """
        trouble = None
        self.describe(ending, reason)
        try:
            self.training.log_ending(ending, reason, title=trial_title(self.study, self.number))
        except SweepError:
            raise
        except Exception as error:  # noqa: BLE001 - a figure must not end a study
            trouble = f"{type(error).__name__}: {error}"
            self.training.run.tags({"artifact_error": trouble})
        self.training.run.end(ending.mlflow_status, partial(self._record, ending, reason))
        return trouble

    def _record(self, ending: Ending, reason: str, letter: int) -> None:
        classifier = self.training.classifier()
        record = {
            attributes.CURVES: self.training.curves,
            attributes.WEIGHTS_DIGEST: classifier.digest if classifier is not None else None,
            attributes.ENVIRONMENT: environment(),
            attributes.TRIAL_RUN: self.training.run.known_id,
            attributes.LETTER: letter,
            attributes.REASON: reason,
            attributes.ENDING: str(ending),
        }
        with self.timings.part("sampling"):
            finish_trial(self.study, self.trial_id, ending, self.values, record)


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

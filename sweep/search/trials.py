"""The trials of a study as it records them: counts, ranks and the best; no store is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sweep.curves import METRICS
from sweep.search_space import NAMES
from sweep_model import AVERAGED
from sweep_model.hyperparameters import Hyperparameters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sweep.config import StudyConfig
    from sweep.curves import Curves
    from sweep.environment import Environment


class Status(StrEnum):
    """How a trial ended, if it has."""

    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"

    @property
    def mlflow(self) -> str:
        """MLflow's word for it."""
        words = {Status.RUNNING: "RUNNING", Status.COMPLETE: "FINISHED", Status.PRUNED: "KILLED"}
        return words.get(self, "FAILED")

    @property
    def optuna(self) -> str:
        """The name of Optuna's state for it."""
        return "FAIL" if self == Status.FAILED else self.name


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """One trial as it stands on record.

    Attributes
    ----------
    number
        The store's; the draws of its flips depend on it.
    index
        Its place in the order in which the study's trials begin; other programs' trials have none.
    params
        The setting.
    first_pass
        Its first epoch; with the study's seed it decides the order of the rows.
    reason
        Why it was pruned or failed.
    curves
        What it measured after each epoch.
    times
        When each epoch ended, in milliseconds since 1970.
    metrics
        What was measured once, at its end.
    weights_digest
        SHA-256 of the weights that it ended with; None where they are not finite.
    environment
        With which versions it trained.
    trouble
        What went wrong with its figures and files, if anything.
    began, ended
        In milliseconds since 1970.

    """

    number: int
    index: int
    params: dict[str, Any]
    first_pass: int
    status: Status = Status.RUNNING
    reason: str = ""
    curves: Curves = field(default_factory=dict)
    times: list[int] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    weights_digest: str | None = None
    environment: Environment = field(default_factory=dict)
    trouble: str = ""
    began: int = 0
    ended: int | None = None

    @property
    def hyperparameters(self) -> Hyperparameters:
        """Its setting, but for how its rows are normalised."""
        return Hyperparameters(**{name: self.params[name] for name in NAMES})

    @property
    def epochs(self) -> int:
        """How many epochs its curves hold."""
        return len(self.curves.get("train/loss", []))

    def last(self, metric: str) -> float:
        """Return a metric's value after the last epoch; NaN where there is none."""
        curve = self.curves.get(metric, [])
        return float(curve[-1]) if curve else float("nan")


@dataclass(frozen=True)
class Tally:
    """How many trials there are of each kind."""

    complete: int
    pruned: int
    failed: int
    running: int

    @property
    def finished(self) -> int:
        """Trials that count towards `--trials`."""
        return self.complete + self.pruned

    def __str__(self) -> str:
        parts = [f"{self.complete} complete", f"{self.pruned} pruned", f"{self.failed} failed"]
        return ", ".join(parts + ([f"{self.running} unfinished"] if self.running else []))


def tally(trials: Iterable[TrialRecord]) -> Tally:
    """Count the trials."""
    statuses = [trial.status for trial in trials]
    return Tally(
        complete=statuses.count(Status.COMPLETE),
        pruned=statuses.count(Status.PRUNED),
        failed=statuses.count(Status.FAILED),
        running=statuses.count(Status.RUNNING),
    )


Rank = tuple[float, float, int]


def rank(config: StudyConfig) -> Callable[[TrialRecord], Rank]:
    """Return what complete trials are ordered by, the best first.

    The objective at the last epoch; ties go to the lower validation loss, then to the lower number.
    """

    def key(trial: TrialRecord) -> Rank:
        return config.sign * trial.last(config.metric), trial.last("val/loss"), trial.number

    return key


def complete(trials: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return the complete trials."""
    return [trial for trial in trials if trial.status == Status.COMPLETE]


def best_trial(config: StudyConfig, trials: Iterable[TrialRecord]) -> TrialRecord | None:
    """Return the complete trial with the best objective at its last epoch."""
    return min(complete(trials), key=rank(config), default=None)


def ranked(config: StudyConfig, trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return all trials: complete ones, then the furthest, the best first; failed ones last."""
    order = rank(config)

    def key(trial: TrialRecord) -> tuple[bool, bool, int, float, float, int]:
        failed = trial.status == Status.FAILED or trial.epochs == 0
        done = trial.status != Status.COMPLETE
        place = (0.0, 0.0, trial.number) if failed else order(trial)
        return (failed, done, 0 if failed else -trial.epochs, *place)

    return sorted(trials, key=key)


def describe(trial: TrialRecord) -> dict[str, Any]:
    """Return a trial's setting and result as plain values, under stable names."""
    return {
        "trial": trial.number,
        "status": str(trial.status),
        "reason": trial.reason,
        "epochs": trial.epochs,
        **{
            metric: nan_to_none(trial.last(metric))
            for metric in ("val/accuracy", "val/loss", "train/accuracy")
        },
        **{
            metric: nan_to_none(trial.last(metric))
            for metric in trial.curves
            if metric not in METRICS and AVERAGED not in metric  # another objective
        },
        **trial.params,
    }


def nan_to_none(value: float) -> float | None:
    """Return a number, or None for NaN, which JSON does not have."""
    return None if value != value else value  # noqa: PLR0124 - NaN is not equal to itself


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

    def noted(self, text: str) -> None:
        """Something is good to know, e.g. which machines take part."""

    def warned(self, text: str) -> None:
        """Something went wrong that does not end the study."""

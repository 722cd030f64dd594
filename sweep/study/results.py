"""What a study found: counts, the chosen trial, and each trial's numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweep.errors import SweepError
from sweep.study import attributes
from sweep.study.confirmation import confirmation_of
from sweep.study.ending import Ending

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from optuna.trial import FrozenTrial

    from sweep.settings import Settings
    from sweep.study.opening import OpenStudy


@dataclass(frozen=True)
class Tally:
    """How many trials there are of each kind; an interrupted one has a successor, or will."""

    complete: int
    pruned: int
    failed: int
    running: int
    interrupted: int = 0

    @property
    def finished(self) -> int:
        """Trials that count towards `--trials`."""
        return self.complete + self.pruned

    def __str__(self) -> str:
        parts = [f"{self.complete} complete", f"{self.pruned} pruned", f"{self.failed} failed"]
        others = {"interrupted": self.interrupted, "unfinished": self.running}
        return ", ".join(parts + [f"{count} {what}" for what, count in others.items() if count])


def tally(trials: Sequence[FrozenTrial]) -> Tally:
    """Count the trials."""
    from optuna.trial import TrialState

    def count(*states: TrialState) -> int:
        return sum(trial.state in states for trial in trials)

    interrupted = sum(ending(trial) == Ending.INTERRUPTED for trial in trials)
    return Tally(
        complete=count(TrialState.COMPLETE),
        pruned=count(TrialState.PRUNED),
        failed=count(TrialState.FAIL) - interrupted,
        interrupted=interrupted,
        running=count(TrialState.RUNNING, TrialState.WAITING),
    )


def best_trial(settings: Settings, trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    """Return the complete trial with the best objective at its last epoch.

    Ties go to the lower validation loss, then to the earlier trial.
    """
    from optuna.trial import TrialState

    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    return min(complete, key=_rank(settings), default=None)


def _rank(settings: Settings) -> Callable[[FrozenTrial], tuple[float, float, int]]:
    def rank(trial: FrozenTrial) -> tuple[float, float, int]:
        return (settings.sign * (trial.value or 0.0), last_value(trial, "val/loss"), trial.number)

    return rank


def ranked(study: OpenStudy) -> list[FrozenTrial]:
    """Return all trials, complete ones first and the best on top; then by number."""
    complete = [trial for trial in study.trials() if ending(trial) == Ending.COMPLETE]
    others = [trial for trial in study.trials() if ending(trial) != Ending.COMPLETE]
    return sorted(complete, key=_rank(study.settings)) + others


def find_chosen(study: OpenStudy) -> FrozenTrial | None:
    """Return the trial that the study answers with; None before any is complete.

    That is the winner of its confirmation or, until there is one, the best by its objective.
    """
    confirmation = confirmation_of(study)
    if confirmation is not None:
        return find_trial(study, confirmation.winner.trial)
    return best_trial(study.settings, study.trials())


def grounds(study: OpenStudy) -> str:
    """Return in a phrase why the chosen trial is the chosen one."""
    confirmation = confirmation_of(study)
    if confirmation is None:
        return f"best by {study.settings.objective}, not confirmed"
    later = tally(study.trials()).finished - confirmation.finished
    return f"confirmed on {len(confirmation.seeds)} fresh seeds" + (
        f", before the last {later} trials finished" if later > 0 else ""
    )


def chosen_trial(study: OpenStudy) -> FrozenTrial:
    """Return the trial that the study answers with, see `find_chosen`, or refuse."""
    chosen = find_chosen(study)
    if chosen is None:
        raise SweepError(
            f"study {study.name!r} has no complete trial yet; go on with `sweep run` as before"
        )
    return chosen


def find_trial(study: OpenStudy, number: int) -> FrozenTrial:
    """Return a trial by its number."""
    trials = study.trials()
    if not 0 <= number < len(trials):
        raise SweepError(
            f"study {study.name!r} has no trial {number}: it has {len(trials)} trials, from 0; "
            f"`sweep show {study.name}` lists them"
        )
    return trials[number]


def last_value(trial: FrozenTrial, metric: str) -> float:
    """Return a metric's value after the trial's last epoch; NaN where it has none."""
    curve = trial.user_attrs.get(attributes.CURVES, {}).get(metric, [])
    return float(curve[-1]) if curve else float("nan")


def epochs_trained(trial: FrozenTrial) -> int:
    """Return how many epochs the trial's curves hold."""
    return len(trial.user_attrs.get(attributes.CURVES, {}).get("val/loss", []))


def ending(trial: FrozenTrial) -> Ending | None:
    """Return how the trial ended; None while it runs."""
    value = trial.user_attrs.get(attributes.ENDING)
    return Ending(value) if value is not None and trial.state.is_finished() else None


def describe(trial: FrozenTrial) -> dict[str, Any]:
    """Return a trial's setting and result as plain values, under stable names."""
    how = ending(trial)
    return {
        "trial": trial.number,
        "ending": "unfinished" if how is None else str(how),
        "reason": trial.user_attrs.get(attributes.REASON, ""),
        "epochs": epochs_trained(trial),
        "val/accuracy": _known(last_value(trial, "val/accuracy")),
        "val/loss": _known(last_value(trial, "val/loss")),
        "train/accuracy": _known(last_value(trial, "train/accuracy")),
        **trial.params,
        "seed": trial.user_attrs.get(attributes.SEAT, {}).get("seed"),
        "mlflow_run_id": trial.user_attrs.get(attributes.TRIAL_RUN),
    }


def summarise(study: OpenStudy) -> dict[str, Any]:
    """Return a study's counts and best result as plain values, under stable names."""
    trials, chosen = study.trials(), find_chosen(study)
    counts, best = tally(trials), best_trial(study.settings, trials)
    return {
        "study": study.name,
        "data": study.settings.data.name,
        "loss": study.settings.loss,
        "complete": counts.complete,
        "pruned": counts.pruned,
        "failed": counts.failed,
        "best_trial": None if best is None else best.number,
        "chosen_trial": None if chosen is None else chosen.number,
        "confirmed": confirmation_of(study) is not None,
        "val/accuracy": None if best is None else _known(last_value(best, "val/accuracy")),
        "val/loss": None if best is None else _known(last_value(best, "val/loss")),
    }


def _known(value: float) -> float | None:
    return None if value != value else value  # noqa: PLR0124 - NaN is not equal to itself

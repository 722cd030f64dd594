"""Train a trial again from its record and say where, if anywhere, it comes out otherwise."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from sweep.engine import train_alone
from sweep.environment import differences, environment
from sweep.errors import StoreUnreachableError, SweepError
from sweep.study import attributes
from sweep.study.champion import fetch_classifier, trial_run
from sweep.study.ending import Ending
from sweep.study.logged_training import log_training
from sweep.study.records import seat_of
from sweep.study.results import ending, epochs_trained
from sweep.study.trial_life import trial_parameters, trial_title
from sweep.tracking.run import Run
from sweep_model.hyperparameters import Hyperparameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from optuna.trial import FrozenTrial

    from sweep.curves import Curves
    from sweep.data import Prepared
    from sweep.study.opening import OpenStudy
    from sweep.study.training_run import TrainingRun
    from sweep.tracking.tracker import Tracker
    from sweep_model.linear import LinearClassifier

TIED_ROWS = 2
"""So many rows more or fewer right are no difference: scores that all but tie fall either way."""

REPRODUCIBLE = (Ending.COMPLETE, Ending.PRUNED, Ending.DIVERGED)


@dataclass(frozen=True)
class Verdict:
    """How a second training compares with the first.

    `matches` is `bit for bit`, `within tolerance` or `no`. `points` counts the compared curve
    values; `parts_at` names the first that differs; the largest differences are relative.
    """

    trial: int
    matches: str
    points: int
    parts_at: str | None
    largest_curve_difference: float
    weights_difference: float | None
    tolerance: float
    environment_differences: list[str]

    @property
    def holds(self) -> bool:
        """Whether the trial came out the same, exactly or within the tolerance."""
        return self.matches != "no"

    def record(self) -> dict[str, Any]:
        """Return plain values for JSON, which has no infinity."""
        largest = self.largest_curve_difference
        return asdict(self) | {
            "largest_curve_difference": largest if math.isfinite(largest) else None
        }


def reproduce(
    study: OpenStudy, trial: FrozenTrial, data: Prepared, tracker: Tracker, *, tolerance: float
) -> Verdict:
    """Train the trial again, compare every curve point and the weights, and log it as a run."""
    how = ending(trial)
    if how not in REPRODUCIBLE:
        reason = trial.user_attrs.get(attributes.REASON) or "it has not ended"
        raise SweepError(
            f"trial {trial.number} of {study.name!r} has no result to reproduce: {reason}; "
            f"choose another from `sweep show {study.name}`"
        )
    training = _train_again(study, trial, data, tracker)
    with training.run.ended_if_broken():
        verdict = _compare(study, trial, training, tracker, tolerance)
        training.run.tags({f"reproduce.{key}": value for key, value in verdict.record().items()})
    training.run.end("FINISHED" if verdict.holds else "FAILED")
    return verdict


def _train_again(
    study: OpenStudy, trial: FrozenTrial, data: Prepared, tracker: Tracker
) -> TrainingRun:
    settings = study.settings
    seat = seat_of(trial)
    hyperparameters = Hyperparameters(**trial.params)
    diverged = ending(trial) == Ending.DIVERGED
    epochs = epochs_trained(trial) + diverged  # a pruned trial is followed up to its last epoch
    original = trial_run(study, trial, tracker)
    run = Run.create(
        tracker,
        f"reproduce-trial-{trial.number:03d}",
        tags={
            "role": "reproduce",
            **study.tags,
            "original_trial": trial.number,
            "original_run_id": "" if original is None else original.id,
        },
        note=f"Trial {trial.number} of `{study.name}`, trained again from its record.",
    )
    training, how, reason = log_training(
        run,
        data,
        settings.data,
        train_alone(data, hyperparameters, loss=settings.loss, epochs=epochs, seat=seat),
        given=trial_parameters(settings, hyperparameters, seat) | {"epochs": epochs},
        title=f"{trial_title(study, trial.number)} again",
        unfinished=f"trial {trial.number} was not reproduced:",
    )
    if how == Ending.ERROR:
        run.end(how.mlflow_status)
        again = f"trial {trial.number} of {study.name!r} broke when run again"
        raise SweepError(f"{again}: {reason}; its run in MLflow has what it recorded")
    return training


def _compare(
    study: OpenStudy,
    trial: FrozenTrial,
    training: TrainingRun,
    tracker: Tracker,
    tolerance: float,
) -> Verdict:
    recorded: Curves = trial.user_attrs[attributes.CURVES]
    rows = {
        "train": len(training.data.training.labels),
        "val": len(training.data.validation.labels),
    }
    parts_at, largest = compare_curves(recorded, training.curves, rows)
    classifier = training.classifier()
    digest = classifier.digest if classifier is not None else None
    same_weights = digest == trial.user_attrs.get(attributes.WEIGHTS_DIGEST)
    weights_difference = 0.0 if same_weights else None
    if not same_weights and classifier is not None:
        weights_difference = _weights_difference(study, trial, tracker, classifier)
    if parts_at is None and same_weights:
        matches = "bit for bit"
    elif max(largest, weights_difference or 0.0) <= tolerance and weights_difference is not None:
        matches = "within tolerance"
    else:
        matches = "no"
    return Verdict(
        trial=trial.number,
        matches=matches,
        points=sum(len(curve) for curve in recorded.values()),
        parts_at=parts_at or (None if same_weights else "the weights after the last epoch"),
        largest_curve_difference=largest,
        weights_difference=weights_difference,
        tolerance=tolerance,
        environment_differences=differences(
            trial.user_attrs.get(attributes.ENVIRONMENT, {}), environment()
        ),
    )


def compare_curves(
    recorded: Curves, again: Curves, rows: Mapping[str, int]
) -> tuple[str | None, float]:
    """Return the first point that differs, in words, and the largest difference.

    Losses and costs differ relatively, accuracies (of `rows` rows) by what is more than
    `TIED_ROWS`. The difference of a point that only one side has is infinite.
    """
    first: tuple[int, str] | None = None
    largest = 0.0
    for metric, curve in recorded.items():
        for epoch, (old, new) in enumerate(zip_longest(curve, again.get(metric, [])), start=1):
            if old == new:
                continue
            largest = max(largest, _apart(metric, old, new, rows))
            if first is None or epoch < first[0]:
                first = (epoch, f"epoch {epoch}: {metric} {_said(old)} -> {_said(new)}")
    return (first[1] if first else None), largest


def _apart(metric: str, old: float | None, new: float | None, rows: Mapping[str, int]) -> float:
    if old is None or new is None:
        return float("inf")
    part, quantity = metric.split("/")
    if quantity == "accuracy":
        return max(0.0, abs(new - old) - (TIED_ROWS + 0.5) / rows[part])
    return abs(new - old) / max(abs(old), abs(new))


def _said(value: float | None) -> str:
    return "not there" if value is None else repr(value)


def _weights_difference(
    study: OpenStudy, trial: FrozenTrial, tracker: Tracker, again: LinearClassifier
) -> float | None:
    """Return |V' - V| / |V| for V = (W, b); None where the first weights are not to be had."""
    try:
        first = fetch_classifier(study, trial, tracker)
    except StoreUnreachableError:
        raise
    except SweepError:
        return None
    if first.weights.shape != again.weights.shape:
        return None
    old, new = (np.append(each.weights, each.bias).astype(np.float64) for each in (first, again))
    apart, size = float(np.linalg.norm(new - old)), float(np.linalg.norm(old))
    return apart / size if size > 0 else apart

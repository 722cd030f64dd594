"""Train a trial again from its record and say where, if anywhere, it comes out otherwise."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from sweep.analysis.champion import fetch_classifier
from sweep.analysis.one_training import Asked, run_one
from sweep.environment import differences, environment
from sweep.errors import StoreUnreachableError, SweepError
from sweep.search.interrupts import Interrupts
from sweep.search.study_run import trial_key
from sweep.search.trials import Status
from sweep_model.hyperparameters import Hyperparameters
from sweep_model.training import Training

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sweep.analysis.one_training import OneTraining
    from sweep.curves import Curves
    from sweep.data import Prepared
    from sweep.search.record import StudyRecord
    from sweep.search.trials import TrialRecord
    from sweep.tracking.tracker import Tracker
    from sweep_model.classifier import LinearClassifier

TIED_ROWS = 2
"""So many rows more or fewer right are no difference: scores that all but tie fall either way."""
OTHER_LANES = "lanes: this machine's BLAS gives a training other bits in another lane"


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
    study: StudyRecord,
    trial: TrialRecord,
    data: Prepared,
    tracker: Tracker,
    *,
    tolerance: float,
    on_epoch: Callable[[int, dict[str, float]], None] = lambda *_: None,
) -> Verdict:
    """Train the trial again, compare every curve point and the weights, and log it as a run.

    It trains alone in one panel, from its own first pass; a pruned trial up to its last epoch.
    """
    if trial.status == Status.RUNNING:
        raise SweepError(
            f"trial {trial.number} of {study.name!r} has no result to reproduce: it has not ended; "
            f"choose another from `sweep show {study.name}`"
        )
    config, name = study.config, f"reproduce-trial-{trial.number:03d}"
    asked = Asked(
        training=Training(
            hyperparameters=Hyperparameters(**trial.params),
            epochs=config.epochs,
            seed=config.training_seed,
            number=trial.number,
            first_pass=trial.first_pass,
        ),
        data=data,
        data_config=config.data,
        loss=config.loss,
        lanes=config.lanes,
        train_curve=config.train_curve,
        epochs=trial.epochs if trial.status == Status.PRUNED else None,
        name=name,
        tags={
            "role": "reproduce",
            **study.tags,
            "original_trial": trial.number,
            "original_run": trial_key(study, trial.number),
        },
        note=f"Trial {trial.number} of `{study.name}`, trained again from its record.",
    )
    unfinished = f"trial {trial.number} was not reproduced"
    with Interrupts().listening():
        done = run_one(asked, tracker, unfinished=unfinished, on_epoch=on_epoch)
        verdict = _compare(study, trial, done, tracker, tolerance)
        tags = {f"reproduce.{key}": value for key, value in verdict.record().items()}
        title = f"{study.name} · trial {trial.number:03d} again"
        done.close("FINISHED" if verdict.holds else "FAILED", title=title, **tags)
    return verdict


def _compare(
    study: StudyRecord,
    trial: TrialRecord,
    done: OneTraining,
    tracker: Tracker,
    tolerance: float,
) -> Verdict:
    rows = {
        "train": len(done.log.data.training.labels),
        "val": len(done.log.data.validation.labels),
    }
    parts_at, largest = compare_curves(trial.curves, done.log.curves, rows)
    classifier = done.classifier
    digest = classifier.digest if classifier is not None else None
    same_weights = digest == trial.weights_digest
    weights_difference = 0.0 if same_weights else None
    if not same_weights and classifier is not None:
        weights_difference = _weights_difference(study, trial, tracker, classifier)
    if parts_at is None and same_weights:
        matches = "bit for bit"
    elif max(largest, weights_difference or 0.0) <= tolerance and weights_difference is not None:
        matches = "within tolerance"
    else:
        matches = "no"
    differing = differences(trial.environment, environment())
    return Verdict(
        trial=trial.number,
        matches=matches,
        points=sum(len(curve) for curve in trial.curves.values()),
        parts_at=parts_at or (None if same_weights else "the weights after the last epoch"),
        largest_curve_difference=largest,
        weights_difference=weights_difference,
        tolerance=tolerance,
        environment_differences=differing if done.lanes_agree else [*differing, OTHER_LANES],
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
    study: StudyRecord, trial: TrialRecord, tracker: Tracker, again: LinearClassifier
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

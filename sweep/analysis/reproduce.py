"""Train a trial again from its record and say where, if anywhere, it comes out otherwise."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from sweep.analysis.runs import keep_run, kept_files, send_kept_run, training_state, trial_key
from sweep.analysis.selection import fetch_classifier
from sweep.environment import differences
from sweep.errors import StoreUnreachableError, SweepError
from sweep.io import check_writable
from sweep.search import Interrupts, Status, TrainingLog, train_alone, training_of
from sweep.tracking import Mirror

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sweep.curves import Curves
    from sweep.data import Prepared
    from sweep.search import StudyRecord, Trained, TrialRecord
    from sweep.tracking import RunState, Tracker
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


def reproduce_trial(
    study: StudyRecord,
    trial: TrialRecord,
    data: Prepared,
    tracker: Tracker | None,
    *,
    tolerance: float,
    on_epoch: Callable[[int, dict[str, float]], None] = lambda *_: None,
    ray: str | None = None,
    warned: Callable[[str], None] = lambda _: None,
) -> Verdict:
    """Train the trial again, compare every curve point and the weights, and log it as a run.

    It trains alone in one panel, from its own first pass; a pruned trial up to its last epoch.
    Where MLflow is away the run waits for `sync_study`; without a tracker it is. `ray` is the
    address of a Ray cluster to train on; `warned` is told what goes wrong there.

    Raises
    ------
    SweepError
        The trial has not ended, or the folder cannot be written to.
    StoreUnreachableError
        Whether it comes out within the tolerance is told by weights that MLflow has, and it does
        not answer.

    """
    if trial.status == Status.RUNNING:
        raise SweepError(
            f"trial {trial.number} of {study.name!r} has no result to reproduce: it has not ended; "
            f"choose another from `sweep show {study.name}`"
        )
    check_writable(study.workspace.pending(study.name))
    with Interrupts().listening() as interrupts:
        again = train_alone(
            study.config,
            trial,
            TrainingLog.begun(training_of(study.config, trial, data), data, study.config.loss),
            interrupts,
            unfinished=f"trial {trial.number} was not reproduced",
            last_epoch=trial.epochs if trial.status == Status.PRUNED else None,
            on_epoch=on_epoch,
            ray=ray,
            warned=warned,
        )
        verdict = _compare(study, trial, again, data, tracker, tolerance=tolerance)
        state = _state(study, trial, again, data, verdict)
        keep_run(state)
        if tracker is not None:
            with suppress(StoreUnreachableError):  # it waits
                send_kept_run(state, Mirror(tracker))
    return verdict


def _state(
    study: StudyRecord, trial: TrialRecord, again: Trained, data: Prepared, verdict: Verdict
) -> RunState:
    """Write the files of the second training, and return what MLflow is to know of it."""
    key, name = uuid4().hex, f"reproduce-trial-{trial.number:03d}"
    files = kept_files(study, f"{name}-{key[:8]}")
    ended = again.write_files(files, title=f"{study.name} · trial {trial.number:03d} again")
    state = training_state(
        study.config,
        ended,
        data,
        key=key,
        name=name,
        tags={
            "role": "reproduce",
            **study.tags,
            "original_trial": trial.number,
            "original_run": trial_key(study, trial.number),
            **{f"reproduce.{name}": value for name, value in verdict.record().items()},
        },
        note=f"Trial {trial.number} of `{study.name}`, trained again from its record.",
    )
    return replace(state, files=files, status="FINISHED" if verdict.holds else "FAILED")


def _compare(
    study: StudyRecord,
    trial: TrialRecord,
    again: Trained,
    data: Prepared,
    tracker: Tracker | None,
    *,
    tolerance: float,
) -> Verdict:
    rows = {"train": len(data.training.labels), "val": len(data.validation.labels)}
    parts_at, largest = compare_curves(trial.curves, again.trial.curves, rows)
    same_weights = again.trial.weights_digest == trial.weights_digest
    weights_difference = 0.0 if same_weights else None
    if again.classifier is not None and not same_weights:
        try:
            weights_difference = _weights_difference(study, trial, tracker, again.classifier)
        except StoreUnreachableError:
            if largest <= tolerance:  # else the curves alone decide
                raise
    if parts_at is None and same_weights:
        matches = "bit for bit"
    elif max(largest, weights_difference or 0.0) <= tolerance and weights_difference is not None:
        matches = "within tolerance"
    else:
        matches = "no"
    differing = differences(trial.environment, again.trial.environment)
    return Verdict(
        trial=trial.number,
        matches=matches,
        points=sum(len(curve) for curve in trial.curves.values()),
        parts_at=parts_at or (None if same_weights else "the weights after the last epoch"),
        largest_curve_difference=largest,
        weights_difference=weights_difference,
        tolerance=tolerance,
        environment_differences=differing if again.lanes_agree else [*differing, OTHER_LANES],
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
                first = (epoch, f"epoch {epoch}: {metric} {_shown(old)} -> {_shown(new)}")
    return (first[1] if first else None), largest


def _apart(metric: str, old: float | None, new: float | None, rows: Mapping[str, int]) -> float:
    if old is None or new is None:
        return float("inf")
    part, quantity = metric.split("/")
    if quantity.endswith(("accuracy", "f1")):
        return max(0.0, abs(new - old) - (TIED_ROWS + 0.5) / rows[part])
    return abs(new - old) / max(abs(old), abs(new))


def _shown(value: float | None) -> str:
    return "not there" if value is None else repr(value)


def _weights_difference(
    study: StudyRecord, trial: TrialRecord, tracker: Tracker | None, again: LinearClassifier
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

"""Whether the MLflow runs of a study say what its record says, trial by trial."""

from __future__ import annotations

import math
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from sweep.study import attributes
from sweep.study.ending import Ending
from sweep.study.results import ending
from sweep.study.training_run import LEARNING_RATE, WHOLE
from sweep_model.hyperparameters import Hyperparameters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mlflow.entities import Run as MlflowRun
    from optuna.trial import FrozenTrial

    from sweep.study.opening import OpenStudy

Points: TypeAlias = "list[tuple[int, float]]"
History: TypeAlias = "Callable[[str, str], Points]"
"""Given the id of a run and a metric, the steps and values that MLflow has of it."""


class Remedy(StrEnum):
    """What makes a run agree again; each ends with `study.reconcile`, which fills in the rest."""

    RECONCILE = "reconcile"
    COMPLETE = "complete"
    """Its points are to be looked through again: the tag that vouches for them has to go."""
    REPLACE = "replace"
    """MLflow cannot take back a point or a parameter: the run is deleted, and made anew."""


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """One thing that a study's record and its copy in MLflow say differently.

    Attributes
    ----------
    trial
        Its number; that of the run where the record has no such trial.
    said
        What is wrong, in a phrase.
    remedy
        What puts it right.
    run
        MLflow's id of the run that is wrong; None where there is none.

    """

    trial: int
    said: str
    remedy: Remedy
    run: str | None = None

    def __str__(self) -> str:
        return f"trial {self.trial}: {self.said}"


def disagreements(
    study: OpenStudy, runs: Sequence[MlflowRun], history: History
) -> list[Disagreement]:
    """Compare every trial that has ended with its run, and look for runs without a trial.

    Parameters
    ----------
    study
        The record.
    runs
        All of the study's runs with the role of a trial.
    history
        Where their points are read.

    """
    of_trial: defaultdict[int, list[MlflowRun]] = defaultdict(list)
    for run in runs:
        of_trial[trial_number(run)].append(run)
    found: list[Disagreement] = []
    for trial in study.trials():
        found += _compare(trial, of_trial.pop(trial.number, []), history)
    for number, strays in sorted(of_trial.items()):
        for run in strays:
            said = "has a run, but stands in no record"
            found.append(_wrong(number, said, Remedy.REPLACE, run))
    return found


def trial_number(run: MlflowRun) -> int:
    """Return which trial a run says it is of; -1 where it says no number."""
    tag = run.data.tags.get("sweep.trial", "")
    return int(tag) if tag.isdecimal() else -1


def _compare(
    trial: FrozenTrial, runs: Sequence[MlflowRun], history: History
) -> Iterator[Disagreement]:
    how = ending(trial)
    if how is None:  # of one in training, the next `sweep run` takes care
        return
    if not runs:
        yield Disagreement(trial=trial.number, said="has no run", remedy=Remedy.RECONCILE)
        return
    known = trial.user_attrs.get(attributes.TRIAL_RUN)
    run = next((run for run in runs if run.info.run_id == known), runs[0])
    for other in runs:
        if other is not run:
            yield _wrong(trial.number, f"has {len(runs)} runs", Remedy.REPLACE, other)
    if run.info.status != how.mlflow_status:
        said = f"its run is {run.info.status}, not {how.mlflow_status}"
        yield _wrong(trial.number, said, Remedy.RECONCILE, run)
    yield from _compare_contents(trial, how, run, history)


def _compare_contents(
    trial: FrozenTrial, how: Ending, run: MlflowRun, history: History
) -> Iterator[Disagreement]:
    if f"sweep.{WHOLE}" not in run.data.tags:
        yield _wrong(trial.number, "its run was never completed", Remedy.RECONCILE, run)
        return
    for name, value in trial.params.items():
        logged = run.data.params.get(name)
        if logged is None or float(logged) != value:
            said = f"{name} is {logged or 'not there'}, not {value!r}"
            yield _wrong(trial.number, said, Remedy.REPLACE, run)
    for metric, curve in recorded_curves(trial).items():
        points = history(run.info.run_id, metric) if metric in run.data.metrics else []
        fault = compare_points(curve, points, settled=how != Ending.INTERRUPTED)
        if fault is not None:
            said, remedy = fault
            yield _wrong(trial.number, f"{metric} {said}", remedy, run)


def recorded_curves(trial: FrozenTrial) -> Mapping[str, list[float]]:
    """Return what MLflow should have of each metric after every epoch."""
    curves: dict[str, list[float]] = trial.user_attrs.get(attributes.CURVES) or {}
    if not curves or not trial.params:
        return curves
    setting = Hyperparameters(**trial.params)
    epochs = range(len(curves["val/loss"]))
    return {**curves, LEARNING_RATE: [setting.rate(epoch) for epoch in epochs]}


def compare_points(
    curve: Sequence[float], points: Points, *, settled: bool
) -> tuple[str, Remedy] | None:
    """Return what is wrong with a metric's points and what mends it; None where nothing is.

    `settled` says that the trial ended by itself: of an interrupted one, MLflow may know more.
    """
    counts = Counter(step for step, _ in points)
    doubled = sorted(step for step, count in counts.items() if count > 1)
    missing = [epoch for epoch in range(1, len(curve) + 1) if epoch not in counts]
    if doubled:
        return f"has more than one point of {_epochs(doubled)}", Remedy.REPLACE
    if settled and any(not 1 <= step <= len(curve) for step in counts):
        beyond = sorted(step for step in counts if not 1 <= step <= len(curve))
        return f"has points of {_epochs(beyond)}, beyond the record", Remedy.REPLACE
    for step, value in points:
        if 1 <= step <= len(curve) and not _same(value, curve[step - 1]):
            return f"is {value!r} in epoch {step}, not {curve[step - 1]!r}", Remedy.REPLACE
    if missing:
        return f"lacks {_epochs(missing)}", Remedy.COMPLETE
    return None


def _same(logged: float, recorded: float) -> bool:
    """Whether MLflow has the recorded number; it keeps an infinity as the largest float."""
    if math.isinf(recorded):
        recorded = math.copysign(sys.float_info.max, recorded)
    return logged == recorded or (math.isnan(logged) and math.isnan(recorded))


def _epochs(steps: Sequence[int]) -> str:
    """Return e.g. `epoch 3` or `epochs 3-5, 9`."""
    ranges: list[list[int]] = []
    for step in steps:
        if ranges and step == ranges[-1][-1] + 1:
            ranges[-1].append(step)
        else:
            ranges.append([step])
    words = [str(r[0]) if len(r) == 1 else f"{r[0]}-{r[-1]}" for r in ranges]
    return f"epoch{'s' if len(steps) > 1 else ''} {', '.join(words)}"


def _wrong(number: int, said: str, remedy: Remedy, run: MlflowRun) -> Disagreement:
    return Disagreement(trial=number, said=said, remedy=remedy, run=run.info.run_id)

"""What the search of a study came to, and where its chosen trial lies in it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sweep.comparison.parts import Search
from sweep.space.axes import Range
from sweep.statistics.best_of import best_of
from sweep.statistics.place import Place
from sweep.study.ending import Ending
from sweep.study.importance import importances
from sweep.study.position import position_of
from sweep.study.results import ending, last_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna.trial import FrozenTrial

    from sweep.settings import Settings
    from sweep.space.axes import Axis, Number
    from sweep.study.opening import OpenStudy

COUNTED = (Ending.COMPLETE, Ending.PRUNED, Ending.DIVERGED)
"""A trial that broke or was interrupted says nothing of the search."""


def common_metric(settings: Sequence[Settings]) -> str:
    """Return the objective of all studies; the validation accuracy where they have none in common.

    Values of two losses are not on one scale.
    """
    metrics, losses = {each.metric for each in settings}, {each.loss for each in settings}
    return "val/loss" if metrics == {"val/loss"} and len(losses) == 1 else "val/accuracy"


def direction_of(metric: str) -> str:
    """Return Optuna's word for which way is better."""
    return "minimize" if metric == "val/loss" else "maximize"


def describe_search(study: OpenStudy, chosen: FrozenTrial, metric: str) -> Search:
    """Describe the search of a study; the best of k trials is told in `metric`."""
    settings = study.settings
    trials = [trial for trial in study.trials() if ending(trial) in COUNTED]
    drawn = [trial for trial in trials if position_of(trial) > 0]
    values = [last_value(trial, metric) for trial in drawn if ending(trial) == Ending.COMPLETE]
    return Search(
        sampler=settings.sampler,
        pruner=settings.pruner,
        epochs=settings.epochs,
        complete=_count(trials, Ending.COMPLETE),
        pruned=_count(trials, Ending.PRUNED),
        diverged=_count(trials, Ending.DIVERGED),
        best_of=best_of(
            values,
            without=len(drawn) - len(values),
            direction="minimize" if metric == "val/loss" else "maximize",
        ),
        drawn_independently=settings.sampler == "random" and settings.pruner == "none",
        importances=importances(study),
        places=[
            place_of(settings.space.axes[name], chosen.params[name])
            for name in settings.space.varied()
        ],
    )


def place_of(axis: Axis, value: Number) -> Place:
    """Return where a value lies on the axis of its hyperparameter."""
    if isinstance(axis, Range):
        low, high, choices = float(axis.low), float(axis.high), None
        scale = math.log if axis.log else float
        unit = (scale(value) - scale(low)) / (scale(high) - scale(low))
    else:
        choices = sorted(float(each) for each in axis.values)
        low, high = choices[0], choices[-1]
        unit = choices.index(float(value)) / max(1, len(choices) - 1)
    return Place(
        name=axis.name,
        value=float(value),
        low=low,
        high=high,
        log=isinstance(axis, Range) and axis.log,
        choices=choices,
        unit=unit,
    )


def _count(trials: Sequence[FrozenTrial], how: Ending) -> int:
    return sum(ending(trial) == how for trial in trials)

"""The dashboards of a study and of two studies side by side: MLflow's saved views as plain data."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweep.space import Range
from sweep.tracking.cards import (
    LOGARITHMIC,
    bars,
    curves,
    images,
    metric,
    parallel,
    parameter,
    scatter,
    sections,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sweep.config import StudyConfig
    from sweep.tracking.cards import Axis, Card

RESULTS = {"val-accuracy": "best/val_accuracy", "val-loss": "val/loss"}
"""For each objective the metric that a chart shows as a trial's result."""
FINAL = {"val-accuracy": "final/val_accuracy", "val-loss": "final/val_loss"}
"""For each objective the metric that complete trials alone have; the page puts others after them.
"""
SHOWN = 2
"""How many hyperparameters get a chart of their own."""
WEIGHTS_SECTION = "Weights, the best trial last"
"""Said of the page's first ten trials; of two studies those of the better one come first."""
IMAGES_HEIGHT = 1900
"""Pixels for ten images in rows of two; in less the last is hidden, which is the best."""
TRIALS_ONLY = "tags.`sweep.role` = 'trial'"


@dataclass(frozen=True)
class View:
    """A page of runs as MLflow keeps it: under which key, by which name, and what it shows."""

    key: str
    name: str
    state: dict[str, Any]


def study_view(
    config: StudyConfig,
    tags: Mapping[str, str],
    *,
    important: Sequence[str] = (),
    image_step: int = 1,
) -> View:
    """Return the dashboard of a study: its trials, the best first, with all their charts.

    Parameters
    ----------
    config
        The study's.
    tags
        What its runs are tagged with, see `StudyRecord.tags`.
    important
        The searched hyperparameters, the most important first, where that is known.
    image_step
        The epoch at which the slider of the weight images stands at first.

    """
    varied, result = config.space.varied(), metric(RESULTS[config.objective])
    layout = sections(
        (
            "Settings and results",
            1,
            400,
            _parallel([_axis(config, each) for each in varied], result),
        ),
        (
            "The most important hyperparameters" if important else "Hyperparameters",
            2,
            360,
            _scatters(config, important or varied, result),
        ),
        ("Learning curves", 2, 360, _learning_curves()),
        (
            WEIGHTS_SECTION,
            1,
            IMAGES_HEIGHT,
            _images(config, image_step),
        ),
    )
    conditions = [f"tags.`sweep.{name}` = '{value}'" for name, value in tags.items()]
    state = _page(config, [TRIALS_ONLY, *conditions]) | layout
    return View(f"sweep-{tags['study_id']}", f"{config.study}: dashboard", state)


def pair_view(
    studies: Sequence[tuple[StudyConfig, Mapping[str, str]]], *, others: Iterable[str] = ()
) -> View:
    """Return two studies of one experiment side by side: a group of trials for each.

    Parameters
    ----------
    studies
        Config and tags of both.
    others
        The `study_id` of each further study of the experiment: MLflow's filters know no "or", so
        all other trials are left out one study at a time.

    """
    (first, tags), (second, more_tags) = studies
    varied = dict.fromkeys(first.space.varied() + second.space.varied())
    apart = ["loss"] if first.loss != second.loss else []
    result = metric(RESULTS[first.objective])
    axes = [*apart, *(_axis(first, name) for name in varied)]
    strips = [scatter(parameter(name), result) for name in apart]
    layout = sections(
        ("Settings and results", 1, 400, _parallel(axes, result)),
        ("Results", 2, 360, [*strips, bars(result["key"])]),
        ("Hyperparameters", 2, 360, _scatters(first, list(varied), result)),
        ("Learning curves", 2, 360, _learning_curves()),
        (
            WEIGHTS_SECTION,
            1,
            IMAGES_HEIGHT,
            _images(first, first.epochs),
        ),
    )
    grouped = {
        "groupBy": {
            "aggregateFunction": "max" if first.direction == "maximize" else "min",
            "groupByKeys": [{"mode": "tag", "groupByData": "sweep.study"}],
        },
        "useGroupedValuesInCharts": False,  # else a study would be a single line or point
    }
    conditions = [f"tags.`sweep.study_id` != '{identity}'" for identity in others]
    both = " ".join([tags["study_id"], more_tags["study_id"]])
    key = f"sweep-{hashlib.sha256(both.encode()).hexdigest()[:16]}"
    state = _page(first, [TRIALS_ONLY, *conditions]) | layout | grouped
    return View(key, f"{first.study} beside {second.study}", state)


def _parallel(axes: Sequence[str], result: Axis) -> list[Card]:
    return [parallel(axes, result["key"])] if axes else []


def _scatters(config: StudyConfig, names: Sequence[str], result: Axis) -> list[Card]:
    return [scatter(parameter(_axis(config, name)), result) for name in names[:SHOWN]]


def _images(config: StudyConfig, step: int) -> list[Card]:
    """Return the weight images; rows without an image shape have none, and are never mirrored."""
    never_mirrored = config.space.axes["flip_probability"].points(2) == (0.0,)
    return [] if never_mirrored else [images(step)]


def _axis(config: StudyConfig, name: str) -> str:
    """Return what to plot of a hyperparameter: its logarithm where it is searched on that scale."""
    axis = config.space.axes[name]
    return LOGARITHMIC.get(name, name) if isinstance(axis, Range) and axis.log else name


def _learning_curves() -> list[Card]:
    return [
        curves("val/accuracy"),
        curves("val/loss", log=True),
        curves("train/loss", "val/loss", log=True),
        scatter(metric("train/loss"), metric("val/loss")),
    ]


def _page(config: StudyConfig, conditions: Sequence[str]) -> dict[str, Any]:
    """Return which runs stand on the page, in which order and columns."""
    final = FINAL[config.objective]
    metrics = dict.fromkeys([final, "best/val_accuracy", "val/accuracy", "val/loss"])
    # of a small number the table hides the exponent, so it gets the logarithm, too
    parameters = [_axis(config, name) for name in config.space.varied()]
    columns = [f"metrics.`{name}`" for name in metrics] + [
        f"params.`{name}`" for name in parameters
    ]
    return {
        "searchFilter": " and ".join(conditions),
        "orderByKey": f"metrics.`{final}`",
        "orderByAsc": config.direction == "minimize",
        "selectedColumns": ["attributes.`Duration`", "tags.`sweep.status`", *columns],
        "runsHiddenMode": "SHOW_ALL",  # the default shows the charts of ten runs
        "hideEmptyCharts": True,
    }

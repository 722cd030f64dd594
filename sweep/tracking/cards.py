"""Charts and their sections in the undocumented format of MLflow's saved views, as plain data.

Seen in MLflow 3.17: a chart is titled by what it shows, so the section's name says the rest; it
shows all runs of the page, so nothing can be filtered for one chart alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Card: TypeAlias = dict[str, Any]
Axis: TypeAlias = dict[str, str]

LOGARITHMIC = {"l2": "log10_l2", "learning_rate": "log10_learning_rate"}
"""Parameters that are also logged as their logarithm: the page's axes are linear."""
WEIGHTS = "weights"
"""The key under which weight images are logged."""
GENERATED = ("best", "final", "train", "val", "val_accuracy_of")
"""Sections in which the page itself puts a chart of each metric, named by the metrics' groups."""


def parameter(name: str) -> Axis:
    """Return the axis of a parameter."""
    return {"key": name, "type": "PARAM"}


def metric(name: str) -> Axis:
    """Return the axis of a metric's last value."""
    return {"key": name, "type": "METRIC"}


def parallel(parameters: Sequence[str], result: str) -> Card:
    """Return parallel coordinates, whose lines are coloured by the result."""
    return _card(
        "PARALLEL",
        "parallel",
        selectedParams=list(parameters),
        selectedMetrics=[result],
        showAllRuns=True,
    )


def scatter(x: Axis, y: Axis) -> Card:
    """Return a scatter chart with one point for each run."""
    return _card("SCATTER", f"scatter {x['key']} {y['key']}", xaxis=x, yaxis=y)


def curves(*metrics: str, log: bool = False) -> Card:
    """Return the metrics' values against the epoch, each with a dash of its own."""
    return _card(
        "LINE",
        f"curves {' '.join(metrics)}",
        metricKey=metrics[0],
        selectedMetricKeys=list(metrics),
        scaleType="log" if log else "linear",
        xAxisKey="step",
        xAxisScaleType="linear",
        selectedXAxisMetricKey="",
        useGlobalXaxisKey=False,
        lineSmoothness=0,
        useGlobalLineSmoothing=False,
        yAxisKey="metric",
        yAxisExpressions=[],
        range={},
        ignoreOutliers=False,
        displayPoints=False,
    )


def bars(name: str) -> Card:
    """Return one bar for each run or group of runs."""
    return _card("BAR", f"bars {name}", metricKey=name)


def images(step: int) -> Card:
    """Return the weight images of the page's first ten runs, with a slider over the epochs."""
    return _card("IMAGE", "images", imageKeys=[WEIGHTS], step=step, showRunParams=False)


def _card(kind: str, uuid: str, **settings: object) -> Card:
    return {"type": kind, "uuid": uuid, "deleted": False, "isGenerated": False, **settings}


def sections(*groups: tuple[str, int, int, Iterable[Card]]) -> dict[str, Any]:
    """Return the part of a view that lays out its charts.

    Parameters
    ----------
    groups
        For each section its name, its columns, the height of its charts in pixels, and these.
        Without any chart it is left out.

    """
    laid_out = [(*group[:3], list(group[3])) for group in groups]
    laid_out = [group for group in laid_out if group[3]]
    return {
        "compareRunSections": [
            _section(name, display=True, columns=columns, cardHeight=height)
            for name, columns, height, _ in laid_out
        ]
        + [_section(name, display=False) for name in GENERATED],
        "compareRunCharts": [
            {**card, "metricSectionId": name} for name, _, _, cards in laid_out for card in cards
        ],
        "isAccordionReordered": True,  # else the page sorts the sections by name
    }


def _section(name: str, **settings: object) -> dict[str, object]:
    return {"uuid": name, "name": name, "isReordered": True, "isGenerated": False, **settings}

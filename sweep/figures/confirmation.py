"""What fresh seeds make of the top trials, beside what the search had said."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, NamedTuple

from sweep.figures.lettering import headline, label, with_unit
from sweep.figures.style import BLUE, GREY, VERMILLION, dress, new_figure, styled
from sweep.statistics.intervals import t_half_width

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Row(NamedTuple):
    """A setting: its name, its value in the search and on each seed; NaN where there is none."""

    name: str
    search: float
    values: Sequence[float]


@styled
def confirmation_figure(rows: Sequence[Row], *, objective: str, title: str) -> Figure:
    """One line per setting, the first on top: every seed, their mean and the search's value."""
    figure = new_figure(900, 150 + 42 * max(len(rows), 2), layout="constrained")
    headline(
        figure,
        title,
        "small points: seeds; bars: mean and its 95 % interval; rings: what the search had said",
    )
    axes = figure.subplots()
    dress(axes)
    axes.grid(visible=False, axis="y")
    for place, row in enumerate(rows):
        _draw(axes, place, row)
    axes.set_yticks(range(len(rows)), [label(row.name) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(with_unit(objective))
    return figure


def _draw(axes: Axes, place: int, row: Row) -> None:
    values = [value for value in row.values if math.isfinite(value)]
    axes.scatter(values, [place] * len(values), s=12, color=GREY, alpha=0.6, linewidths=0)
    if math.isfinite(row.search):
        axes.scatter(row.search, place, s=60, facecolors="none", edgecolors=VERMILLION, zorder=3)
    if not values or len(values) < len(row.values):
        return  # the mean of those that did not diverge would be optimistic
    mean, half = statistics.fmean(values), t_half_width(values)
    axes.errorbar(
        mean,
        place,
        xerr=half if math.isfinite(half) else None,
        fmt="o",
        color=BLUE,
        markersize=7,
        elinewidth=2.5,
        capsize=4,
    )

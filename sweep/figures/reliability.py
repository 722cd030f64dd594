"""Reliability diagrams: is a classifier right as often as it says it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sweep.figures.lettering import headline
from sweep.figures.side_by_side import panels
from sweep.figures.style import BLUE, GREY, PALE, VERMILLION, styled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from sweep.statistics.outputs import Outputs

STRIP: Final = 0.18  # of the panel's height, for how many rows a bin has


@styled
def reliability_figure(outputs: Mapping[str, Outputs]) -> Figure:
    """One panel for each title: accuracy against mean confidence, bin by bin.

    On the diagonal a classifier is right as often as it says. The bars below show how many rows
    each bin has.
    """
    figure, grid = panels(list(outputs), height=345)
    for axes, each in zip(grid, outputs.values(), strict=True):
        _diagram(axes, each)
        axes.set_title(f"{axes.get_title(loc='left')}\nECE {each.calibration_error:.3f}")
        axes.set_xlabel("confidence")
    grid[0].set_ylabel("accuracy")
    bins = max((len(each.counts) for each in outputs.values()), default=0)
    headline(
        figure,
        "Calibration",
        f"{bins} equal bins of the probability of the predicted class; ECE is the mean distance "
        "from the diagonal; bars: rows in each bin",
    )
    return figure


def _diagram(axes: Axes, outputs: Outputs) -> None:
    counts = np.asarray(outputs.counts, dtype=np.float64)
    edges = np.linspace(0, 1, len(counts) + 1)
    axes.stairs(STRIP * counts / max(counts.max(), 1), edges, fill=True, color=PALE, alpha=0.5)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, dashes=(4, 3))
    bins = zip(outputs.confidence, outputs.accuracy, outputs.counts, strict=True)
    known = [(x, y, count) for x, y, count in bins if x is not None and y is not None]
    for x, y, _ in known:
        axes.plot([x, x], [x, y], color=VERMILLION, linewidth=1.6, alpha=0.8)
    sizes = [8 + 60 * count / max(outputs.counts) for *_, count in known]
    xs, ys = [x for x, _, _ in known], [y for _, y, _ in known]
    axes.scatter(xs, ys, s=sizes, color=BLUE, zorder=3, clip_on=False)
    axes.set(xlim=(0, 1), ylim=(0, 1))

"""The probability that the true class was given, on rows predicted rightly and wrongly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from sweep.figures.lettering import headline
from sweep.figures.side_by_side import panels
from sweep.figures.style import BLUE, VERMILLION, styled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

    from sweep.statistics.outputs import Outputs


@styled
def truth_histograms_figure(outputs: Mapping[str, Outputs]) -> Figure:
    """One panel for each title: filled where the prediction was right, a line where it was wrong.

    All panels have the same axes.
    """
    figure, grid = panels(list(outputs), height=270)
    for axes, each in zip(grid, outputs.values(), strict=True):
        edges = np.linspace(0, 1, len(each.right) + 1)
        rows = sum(each.right), sum(each.wrong)
        right = f"predicted rightly ({rows[0]:,} rows)"
        wrong = f"predicted wrongly ({rows[1]:,} rows)"
        axes.stairs(each.right, edges, fill=True, color=BLUE, alpha=0.45, label=right)
        axes.stairs(each.right, edges, color=BLUE, linewidth=1)
        axes.stairs(each.wrong, edges, color=VERMILLION, linewidth=1.8, label=wrong)
        axes.set_xlim(0, 1)
        axes.set_xlabel("probability given to the true class")
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        top = max(max(each.right + each.wrong) for each in outputs.values())
        axes.set_ylim(0, 1.3 * max(top, 1))  # room for the legend
        axes.legend(loc="upper center", borderaxespad=0.2, handlelength=1.6)
    grid[0].set_ylabel("test rows")
    headline(
        figure,
        "How sure of the truth",
        "rows in each twentieth of the range; right is filled, wrong is the line",
    )
    return figure

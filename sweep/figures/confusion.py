"""Which class was taken for which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sweep.figures.lettering import fit_ticks, headline, label
from sweep.figures.side_by_side import panels
from sweep.figures.style import INK, styled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from sweep_model.arrays import Floats

MOST_NUMBERS: Final = 12  # classes; of more the numbers do not fit into the squares
MOST_NAMES: Final = 30
NAME_WIDTH: Final = 90
COLOURS: Final = "Blues"  # most squares are empty, and should look it
DARK: Final = 0.55  # from here on a number is written in white


@styled
def confusion_figure(
    counts: Mapping[str, Sequence[Sequence[int]]], class_names: Sequence[str]
) -> Figure:
    """One panel for each title: row by row, what share of a class was taken for each class.

    `counts` has for each title the counts (k, k), the true classes down and the predicted across.
    """
    height = 340 if len(counts) > 2 else 450  # noqa: PLR2004 - two stand wider
    figure, grid = panels(list(counts), height=height, square=True)
    for axes, each in zip(grid, counts.values(), strict=True):
        rows = np.asarray(each, dtype=np.float64)
        shares = rows / np.maximum(rows.sum(axis=1, keepdims=True), 1)
        axes.grid(visible=False)
        axes.imshow(shares, cmap=COLOURS, vmin=0, vmax=1)
        if len(class_names) <= MOST_NUMBERS:
            _write(axes, shares, size=7.5 if len(counts) <= 2 else 6)  # noqa: PLR2004 - as above
        axes.tick_params(axis="x", rotation=90)
        axes.set_xlabel("predicted")
    _name(grid[0], class_names)  # the others share its axes
    grid[0].set_ylabel("true class")
    headline(figure, "Confusion", "percent of each true class; each row adds up to 100")
    return figure


def _name(axes: Axes, class_names: Sequence[str]) -> None:
    every = -(-len(class_names) // MOST_NAMES)
    places = range(0, len(class_names), every)
    names = [label(class_names[i]) for i in places]
    axes.set_xticks(places, names)
    axes.set_yticks(places, names)
    fit_ticks(axes.xaxis, NAME_WIDTH)
    fit_ticks(axes.yaxis, NAME_WIDTH)


def _write(axes: Axes, shares: Floats, *, size: float) -> None:
    for i, j in np.argwhere(shares > 0):
        share = shares[i, j]
        colour = "white" if share > DARK else INK
        words = f"{100 * share:.0f}"
        axes.text(j, i, words, ha="center", va="center", fontsize=size, color=colour)

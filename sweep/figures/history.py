"""The objective of every finished trial, in the order in which they were started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from sweep.figures.lettering import fit, headline, say_instead, with_unit
from sweep.figures.style import BLUE, GREEN, PALE, VERMILLION, dress, new_figure, styled
from sweep.figures.trials import (
    Direction,
    Result,
    best,
    caption,
    complete,
    name_of_best,
    pruned,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from optuna.trial import FrozenTrial


@styled
def history_figure(
    trials: Sequence[FrozenTrial],
    *,
    direction: Direction,
    objective: str,
    selected: int | None = None,
) -> Figure:
    """The value of each complete trial, the best so far as a step line, the best of all marked.

    `selected` is the number of the best where equals were told apart by something else.

    Pruned trials stand pale at the last value that they reported; failed ones are only counted.
    """
    figure = new_figure(900, 430, layout="constrained")
    axes = figure.subplots()
    headline(figure, "Optimisation history", caption(trials, direction, objective, selected))
    finished, stopped = complete(trials), pruned(trials)
    if not finished and not stopped:
        say_instead(axes, "no finished trial")
        return figure
    dress(axes)
    _points(axes, stopped, marker="x", color=PALE, label="pruned (last value)")
    _points(axes, finished, marker="o", color=BLUE, alpha=0.75, label="complete")
    if finished:
        _best_so_far(axes, finished, direction, selected)
    axes.set_xlabel("trial")
    fit(axes.set_ylabel(with_unit(objective)), 0.6 * figure.bbox.height)
    axes.xaxis.set_major_locator(
        MaxNLocator(nbins=10, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1)
    )
    axes.margins(x=0.02, y=0.08)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4, borderaxespad=0.2)
    return figure


def _points(axes: Axes, results: Sequence[Result], **look: Any) -> None:
    if results:  # an empty line would still stand in the legend
        numbers = [result.trial.number for result in results]
        values = [result.value for result in results]
        axes.plot(numbers, values, linestyle="none", markersize=5, **look)


def _best_so_far(
    axes: Axes, results: Sequence[Result], direction: Direction, selected: int | None
) -> None:
    running = np.maximum if direction == "maximize" else np.minimum
    axes.plot(
        [result.trial.number for result in results],
        running.accumulate([result.value for result in results]),
        color=GREEN,
        drawstyle="steps-post",
        label="best so far",
    )
    winner = best(results, direction, selected)
    axes.plot(
        [winner.trial.number],
        [winner.value],
        "*",
        color=VERMILLION,
        markersize=14,
        markeredgecolor="white",
        label=name_of_best(results, direction, selected),
    )

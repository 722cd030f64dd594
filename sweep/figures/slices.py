"""The objective against each varied parameter by itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator

from sweep.figures.lettering import (
    fit,
    fit_ticks,
    headline,
    label,
    say_instead,
    with_unit,
)
from sweep.figures.scale import Scale
from sweep.figures.style import GREY, SEQUENTIAL, TEXT_SIZE, VERMILLION, dress, new_figure, styled
from sweep.figures.trials import Direction, Result, best, caption, complete, varied

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from optuna.trial import FrozenTrial

MOST_COLUMNS: Final = 3
MARGIN: Final = 0.05  # of the range, so that a point on its boundary is seen whole


@styled
def slice_figure(
    trials: Sequence[FrozenTrial],
    *,
    direction: Direction,
    objective: str,
    selected: int | None = None,
    epoch: int | None = None,
) -> Figure:
    """One panel per varied parameter, over its whole range; each complete trial is a point.

    `epoch` is the one after which the trials are compared, if not the last. Axes of log
    distributions are logarithmic. Later trials are darker, the best is marked.
    """
    results = complete(trials)
    parameters = varied(results)
    columns = min(MOST_COLUMNS, max(1, len(parameters)))
    rows = max(1, math.ceil(len(parameters) / columns))
    figure = new_figure(900, 120 + 240 * rows, layout="constrained")
    when = "" if epoch is None else f" after epoch {epoch}"
    title = f"{label(objective)}{when} by hyperparameter"
    headline(figure, title, caption(trials, direction, objective, selected, epoch))
    panels = list(figure.subplots(rows, columns, sharey=True, squeeze=False).flat)
    if not parameters:
        say_instead(panels[0], "no parameter varied" if results else "no complete trial")
        return figure
    colours = Normalize(results[0].trial.number, results[-1].trial.number)
    for axes, (name, distribution) in zip(panels, parameters.items(), strict=False):
        _axis(axes, name, Scale.of(distribution), 0.8 * figure.bbox.width / columns)
        _points(axes, name, results, best(results, direction, selected), colours)
    for spare in panels[len(parameters) :]:
        spare.set_axis_off()
    fit(figure.supylabel(with_unit(objective), fontsize=TEXT_SIZE), 0.6 * figure.bbox.height)
    if len(results) > 1:
        shown = ScalarMappable(colours, SEQUENTIAL)
        bar = figure.colorbar(shown, ax=panels, label="trial", fraction=0.03, aspect=40)
        bar.ax.yaxis.set_major_locator(MaxNLocator(integer=True))
        dress(bar.ax)
    return figure


def _axis(axes: Axes, name: str, scale: Scale, width: float) -> None:
    dress(axes)
    axes.set_xscale("log" if scale.log else "linear")
    axes.set_xlim(scale.between(-MARGIN), scale.between(1 + MARGIN))
    positions, words = zip(*scale.ticks(), strict=True)
    axes.set_xticks(positions, words)
    axes.minorticks_off()
    if scale.choices:
        fit_ticks(axes.xaxis, width / len(words))
    fit(axes.set_xlabel(label(name)), width)


def _points(
    axes: Axes, name: str, results: Sequence[Result], winner: Result, colours: Normalize
) -> None:
    having = [result for result in results if name in result.trial.params]
    axes.scatter(
        [result.position(name) for result in having],
        [result.value for result in having],
        c=[result.trial.number for result in having],
        norm=colours,
        cmap=SEQUENTIAL,
        s=26,
        edgecolors=GREY,
        linewidths=0.4,
    )
    if name in winner.trial.params:
        place = winner.position(name), winner.value
        axes.scatter(*place, s=190, marker="*", color=VERMILLION, edgecolors="white")

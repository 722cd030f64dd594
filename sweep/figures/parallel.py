"""All varied parameters and the objective side by side, one line per complete trial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import matplotlib as mpl
import numpy as np
from matplotlib.collections import LineCollection

from sweep.figures.lettering import fit, headline, label, say_instead
from sweep.figures.scale import Scale
from sweep.figures.style import GREY, INK, SEQUENTIAL, SMALL_SIZE, VERMILLION, new_figure, styled
from sweep.figures.trials import Direction, Result, best, caption, complete, varied

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from optuna.trial import FrozenTrial

COLUMN: Final = 140  # pixels between two axes


@styled
def parallel_figure(
    trials: Sequence[FrozenTrial],
    *,
    direction: Direction,
    objective: str,
    selected: int | None = None,
    epoch: int | None = None,
) -> Figure:
    """One axis per varied parameter, over its whole range, and one for the objective.

    Axes of log distributions are logarithmic, those of choices have equal steps. The better a
    trial, the darker its line; the selected one, or the best, is drawn last, in red. Trials that
    lack one of the parameters have no line. `epoch` is the one after which the trials are compared,
    if not the last.
    """
    parameters = varied(complete(trials))
    results = [each for each in complete(trials) if parameters.keys() <= each.trial.params.keys()]
    figure = new_figure(max(900, COLUMN * (len(parameters) + 1)), 460, layout="constrained")
    axes = figure.subplots()
    axes.set_axis_off()
    when = "of the complete trials" if epoch is None else f"after epoch {epoch}"
    title = f"Hyperparameters and {label(objective)} {when}"
    headline(figure, title, caption(trials, direction, objective, selected, epoch))
    if not results or not parameters:
        say_instead(axes, "no parameter varied" if results else "no complete trial")
        return figure
    scales = {name: Scale.of(distribution) for name, distribution in parameters.items()}
    goal = Scale.around([result.value for result in results])
    _axes(axes, [*scales.items(), (objective, goal)])
    winner = best(results, direction, selected)
    _lines(axes, results, winner, direction=direction, scales=scales, goal=goal)
    return figure


def _axes(axes: Axes, scales: Sequence[tuple[str, Scale]]) -> None:
    """Upright axes at 0, 1, ..., each from 0 to 1, with ticks to the left and the name on top."""
    axes.set(xlim=(-0.55, len(scales) - 0.45), ylim=(-0.04, 1.12))
    for x, (name, scale) in enumerate(scales):
        axes.plot([x, x], [0, 1], color=GREY, linewidth=1, zorder=3)
        heading = axes.text(x, 1.05, label(name), ha="center", color=INK)
        fit(heading, 0.95 * COLUMN)
        for position, words in scale.ticks():
            y = scale.unit(position)
            axes.plot([x - 0.02, x], [y, y], color=GREY, linewidth=1, zorder=3)
            tick = axes.text(x - 0.04, y, words, ha="right", va="center", fontsize=SMALL_SIZE)
            tick.set(zorder=4, bbox={"facecolor": "white", "alpha": 0.8, "lw": 0, "pad": 0.5})
            fit(tick, 0.6 * COLUMN)


def _lines(
    axes: Axes,
    results: Sequence[Result],
    winner: Result,
    *,
    direction: Direction,
    scales: Mapping[str, Scale],
    goal: Scale,
) -> None:
    def path(result: Result) -> list[tuple[int, float]]:
        heights = [scale.unit(result.position(name)) for name, scale in scales.items()]
        return list(enumerate([*heights, goal.unit(result.value)]))

    worst_first = sorted(results, key=lambda result: result.value, reverse=direction == "minimize")
    # by rank: by value, one very bad trial would leave all the others equally dark
    colours = mpl.colormaps[SEQUENTIAL](np.linspace(0, 1, len(results)))
    paths = [path(result) for result in worst_first]
    axes.add_collection(LineCollection(paths, colors=colours, linewidths=1.2, alpha=0.8))
    axes.plot(*np.array(path(winner)).T, color=VERMILLION, linewidth=2.6, marker="o", zorder=3.5)

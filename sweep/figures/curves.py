"""Loss, cost and accuracy of one training, epoch by epoch."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator

from sweep.figures.lettering import label, say_instead
from sweep.figures.style import BLUE, SMALL_SIZE, VERMILLION, dress, new_figure, styled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from model.arrays import Floats

COLOURS: Final = {"train": BLUE, "val": VERMILLION}
WORDS: Final = {"train": "training", "val": "validation"}
DASHES: Final = {"cost": (0, (3, 1.5))}
DIVERGED: Final = 1e100  # matplotlib's own arithmetic overflows near the largest float
LABEL_GAP: Final = 0.06  # of the panel's height: one line of small text


@styled
def curves_figure(curves: Mapping[str, Sequence[float]], *, title: str) -> Figure:
    """Loss and cost beside accuracy, training against validation.

    Parameters
    ----------
    curves
        Under "train/loss", "train/cost", "train/accuracy" and the same for "val": the value at
        the end of each epoch, index i for epoch i + 1; loss and cost in nats, accuracy as a
        fraction of rows. A missing key draws no line, a value that is not finite leaves a gap.
    title
        Written over both panels.
    """
    figure = new_figure(900, 400)
    losses, accuracies = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.06, right=0.93, bottom=0.2, top=0.85, wspace=0.32)
    figure.suptitle(label(title), x=0.012, ha="left")
    losses.set_title("Loss and cost (nats)")
    accuracies.set_title("Accuracy")
    drawn = _draw(losses, curves, ("loss", "cost"), "{:#.4g}")
    drawn |= _draw(accuracies, curves, ("accuracy",), "{:.1%}")
    accuracies.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
    if drawn:
        figure.legend(
            drawn.values(), drawn.keys(), loc="lower center", ncols=len(drawn), markerscale=0
        )
    return figure


def _draw(
    axes: Axes, curves: Mapping[str, Sequence[float]], quantities: Sequence[str], form: str
) -> dict[str, Line2D]:
    """Draw the lines of one panel; one of each kind for the legend."""
    axes.set_xlabel("epoch")
    drawn: dict[str, Line2D] = {}
    ends: list[tuple[int, float, str]] = []
    for quantity, (split, colour) in product(quantities, COLOURS.items()):
        values = _finite(curves.get(f"{split}/{quantity}", ()))
        if not np.isfinite(values).any():
            continue
        last = int(np.flatnonzero(np.isfinite(values))[-1])
        (line,) = axes.plot(
            np.arange(1, len(values) + 1),
            values,
            color=colour,
            linestyle=DASHES.get(quantity, "-"),
            marker="o",
            markersize=3.5,
            markevery=[last],
            clip_on=False,
        )
        suffix = " cost" if quantity == "cost" else ""
        drawn[WORDS[split] + suffix] = line
        ends.append((last + 1, float(values[last]), colour))
    if not drawn:
        say_instead(axes, "no values")
        return drawn
    dress(axes)
    epochs = max(len(values) for values in curves.values())
    axes.set_xlim(1 - min(0.5, 0.02 * epochs), max(epochs, 1.5))
    axes.xaxis.set_major_locator(
        MaxNLocator(nbins=8, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1)
    )
    axes.yaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10]))
    _label_ends(axes, ends, form)
    return drawn


def _finite(values: Sequence[float]) -> Floats:
    numbers = np.asarray(values, dtype=np.float64)
    return np.where(np.abs(numbers) < DIVERGED, numbers, np.nan)


def _label_ends(axes: Axes, ends: Sequence[tuple[int, float, str]], form: str) -> None:
    """Write the last value of each line, (epoch, value, colour), at its end, one above another."""
    low, high = axes.get_ylim()
    heights = spread([value for _, value, _ in ends], gap=LABEL_GAP * (high - low))
    for (epoch, value, colour), height in zip(ends, heights, strict=True):
        axes.annotate(
            form.format(value),
            xy=(epoch, height),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize=SMALL_SIZE,
            annotation_clip=False,
        )


def spread(positions: Sequence[float], *, gap: float) -> list[float]:
    """Positions in the same order, moved up just so far that any two are `gap` apart."""
    moved = list(positions)
    floor = -np.inf
    for i in np.argsort(positions, kind="stable"):
        moved[i] = max(positions[i], floor)
        floor = moved[i] + gap
    return moved

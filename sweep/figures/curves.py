"""Loss, cost and accuracy of one training, epoch by epoch.

Every trial draws one, so the figure is made once and drawn on again and again: made anew for each,
its axes and ticks would take as long as the drawing. Words beside the panels are written by Pillow,
in a tenth of the time that matplotlib takes.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from threading import Lock
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from matplotlib.ticker import MaxNLocator, ScalarFormatter
from PIL import Image

from sweep.figures.lettering import say_instead, write
from sweep.figures.style import (
    BLUE,
    SMALL_SIZE,
    TITLE_SIZE,
    VERMILLION,
    drawn,
    dress,
    new_figure,
    styled,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from sweep.figures.weight_colours import Pixels
    from sweep_model.arrays import Floats

COLOURS: Final = {"train": BLUE, "val": VERMILLION}
WORDS: Final = {"train": "training", "val": "validation"}
STYLES: Final = {"loss": "-", "cost": "--", "accuracy": "-"}
DIVERGED: Final = 1e100  # differences of larger numbers overflow
SIZE: Final = (940, 360)  # pixels, as all lengths below
PANEL_WIDTH: Final = 270
PANEL_HEIGHT: Final = 220
BOTTOM: Final = 60
LINE_HEIGHT: Final = 15
MARGIN: Final = 11
BESIDE: Final = 8  # between a panel and the words to its right
ROOM: Final = 165  # for these words


class Kind(NamedTuple):
    """One panel: its left edge, its title, its curves, their unit and how their ends are told."""

    left: int
    title: str
    quantities: tuple[str, ...]
    unit: float
    end: str


KINDS: Final = (
    Kind(58, "Loss and, dashed, cost (nats)", ("loss", "cost"), 1.0, "#.4g"),
    Kind(540, "Accuracy (%)", ("accuracy",), 0.01, ".1f"),
)
_one_at_a_time: Final = Lock()


class End(NamedTuple):
    """The last value of a curve in words, where they stand, in pixels from the upper left."""

    words: str
    colour: str
    x: int
    y: float


def curves_figure(curves: Mapping[str, Sequence[float]], *, title: str) -> Pixels:
    """Loss and cost beside accuracy, training against validation, uint8 (360, 940, 3).

    Each line has a dot at its last value, which stands beside the panel with the line's name.

    Parameters
    ----------
    curves
        Under "train/loss", "train/cost", "train/accuracy" and the same for "val": the value at
        the end of each epoch, index i for epoch i + 1; loss and cost in nats, accuracy as a
        fraction of rows. A missing key draws no line, a value that is not finite leaves a gap.
    title
        Written over both panels.
    """
    with _one_at_a_time:
        return _drawn(curves, title)


@styled
def _drawn(curves: Mapping[str, Sequence[float]], title: str) -> Pixels:
    figure = _empty()
    ends: list[End] = []
    for axes, kind in zip(figure.axes, KINDS, strict=True):
        for old in [*axes.lines, *axes.texts]:
            old.remove()
        axes.relim()  # of the lines before, nothing is left
        axes.set_axis_on()
        ends += _fill(axes, kind, curves)
    picture = Image.fromarray(drawn(figure))
    write(picture, MARGIN, 23, title, size=TITLE_SIZE, bold=True, room=SIZE[0] - 2 * MARGIN)
    for end in ends:
        write(picture, end.x, end.y, end.words, colour=end.colour, anchor="lm", room=ROOM)
    return np.asarray(picture)


@cache
def _empty() -> Figure:
    """Panels without curves, with few ticks and fixed places, since the rest is soon drawn."""
    figure = new_figure(*SIZE)
    width, height = SIZE
    for kind in KINDS:
        place = (kind.left / width, BOTTOM / height, PANEL_WIDTH / width, PANEL_HEIGHT / height)
        axes = figure.add_axes(place)
        dress(axes)
        axes.tick_params(left=False, bottom=False)
        axes.margins(x=0.02)
        axes.set_title(kind.title, y=1.08)  # above what the ticks have in common
        axes.set_xlabel("epoch")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_label_coords(0.5, -0.15)
            axis.set_major_locator(_ticks(whole=axis is axes.xaxis))
            axis.set_major_formatter(ScalarFormatter(useOffset=True))
        axes.yaxis.get_offset_text().set_fontsize(SMALL_SIZE)
    return figure


def _ticks(*, whole: bool) -> MaxNLocator:
    return MaxNLocator(5, steps=[1, 2, 5, 10], integer=whole, min_n_ticks=1 if whole else 2)


def _fill(axes: Axes, kind: Kind, curves: Mapping[str, Sequence[float]]) -> list[End]:
    """Draw the curves of one panel; return the last value of each, to be written beside it."""
    lasts = []
    for quantity, split in product(kind.quantities, COLOURS):
        values = _finite(curves.get(f"{split}/{quantity}", ())) / kind.unit
        finite = np.flatnonzero(np.isfinite(values))
        if len(finite) == 0:
            continue
        last = int(finite[-1])
        axes.plot(
            np.arange(1, len(values) + 1),
            values,
            color=COLOURS[split],
            linestyle=STYLES[quantity],
            marker="o",
            markersize=3.5,
            markevery=[last],
        )
        name = WORDS[split] + (" cost" if quantity == "cost" else "")
        lasts.append((float(values[last]), f"{values[last]:{kind.end}} {name}", COLOURS[split]))
    if not lasts:
        say_instead(axes, "no values")
    low, high = axes.get_ylim()
    heights = [PANEL_HEIGHT * (value - low) / (high - low) for value, _, _ in lasts]
    return [
        End(words, colour, kind.left + PANEL_WIDTH + BESIDE, SIZE[1] - BOTTOM - height)
        for (_, words, colour), height in zip(lasts, spread(heights, gap=LINE_HEIGHT), strict=True)
    ]


def _finite(values: Sequence[float]) -> Floats:
    numbers = np.asarray(values, dtype=np.float64)
    return np.where(np.abs(numbers) < DIVERGED, numbers, np.nan)


def spread(positions: Sequence[float], *, gap: float) -> list[float]:
    """Positions in the same order, moved up just so far that any two are `gap` apart."""
    moved = list(positions)
    floor = -np.inf
    for i in np.argsort(positions, kind="stable"):
        moved[i] = max(positions[i], floor)
        floor = moved[i] + gap
    return moved

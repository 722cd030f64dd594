"""Loss, cost and accuracy of one training, epoch by epoch."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sweep.figures.lettering import label
from sweep.figures.panel import Panel, around, decimal, percent
from sweep.figures.picture import WIDTH, Picture, length
from sweep.figures.style import BLUE, GREY, TITLE_SIZE, VERMILLION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from model.arrays import Floats
    from sweep.figures.weight_colours import Pixels

COLOURS: Final = {"train": BLUE, "val": VERMILLION}
WORDS: Final = {"train": "training", "val": "validation"}
DASHES: Final = {"cost": (3.0, 1.5)}
DIVERGED: Final = 1e100  # differences of larger numbers overflow
SIZE: Final = (900, 400)
PANEL: Final = 338  # the width of one
TOP: Final = 60
BOTTOM: Final = 320
LEGEND: Final = 386
SAMPLE: Final = 34  # the length of a line in the legend
SPACE: Final = 8
LINE_HEIGHT: Final = 15


class Curve(NamedTuple):
    """One line of a panel: its name in the legend and its values (epochs,), NaN for a gap."""

    name: str
    values: Floats
    colour: str
    dashes: tuple[float, ...]


class Kind(NamedTuple):
    """One panel: its left edge, its title, how a tick is written and how the end of a line."""

    left: int
    title: str
    tick: Callable[[float, float], str]
    end: str


LOSSES: Final = Kind(54, "Loss and cost (nats)", decimal, "{:#.4g}")
ACCURACIES: Final = Kind(500, "Accuracy", percent, "{:.1%}")


def curves_figure(curves: Mapping[str, Sequence[float]], *, title: str) -> Pixels:
    """Loss and cost beside accuracy, training against validation, uint8 (400, 900, 3).

    Parameters
    ----------
    curves
        Under "train/loss", "train/cost", "train/accuracy" and the same for "val": the value at
        the end of each epoch, index i for epoch i + 1; loss and cost in nats, accuracy as a
        fraction of rows. A missing key draws no line, a value that is not finite leaves a gap.
    title
        Written over both panels.
    """
    return curves_picture(curves, title=title).pixels()


def curves_picture(curves: Mapping[str, Sequence[float]], *, title: str) -> Picture:
    """What `curves_figure` shows, with its words and lines still apart."""
    picture = Picture(*SIZE)
    picture.write(11, 20, label(title), size=TITLE_SIZE, bold=True, room=SIZE[0] - 22)
    losses, accuracies = _curves(curves, "loss", "cost"), _curves(curves, "accuracy")
    epochs = max((len(values) for values in curves.values()), default=0)
    _draw(picture, LOSSES, losses, epochs)
    _draw(picture, ACCURACIES, accuracies, epochs)
    _legend(picture, list({curve.name: curve for curve in losses + accuracies}.values()))
    return picture


def _curves(curves: Mapping[str, Sequence[float]], *quantities: str) -> list[Curve]:
    found = []
    for quantity, (split, colour) in product(quantities, COLOURS.items()):
        values = _finite(curves.get(f"{split}/{quantity}", ()))
        if np.isfinite(values).any():
            name = WORDS[split] + (" cost" if quantity == "cost" else "")
            found.append(Curve(name, values, colour, DASHES.get(quantity, ())))
    return found


def _finite(values: Sequence[float]) -> Floats:
    numbers = np.asarray(values, dtype=np.float64)
    return np.where(np.abs(numbers) < DIVERGED, numbers, np.nan)


def _draw(picture: Picture, kind: Kind, curves: Sequence[Curve], epochs: int) -> None:
    """Draw one panel with the last value of each line at its end."""
    left, right = kind.left, kind.left + PANEL
    if not curves:
        picture.write((left + right) / 2, (TOP + BOTTOM) / 2, "no values", anchor="mm", colour=GREY)
        return
    finite = np.concatenate([curve.values[np.isfinite(curve.values)] for curve in curves])
    panel = Panel(
        picture=picture,
        left=left,
        right=right,
        top=TOP,
        bottom=BOTTOM,
        xs=(1 - min(0.5, 0.02 * epochs), max(epochs, 1.5)),
        ys=around(finite.tolist()),
    )
    panel.dress(title=kind.title, word=kind.tick)
    ends = []
    for curve in curves:
        points = panel.at(np.arange(1, len(curve.values) + 1), curve.values)
        picture.line(points, curve.colour, dashes=curve.dashes)
        last = int(np.flatnonzero(np.isfinite(curve.values))[-1])
        x, y = points[last]
        picture.dot(x, y, curve.colour)
        ends.append((x, y, kind.end.format(curve.values[last]), curve.colour))
    heights = spread([-y for _, y, _, _ in ends], gap=LINE_HEIGHT)
    for (x, _, words, colour), height in zip(ends, heights, strict=True):
        picture.write(x + 7, -height, words, anchor="lm", colour=colour)


def _legend(picture: Picture, curves: Sequence[Curve]) -> None:
    """Name each kind of line under the panels, in the middle."""
    widths = [SAMPLE + SPACE + length(curve.name) + 3 * SPACE for curve in curves]
    x = (picture.width - sum(widths) + 3 * SPACE) / 2
    for curve, width in zip(curves, widths, strict=True):
        sample = np.array([[x, LEGEND - 4.5], [x + SAMPLE, LEGEND - 4.5]])
        picture.line(sample, curve.colour, dashes=curve.dashes, width=WIDTH)
        picture.write(x + SAMPLE + SPACE, LEGEND, curve.name)
        x += width


def spread(positions: Sequence[float], *, gap: float) -> list[float]:
    """Positions in the same order, moved up just so far that any two are `gap` apart."""
    moved = list(positions)
    floor = -np.inf
    for i in np.argsort(positions, kind="stable"):
        moved[i] = max(positions[i], floor)
        floor = moved[i] + gap
    return moved

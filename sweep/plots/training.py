"""One training: its learning curves, and the weights of each class seen as an image."""

from __future__ import annotations

import math
from functools import cache, lru_cache
from itertools import product
from threading import Lock
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.ticker import MaxNLocator, ScalarFormatter
from PIL import Image

from sweep.plots.style import (
    BLUE,
    GREY,
    PIXELS_PER_POINT,
    SMALL_SIZE,
    TITLE_SIZE,
    VERMILLION,
    dress,
    new_figure,
    pixels_of,
    say_instead,
    styled,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from sweep.plots.style import Pixels
    from sweep_model import Floats

COLOURS: Final = {"train": BLUE, "val": VERMILLION}
WORDS: Final = {"train": "training", "val": "validation"}
LINES: Final = {"loss": "-", "cost": "--", "accuracy": "-"}
DIVERGED: Final = 1e100  # differences of larger numbers overflow
SIZE: Final = (940, 360)  # pixels, as all lengths below
PANEL_WIDTH: Final = 270
PANEL_HEIGHT: Final = 220
BOTTOM: Final = 60
LINE_HEIGHT: Final = 15
MARGIN: Final = 11
BESIDE: Final = 8  # between a panel and the words to its right
ROOM: Final = 165  # for these words

DIVERGING: Final = "coolwarm"  # its middle is a light grey, and it reads well without red or green
RGB_CHANNELS: Final = 3
COVERED: Final = 0.995  # a handful of extreme weights would leave all the others grey
FULL: Final = 111
"""Steps from 0 to full colour in the palette, so that 0 has a colour of its own."""
SIDE: Final = 700  # pixels of the square; MLflow shows it as a small one until one asks for more
LARGEST_CELL: Final = 256
SMALLEST_CELL: Final = 64  # of very many images the picture grows beyond the square
GAP: Final = 8
NAME_SHARE: Final = 0.15  # of a cell's width, so that a name is read where the picture is small
LINE_SHARE: Final = 1.35  # height of a line in sizes of its font
HEADER: Final = 40  # pixels above the weight images, for the title
FOOTER: Final = 28  # and below them, for the caption
COLOUR_BAR: Final = 100  # and to their right, where there is one
BAR: Final = 16


class Panel(NamedTuple):
    """A panel of curves: its left edge, title, quantities, unit, and format of the last values."""

    left: int
    title: str
    quantities: tuple[str, ...]
    unit: float
    last: str


PANELS: Final = (
    Panel(58, "Loss and, dashed, cost (nats)", ("loss", "cost"), 1.0, "#.4g"),
    Panel(540, "Accuracy (%)", ("accuracy",), 0.01, ".1f"),
)
_one_at_a_time: Final = Lock()


def curves_figure(curves: Mapping[str, Sequence[float]], *, title: str) -> Pixels:
    """Loss and cost beside accuracy, training against validation, uint8 (360, 940, 3).

    Each line has a dot at its last value, which is written beside the panel with the line's name.
    Every trial draws one, so the panels are made once: axes and ticks made anew would take as long
    as the drawing.

    Parameters
    ----------
    curves
        Under "train/loss", "train/cost", "train/accuracy" and the same for "val": the value at
        the end of each epoch, index i for epoch i + 1; loss and cost in nats, accuracy as a
        fraction of rows. A missing key draws no line, a value that is not finite leaves a gap;
        "val/accuracy_sd" and the like draw a band around theirs.
    title
        Written over both panels.
    """
    with _one_at_a_time:
        return _curves(curves, title)


@styled
def _curves(curves: Mapping[str, Sequence[float]], title: str) -> Pixels:
    figure = _panels()
    names = []
    for axes, panel in zip(figure.axes, PANELS, strict=True):
        for old in [*axes.lines, *axes.texts, *axes.collections]:
            old.remove()
        axes.relim()  # of the lines before, nothing is left
        axes.set_axis_on()
        names.append(_lines(axes, panel, curves))
    picture = Image.fromarray(pixels_of(figure))
    write(picture, MARGIN, 23, title, size=TITLE_SIZE, bold=True, room=SIZE[0] - 2 * MARGIN)
    for panel, lines in zip(PANELS, names, strict=True):
        x = panel.left + PANEL_WIDTH + BESIDE
        heights = spread([height for height, _, _ in lines], gap=LINE_HEIGHT)
        for height, (_, words, colour) in zip(heights, lines, strict=True):
            y = SIZE[1] - BOTTOM - height
            write(picture, x, y, words, colour=colour, anchor="lm", room=ROOM)
    return np.asarray(picture)


@cache
def _panels() -> Figure:
    """Panels without curves, with few ticks, since the rest is soon drawn."""
    figure = new_figure(*SIZE)
    width, height = SIZE
    for panel in PANELS:
        axes = figure.add_axes(
            (panel.left / width, BOTTOM / height, PANEL_WIDTH / width, PANEL_HEIGHT / height)
        )
        dress(axes)
        axes.tick_params(left=False, bottom=False)
        axes.margins(x=0.02)
        axes.set_title(panel.title, y=1.08)  # above what the ticks have in common
        axes.set_xlabel("epoch")
        axes.xaxis.set_label_coords(0.5, -0.15)
        steps = [1, 2, 5, 10]
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=steps, integer=True, min_n_ticks=1))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=steps))
        axes.yaxis.set_major_formatter(ScalarFormatter(useOffset=True))
        axes.yaxis.get_offset_text().set_fontsize(SMALL_SIZE)
    return figure


def _lines(
    axes: Axes, panel: Panel, curves: Mapping[str, Sequence[float]]
) -> list[tuple[float, str, str]]:
    """Draw the curves of one panel; return height, words and colour of each one's last value."""
    lasts = []
    for quantity, split in product(panel.quantities, COLOURS):
        values = np.asarray(curves.get(f"{split}/{quantity}", ()), dtype=np.float64)
        values = np.where(np.abs(values) < DIVERGED, values, np.nan) / panel.unit
        finite = np.flatnonzero(np.isfinite(values))
        if len(finite) == 0:
            continue
        last = int(finite[-1])
        axes.plot(
            np.arange(1, len(values) + 1),
            values,
            color=COLOURS[split],
            linestyle=LINES[quantity],
            marker="o",
            markersize=3.5,
            markevery=[last],
        )
        spread_by = np.asarray(curves.get(f"{split}/{quantity}_sd", ()), dtype=np.float64)
        if len(spread_by) == len(values):  # of folds
            axes.fill_between(
                np.arange(1, len(values) + 1),
                values - spread_by / panel.unit,
                values + spread_by / panel.unit,
                color=COLOURS[split],
                alpha=0.2,
                linewidth=0,
            )
        name = WORDS[split] + (" cost" if quantity == "cost" else "")
        lasts.append((float(values[last]), f"{values[last]:{panel.last}} {name}", COLOURS[split]))
    if not lasts:
        say_instead(axes, "no values")
    low, high = axes.get_ylim()
    return [
        (PANEL_HEIGHT * (value - low) / (high - low), words, colour)
        for value, words, colour in lasts
    ]


def spread(positions: Sequence[float], *, gap: float) -> list[float]:
    """Positions in the same order, moved up just so far that any two are `gap` apart."""
    moved = list(positions)
    floor = -np.inf
    for i in np.argsort(positions, kind="stable"):
        moved[i] = max(positions[i], floor)
        floor = moved[i] + gap
    return moved


def weight_values(weights: Floats, image_shape: tuple[int, int, int]) -> Floats:
    """The weights (k, d) of k classes as images: (k, height, width, 3) or (k, height, width).

    Three channels are kept apart, any other number is averaged into one.

    Raises
    ------
    ValueError
        The weights are not (k, channels * height * width).
    """
    if weights.shape[1:] != (np.prod(image_shape),):
        raise ValueError(f"weights must be (k, d) with d of {image_shape=}, got {weights.shape}")
    values = np.moveaxis(weights.reshape(-1, *image_shape), 1, -1)
    if image_shape[0] == RGB_CHANNELS:
        return values
    with np.errstate(invalid="ignore"):  # inf in one channel, -inf in another
        return np.asarray(values.mean(axis=-1))


def colour_limit(values: Floats) -> float:
    """The size of weight that gets the full colour: 99.5 % of the finite ones are no larger.

    Where so many weights are 0 that this would be 0, their maximum; 1 where all are 0.
    """
    sizes = np.abs(values[np.isfinite(values)])
    if not sizes.any():
        return 1.0
    return float(np.quantile(sizes, COVERED)) or float(sizes.max())


def weights_montage(values: Floats, names: Sequence[str], *, limit: float) -> Image.Image:
    """The images of `weight_values`, scaled up in a square, each under the name of its class.

    Three channels become 0.5 + value / (2 limit), channel by channel, so that 0 is mid grey; one
    channel becomes a picture with a palette, blue below 0 and red above, whose file is written in
    a sixth of the time. Values beyond the limit get the full colour, NaN that of 0. Each pixel
    becomes a square of equal pixels; images too large for the picture lose pixels instead.

    Raises
    ------
    ValueError
        There is not one name for each class.
    """
    if len(values) != len(names):
        raise ValueError(f"{len(values)} classes need as many names, got {len(names)}")
    full = 127.5 if values.ndim > RGB_CHANNELS else float(FULL)
    shares = np.nan_to_num(np.clip(values / limit, -1.0, 1.0), nan=0.0)
    images = np.rint(full + full * shares).astype(np.uint8)
    height, width = values.shape[1:3]
    mode = "RGB" if values.ndim > RGB_CHANNELS else "P"
    empty, cell, corners = _named_cells(tuple(names), height, width, mode)
    picture = empty.copy()
    for image, corner in zip(images, corners, strict=True):
        picture.paste(Image.fromarray(image).resize(cell, Image.Resampling.NEAREST), corner)
    return picture


@lru_cache(maxsize=8)
def _named_cells(
    names: tuple[str, ...], height: int, width: int, mode: str
) -> tuple[Image.Image, tuple[int, int], list[tuple[int, int]]]:
    """The montage without its images, which all trainings of a study have in common.

    Also the width and height of a cell, and the upper left corner of each.
    """
    count = len(names)

    def scale(columns: int) -> float:
        """How far images can be scaled up until so many, under their names, fill the square."""
        across = (SIDE - GAP) / columns - GAP
        down = (SIDE - GAP) / math.ceil(count / columns) - GAP
        name = LINE_SHARE * SMALL_SIZE * PIXELS_PER_POINT
        return min(
            across / width,
            (down - name) / height,
            down / (height + LINE_SHARE * NAME_SHARE * width),
            LARGEST_CELL / max(height, width),
        )

    columns = max(range(1, count + 1), key=lambda each: (scale(each), -(-count % each), each))
    factor = max(scale(columns), SMALLEST_CELL / max(height, width))
    factor = math.floor(factor) if factor >= 1 else factor
    cell = max(1, round(factor * width)), max(1, round(factor * height))
    size = max(NAME_SHARE * cell[0], SMALL_SIZE * PIXELS_PER_POINT)
    line = round(LINE_SHARE * size)
    step = cell[0] + GAP, line + cell[1] + GAP
    corners = [
        (GAP + (i % columns) * step[0], GAP + (i // columns) * step[1] + line) for i in range(count)
    ]
    rows = math.ceil(count / columns)
    picture = Image.new("RGB", (GAP + columns * step[0], GAP + rows * step[1]), "white")
    for name, (left, top) in zip(names, corners, strict=True):
        points = size / PIXELS_PER_POINT
        write(picture, left, top - 0.3 * size, name, size=points, room=cell[0])
    if mode == "P":
        colours = Image.new("P", (1, 1))
        colours.putpalette(palette().tobytes())
        picture = picture.quantize(palette=colours, dither=Image.Dither.NONE)
    return picture, cell, corners


def palette() -> Pixels:
    """The colours (256, 3) of one channel, blue below 0 and red above, then greys for words."""
    weights = colormaps[DIVERGING](np.linspace(0, 1, 2 * FULL + 1), bytes=True)[:, :3]
    greys = np.linspace(0, 255, 256 - len(weights)).astype(np.uint8)
    return np.concatenate([weights, np.repeat(greys[:, None], 3, axis=1)])


def weights_figure(
    weights: Floats,
    class_names: Sequence[str],
    image_shape: tuple[int, int, int],
    *,
    title: str,
    limit: float | None = None,
) -> Pixels:
    """The weight images under a title, with the scale of their colours, uint8 (height, width, 3).

    Parameters
    ----------
    weights
        (k, d) in channel, row, column order for `image_shape`.
    class_names
        One for each class.
    image_shape
        Channels, height, width.
    title
        Written over them.
    limit
        The size of weight with the full colour, of the whole training; by default that which suits
        these weights, see `colour_limit`.

    Raises
    ------
    ValueError
        The weights do not have that shape, or there is not one name for each class.
    """
    shared = "classes" if limit is None else "classes and epochs"
    values = weight_values(weights, image_shape)
    limit = limit or colour_limit(values)
    montage = weights_montage(values, class_names, limit=limit)
    has_bar = montage.mode == "P"
    width = montage.width + (COLOUR_BAR if has_bar else 0)
    bottom = HEADER + montage.height
    figure = Image.new("RGB", (width, bottom + FOOTER), "white")
    figure.paste(montage, (0, HEADER))
    room = width - 2 * GAP
    write(figure, GAP, 23, f"{title}: weights of each class", size=TITLE_SIZE, bold=True, room=room)
    zero = "light grey" if has_bar else "mid grey"
    caption = (
        f"weight 0 is {zero}, full colour from \N{PLUS-MINUS SIGN}{limit:.2g}, for all {shared}"
    )
    write(figure, GAP, bottom + 16, caption, colour=GREY, room=room)
    if has_bar:
        _colour_bar(figure, limit, montage.width + GAP, HEADER + 2 * GAP, bottom - 2 * GAP)
    return np.asarray(figure)


def _colour_bar(figure: Image.Image, limit: float, left: int, top: int, bottom: int) -> None:
    """Draw the colours from `-limit` below to `limit` above, with three weights beside them."""
    colours = palette()[: 2 * FULL + 1][::-1, None]
    bar = Image.fromarray(colours).resize((BAR, bottom - top), Image.Resampling.BILINEAR)
    figure.paste(bar, (left, top))
    ends = (0.0, f"+{limit:.2g}"), (0.5, "0"), (1.0, f"\N{MINUS SIGN}{limit:.2g}")
    for share, words in ends:
        y = top + share * (bottom - top)
        write(figure, left + BAR + GAP, y, words, anchor="lm", room=COLOUR_BAR - BAR - 2 * GAP)

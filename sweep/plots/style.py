"""One look for all figures, and no matplotlib.pyplot: its figures are global and never freed."""

from __future__ import annotations

import threading
import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps, rc_context, rcParamsDefault
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.typing import RcKeyType
    from PIL.ImageFont import FreeTypeFont

Pixels: TypeAlias = npt.NDArray[np.uint8]

DRAWING: Final = threading.RLock()
"""Held by whoever draws where another thread may: matplotlib's settings are the process's."""

# Okabe and Ito, "Color Universal Design": told apart by every kind of colour vision.
BLUE: Final = "#0072B2"
VERMILLION: Final = "#D55E00"
GREEN: Final = "#009E73"
INK: Final = "#222222"
GREY: Final = "#666666"
PALE: Final = "#9A9A9A"
HAIRLINE: Final = "#E4E4E4"
SEQUENTIAL: Final = "viridis_r"  # dark is more, since pale yellow is lost on white
FAMILIES: Final = ("Blues", "Oranges", "Greens", "Purples")

DPI: Final = 100
WIDTH: Final = 900
FONT: Final = "DejaVu Sans"  # comes with matplotlib, so a figure looks the same everywhere
TEXT_SIZE: Final = 10.0
SMALL_SIZE: Final = 9.0
TITLE_SIZE: Final = 12.0
PIXELS_PER_POINT: Final = DPI / 72
LONGEST: Final = 80
ELLIPSIS: Final = "\N{HORIZONTAL ELLIPSIS}"
UNITS: Final = {
    "balanced_accuracy": "mean fraction of a class",
    "weighted_accuracy": "fraction of weighted rows",
    "accuracy": "fraction of rows",
    "loss": "nats",
}

RC: Final[dict[RcKeyType, Any]] = {
    # matplotlib's defaults before the user's own; looking up "backend" would import pyplot
    **{key: rcParamsDefault[key] for key in rcParamsDefault if key != "backend"},
    "axes.edgecolor": GREY,
    "axes.formatter.useoffset": False,  # "+4.1e-1" in a corner is overlooked
    "axes.labelcolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": TEXT_SIZE,
    "axes.titley": 1.02,  # looking for a free height costs a tenth of the drawing time
    "figure.constrained_layout.h_pad": 0.09,
    "figure.constrained_layout.use": False,
    "figure.constrained_layout.w_pad": 0.07,
    "figure.facecolor": "white",
    "figure.titlesize": TITLE_SIZE,
    "figure.titleweight": "bold",
    "font.family": FONT,
    "font.size": TEXT_SIZE,
    "legend.fontsize": SMALL_SIZE,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "lines.linewidth": 1.8,
    "text.color": INK,
    "text.parse_math": False,
    "text.usetex": False,
}

styled = rc_context(RC)
"""Decorator: the function draws in this style, whatever the user's matplotlibrc says."""


def new_figure(width: int, height: int, *, layout: Literal["constrained"] | None = None) -> Figure:
    """A figure of `width` x `height` pixels that no global state knows of.

    The "constrained" layout keeps every label inside the figure, but doubles the drawing time.
    """
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def pixels_of(figure: Figure) -> Pixels:
    """What a figure looks like, uint8 (height, width, 3)."""
    figure.canvas.draw()
    shown = np.asarray(figure.canvas.buffer_rgba())  # type: ignore[attr-defined]  # of Agg
    return shown[..., :3].copy()


def dress(axes: Axes) -> None:
    """Give `axes` its frame, grid and ticks.

    matplotlib makes ticks when it draws: after the style has been left, so `RC` does not reach
    them.
    """
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    axes.grid(visible=True, color=HAIRLINE, linewidth=0.8, linestyle="-", alpha=1.0)
    axes.tick_params(
        color=GREY,
        direction="out",
        labelcolor=INK,
        labelfontfamily=FONT,
        labelsize=SMALL_SIZE,
        length=3,
        pad=3.5,
        width=0.8,
    )


def result_colours(count: int, family: int = 0) -> list[str]:
    """Colours as "#rrggbb" for results in order, the best first and darkest.

    Results of another family have another hue: that of the `FAMILIES` whose turn it is.
    """
    scale = colormaps[FAMILIES[family % len(FAMILIES)]]
    return [to_hex(shade) for shade in scale(np.linspace(1, 0.4, count))]  # paler is lost on white


def label(text: object, longest: int = LONGEST) -> str:
    """`text` as it can be drawn: one line, no control characters, at most `longest` characters.

    A character that the font lacks becomes "?", since matplotlib warns of each one.
    """
    line = " ".join(str(text).split())
    visible = "".join(sign for sign in line if not unicodedata.category(sign).startswith("C"))
    if len(visible) > longest:
        visible = visible[: longest - 1] + ELLIPSIS
    return "".join(sign if ord(sign) in _drawable() else "?" for sign in visible)


def with_unit(metric: str) -> str:
    """A metric's name with the unit that its kind has."""
    unit = next((unit for kind, unit in UNITS.items() if metric.endswith(kind)), None)
    return label(metric) if unit is None else f"{label(metric)} ({unit})"


def headline(figure: Figure, title: str, caption: str) -> None:
    """Write a title over the figure and, smaller and grey, a caption under it."""
    figure.suptitle(label(title), x=0.012, ha="left")
    figure.supxlabel(caption, x=0.012, ha="left", color=GREY, fontsize=SMALL_SIZE)


def say_instead(axes: Axes, reason: str) -> None:
    """Leave `axes` empty but for the reason why there is nothing to draw."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, reason, transform=axes.transAxes, ha="center", va="center", color=GREY)


def write(
    picture: Image.Image,
    x: float,
    y: float,
    text: str,
    *,
    room: float,
    size: float = SMALL_SIZE,
    bold: bool = False,
    colour: str = INK,
    anchor: Literal["ls", "lm"] = "ls",
) -> None:
    """Write `text` on a picture of Pillow's, in a tenth of the time that matplotlib takes.

    It begins at `x`; `y` is its baseline ("ls") or its middle ("lm"), in pixels from the top. What
    is longer than `room` pixels ends in an ellipsis.
    """
    font, words = _font(size, bold=bold), label(text)
    while len(words) > 1 and font.getlength(words) > room:
        words = words[:-2].rstrip() + ELLIPSIS
    ImageDraw.Draw(picture).text((x, y), words, fill=colour, font=font, anchor=anchor)


@cache
def _font(size: float, *, bold: bool) -> FreeTypeFont:
    file = findfont(FontProperties(family=FONT, weight="bold" if bold else "normal"))
    pixels = size * PIXELS_PER_POINT
    return ImageFont.truetype(file, pixels, layout_engine=ImageFont.Layout.BASIC)


@cache
def _drawable() -> frozenset[int]:
    return frozenset(get_font(findfont(FONT)).get_charmap())

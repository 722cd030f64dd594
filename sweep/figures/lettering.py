"""Words on figures: whatever a user calls a thing, it is drawn, on one line and in its place."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Final, Literal

from matplotlib.font_manager import FontProperties, findfont, get_font
from PIL import Image, ImageDraw, ImageFont

from sweep.figures.style import DPI, FONT, GREY, INK, SMALL_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from PIL.ImageFont import FreeTypeFont

LABEL_LIMIT: Final = 80
ELLIPSIS: Final = "\N{HORIZONTAL ELLIPSIS}"
POINTS_PER_INCH: Final = 72
UNITS: Final = {"accuracy": "fraction of rows", "loss": "nats", "cost": "nats"}


def label(text: object) -> str:
    """`text` as it can be drawn: one line, no control characters, at most 80 characters.

    A character that the font lacks becomes "?", since matplotlib warns of each one.
    """
    line = " ".join(str(text).split())
    visible = "".join(sign for sign in line if not unicodedata.category(sign).startswith("C"))
    if len(visible) > LABEL_LIMIT:
        visible = visible[: LABEL_LIMIT - 1] + ELLIPSIS
    return "".join(sign if ord(sign) in _drawable() else "?" for sign in visible)


def with_unit(metric: str) -> str:
    """A metric's name as it can be drawn, with the unit that its kind has."""
    unit = next((unit for kind, unit in UNITS.items() if metric.endswith(kind)), None)
    return label(metric) if unit is None else f"{label(metric)} ({unit})"


def headline(figure: Figure, title: str, caption: str) -> None:
    """Write a title over the figure and, smaller and grey, a caption under it."""
    width = figure.bbox.width
    fit(figure.suptitle(label(title), x=0.012, ha="left"), 0.97 * width)
    text = figure.supxlabel(caption, x=0.012, ha="left", color=GREY, fontsize=SMALL_SIZE)
    fit(text, 0.97 * width)


def say_instead(axes: Axes, reason: str) -> None:
    """Leave `axes` empty but for the reason why there is nothing to draw."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, reason, transform=axes.transAxes, ha="center", va="center", color=GREY)


def fit(text: Text, length: float) -> None:
    """Shorten `text`, which belongs to a figure, until it is at most `length` pixels long.

    It may be upright. Its first character stays whatever the length.
    """

    def drawn(words: str) -> float:
        text.set_text(words)
        return max(text.get_window_extent().size)

    text.set_text(shortened(text.get_text(), length, drawn))


def shortened(text: str, length: float, drawn: Callable[[str], float]) -> str:
    """`text`, cut until it is at most `length` pixels long, as `drawn` tells of any words.

    Its first character stays whatever the length.
    """
    shown, kept = text, text
    while len(kept) > 1 and (long := drawn(shown)) > length:
        kept = kept[: max(1, min(len(kept) - 1, int(len(kept) * length / long)))]
        shown = kept.rstrip() + ELLIPSIS
    return shown


def fit_ticks(axis: Axis, width: float) -> None:
    """Shorten the fixed tick labels of `axis`, each to at most `width` pixels."""
    labels = axis.get_ticklabels()
    for text in labels:
        fit(text, width)
    # drawing writes them anew, from this list
    axis.set_ticklabels([text.get_text() for text in labels])


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
    """Write `text`, shortened until it is at most `room` pixels long, on a picture of Pillow's.

    It begins at `x`; `y` is its baseline ("ls") or its middle ("lm"), in pixels from the top.
    """
    font = _font(size, bold=bold)
    words = shortened(label(text), room, font.getlength)
    ImageDraw.Draw(picture).text((x, y), words, fill=colour, font=font, anchor=anchor)


@cache
def _font(size: float, *, bold: bool) -> FreeTypeFont:
    file = findfont(FontProperties(family=FONT, weight="bold" if bold else "normal"))
    pixels = size * DPI / POINTS_PER_INCH
    return ImageFont.truetype(file, pixels, layout_engine=ImageFont.Layout.BASIC)


@cache
def _drawable() -> frozenset[int]:
    return frozenset(get_font(findfont(FONT)).get_charmap())

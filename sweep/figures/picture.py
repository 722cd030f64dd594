"""A picture drawn in a few milliseconds: lines by Agg, words by FreeType, no axes in between.

A figure of matplotlib's costs 100 ms, nearly all of it in ticks and texts; one is drawn for every
trial of a study, so that would be more than its training takes.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from pathlib import Path as File
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.path import Path
from matplotlib.transforms import Affine2D
from PIL import Image, ImageDraw, ImageFont

from sweep.figures.lettering import ELLIPSIS
from sweep.figures.style import DPI, INK, SMALL_SIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.ImageFont import FreeTypeFont

    from model.arrays import Floats
    from sweep.figures.weight_colours import Pixels

Anchor: TypeAlias = Literal["ls", "ms", "rs", "lm", "mm", "rm"]
"""Which point of the words is given: left, middle, right; on the baseline (s) or its middle (m)."""

POINTS_PER_INCH: Final = 72
WIDTH: Final = 1.8  # of a line, in points
DOT: Final = 3.5  # the diameter of an end point, in points


class Words(NamedTuple):
    """A line of text and where it stands, in pixels."""

    x: float
    y: float
    text: str
    anchor: Anchor
    colour: str
    size: float
    bold: bool


class Line(NamedTuple):
    """A line that was drawn, as it was asked for."""

    points: Floats
    colour: str
    dashes: tuple[float, ...]


class Picture:
    """White paper of `width` x `height` pixels; (0, 0) is its upper left corner, y runs down."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self.words: list[Words] = []
        self.lines: list[Line] = []
        self._pasted: list[tuple[Pixels, int, int]] = []
        self._down = Affine2D().scale(1, -1).translate(0, height)

    @cached_property
    def _agg(self) -> Any:
        agg: Any = RendererAgg(self.width, self.height, DPI)  # type: ignore[no-untyped-call]  # matplotlib's stubs leave it open
        np.asarray(agg.buffer_rgba())[:] = 255  # its own paper is transparent
        return agg

    def line(
        self,
        points: Floats,
        colour: str,
        *,
        width: float = WIDTH,
        dashes: Sequence[float] = (),
    ) -> None:
        """Draw a line through (n, 2) pixels, `width` points wide, `dashes` in widths.

        NaN leaves a gap. An upright or level one fills whole pixels, from its place on.
        """
        self.lines.append(Line(points, colour, tuple(dashes)))
        pen = self._agg.new_gc()
        pen.set_foreground(colour)
        pen.set_linewidth(width)
        if dashes:
            pen.set_dashes(0, np.multiply(dashes, width))
        self._agg.draw_path(pen, Path(points), self._down)

    def dot(self, x: float, y: float, colour: str) -> None:
        """Draw a small disc around a pixel."""
        pen = self._agg.new_gc()
        pen.set_foreground(colour)
        size = DOT / 2 * DPI / POINTS_PER_INCH
        place = Affine2D().scale(size).translate(x, y) + self._down
        self._agg.draw_path(pen, Path.unit_circle(), place, mpl.colors.to_rgba(colour))

    def write(
        self,
        x: float,
        y: float,
        text: str,
        *,
        anchor: Anchor = "ls",
        colour: str = INK,
        size: float = SMALL_SIZE,
        bold: bool = False,
        room: float | None = None,
    ) -> None:
        """Write one line, shortened until it is at most `room` pixels long."""
        if room is not None:
            text = fitted(text, room, size=size, bold=bold)
        self.words.append(Words(x, y, text, anchor, colour, size, bold))

    def paste(self, image: Pixels, left: int, top: int) -> None:
        """Lay an image over the lines, pixel by pixel."""
        self._pasted.append((image, left, top))

    def pixels(self) -> Pixels:
        """Return what is drawn, uint8 (height, width, 3)."""
        if "_agg" in vars(self):
            paper = np.asarray(self._agg.buffer_rgba())[..., :3].copy()
        else:  # without a line
            paper = np.full((self.height, self.width, 3), 255, dtype=np.uint8)
        for image, left, top in self._pasted:
            height, width = image.shape[:2]
            paper[top : top + height, left : left + width] = image
        picture = Image.fromarray(paper)
        pen = ImageDraw.Draw(picture)
        for x, y, text, anchor, colour, size, bold in self.words:
            pen.text((x, y), text, fill=colour, font=_font(size, bold=bold), anchor=anchor)
        return np.asarray(picture)

    def boxes(self) -> list[tuple[float, float, float, float]]:
        """Left, top, right and bottom of every word's ink, in pixels."""
        return [
            _offset(_font(size, bold=bold).getbbox(text, anchor=anchor), x, y)
            for x, y, text, anchor, _, size, bold in self.words
        ]


def _offset(
    box: tuple[float, float, float, float], x: float, y: float
) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    return left + x, top + y, right + x, bottom + y


def length(text: str, *, size: float = SMALL_SIZE, bold: bool = False) -> float:
    """How many pixels long `text` is drawn."""
    return _font(size, bold=bold).getlength(text)


def fitted(text: str, room: float, *, size: float = SMALL_SIZE, bold: bool = False) -> str:
    """`text`, shortened until it is at most `room` pixels long; its first character stays."""
    shown, kept = text, text
    while len(kept) > 1 and (drawn := length(shown, size=size, bold=bold)) > room:
        kept = kept[: max(1, min(len(kept) - 1, int(len(kept) * room / drawn)))]
        shown = kept.rstrip() + ELLIPSIS
    return shown


@lru_cache
def _font(size: float, *, bold: bool) -> FreeTypeFont:
    """Return the font that comes with matplotlib, so that a picture looks the same everywhere."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(
        File(mpl.get_data_path(), "fonts", "ttf", name),
        size * DPI / POINTS_PER_INCH,
        layout_engine=ImageFont.Layout.BASIC,
    )

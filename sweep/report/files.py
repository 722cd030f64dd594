"""Figures as files: sharp on a dense screen, and small enough to travel within a page."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Final, TypeAlias

import matplotlib as mpl
import numpy as np
from PIL import Image

from sweep.figures.style import DPI, RC
from sweep.report.facts import Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sweep.figures.weight_colours import Pixels

DENSITY: Final = 2
"""Pixels of a file to one of the page."""
COLOURS: Final = 256
"""Of a palette: lines and words need no more, and the file is a third to a half as long."""
SVG: Final = {
    **RC,
    "svg.fonttype": "path",  # no font of the reader's, so a figure looks the same everywhere
    "svg.hashsalt": "sweep",  # names of parts, drawn at random without it
    "svg.image_inline": True,
}
PREAMBLE: Final = re.compile(rb"^.*?(?=<svg )|\s*<metadata>.*?</metadata>", re.DOTALL)
"""What names addresses elsewhere and draws nothing."""
Drawn: TypeAlias = "Figure | Pixels"


def picture(drawn: Drawn, *, name: str, caption: str, alt: str) -> Picture:
    """Return a figure, or the pixels (height, width, 3) of one, as a PNG or SVG file."""
    if isinstance(drawn, np.ndarray):
        height, width = drawn.shape[:2]
        kind, content = "png", _png(Image.fromarray(drawn))
    else:
        width, height = (round(length) for length in drawn.bbox.size)
        bitmap, vectors = _bitmap(drawn), _vectors(drawn)
        kind, content = ("png", bitmap) if len(bitmap) <= len(vectors) else ("svg", vectors)
    return Picture(
        name=name, caption=caption, alt=alt, kind=kind, content=content, width=width, height=height
    )


def _bitmap(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DENSITY * DPI)
    image = Image.open(file).convert("RGB")
    method = Image.Quantize.MAXCOVERAGE  # moved a colour by at most 18 of 255, the default by 62
    return _png(image.quantize(COLOURS, method, dither=Image.Dither.NONE))


def _vectors(figure: Figure) -> bytes:
    file = io.BytesIO()
    with mpl.rc_context(SVG):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return PREAMBLE.sub(b"", file.getvalue())


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()

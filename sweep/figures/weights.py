"""The weights of each class, seen as an image: what the classifier looks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import matplotlib as mpl
import numpy as np
from PIL import Image

from sweep.figures.lettering import write
from sweep.figures.mosaic import GAP, NAME_HEIGHT, mosaic
from sweep.figures.style import GREY, TITLE_SIZE
from sweep.figures.weight_colours import DIVERGING, RGB_CHANNELS, weight_images

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model.arrays import Floats
    from sweep.figures.weight_colours import Pixels

HEADER: Final = 40  # pixels above the mosaic, for the title
FOOTER: Final = 28  # and below it, for the caption
COLOUR_BAR: Final = 100  # and to its right, where there is one
BAR: Final = 16


def weights_montage(
    weights: Floats, class_names: Sequence[str], image_shape: tuple[int, int, int]
) -> Pixels:
    """The weight images of all classes with their names, uint8 (height, width, 3).

    `weights` is (k, d) in channel, row, column order for `image_shape` (channels, height, width).
    All classes share one symmetric colour scale (see `weight_images`). Ten classes stand in two
    rows of five, 800 to 1,000 pixels wide, however small the images are.

    Raises
    ------
    ValueError
        The weights do not have that shape, or there is not one name for each class.
    """
    images, _ = weight_images(weights, image_shape)
    return np.asarray(mosaic(images, class_names))


def weights_figure(
    weights: Floats, class_names: Sequence[str], image_shape: tuple[int, int, int], *, title: str
) -> Pixels:
    """The montage under a title, with the scale of its colours. Raises as `weights_montage`."""
    images, limit = weight_images(weights, image_shape)
    montage = mosaic(images, class_names)
    has_bar = image_shape[0] != RGB_CHANNELS
    width = montage.width + (COLOUR_BAR if has_bar else 0)
    bottom = HEADER + montage.height
    figure = Image.new("RGB", (width, bottom + FOOTER), "white")
    figure.paste(montage, (0, HEADER))
    room = width - 2 * GAP
    write(figure, GAP, 23, title, size=TITLE_SIZE, bold=True, room=room)
    zero = "light grey" if has_bar else "mid grey"
    caption = f"weight 0 is {zero}, full colour from \N{PLUS-MINUS SIGN}{limit:.2g}"
    write(figure, GAP, bottom + 16, caption, colour=GREY, room=room)
    if has_bar:
        _colour_bar(figure, limit, montage.width + GAP, HEADER + GAP + NAME_HEIGHT, bottom - GAP)
    return np.asarray(figure)


def _colour_bar(figure: Image.Image, limit: float, left: int, top: int, bottom: int) -> None:
    """Draw the colours from `-limit` below to `limit` above, with three weights beside them."""
    colours = mpl.colormaps[DIVERGING](np.linspace(1, 0, bottom - top), bytes=True)[:, None, :3]
    figure.paste(Image.fromarray(np.repeat(colours, BAR, axis=1)), (left, top))
    ends = (0.0, f"+{limit:.2g}"), (0.5, "0"), (1.0, f"\N{MINUS SIGN}{limit:.2g}")
    for share, words in ends:
        y = top + share * (bottom - top)
        write(figure, left + BAR + GAP, y, words, anchor="lm", room=COLOUR_BAR - BAR - 2 * GAP)

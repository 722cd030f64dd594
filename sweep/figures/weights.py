"""The weights of each class, seen as an image: what the classifier looks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np

from sweep.figures.lettering import label
from sweep.figures.mosaic import GAP, NAME_HEIGHT, mosaic
from sweep.figures.panel import TICK, decimal, ticks
from sweep.figures.picture import Picture
from sweep.figures.style import GREY, TITLE_SIZE
from sweep.figures.weight_colours import DIVERGING, RGB_CHANNELS, weight_images

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model.arrays import Floats
    from sweep.figures.weight_colours import Pixels

HEADER = 40  # pixels above the mosaic, for the title
FOOTER = 28  # and below it, for the caption
COLOUR_BAR = 90  # and to its right, where there is one
BAR = 16
MARK = 0x66  # the grey of a tick


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
    return mosaic(images, class_names)


def weights_figure(
    weights: Floats, class_names: Sequence[str], image_shape: tuple[int, int, int], *, title: str
) -> Pixels:
    """The montage under a title, with the scale of its colours. Raises as `weights_montage`."""
    return weights_picture(weights, class_names, image_shape, title=title).pixels()


def weights_picture(
    weights: Floats, class_names: Sequence[str], image_shape: tuple[int, int, int], *, title: str
) -> Picture:
    """What `weights_figure` shows, with its words still apart."""
    images, limit = weight_images(weights, image_shape)
    montage = mosaic(images, class_names)
    has_bar = image_shape[0] != RGB_CHANNELS
    height, inner = montage.shape[:2]
    width = inner + (COLOUR_BAR if has_bar else 0)
    picture = Picture(width, HEADER + height + FOOTER)
    picture.write(GAP, 23, label(title), size=TITLE_SIZE, bold=True, room=width - 2 * GAP)
    picture.paste(montage, 0, HEADER)
    zero = "light grey" if has_bar else "mid grey"
    caption = f"weight 0 is {zero}, full colour from \N{PLUS-MINUS SIGN}{limit:.2g}"
    bottom = HEADER + height
    picture.write(GAP, bottom + 16, caption, colour=GREY, room=width - 2 * GAP)
    if has_bar:
        _colour_bar(picture, limit, inner + GAP, HEADER + GAP + NAME_HEIGHT, bottom - GAP)
    return picture


def _colour_bar(picture: Picture, limit: float, left: int, top: int, bottom: int) -> None:
    """Draw the colours from `-limit` below to `limit` above, with their weights beside them."""
    height = bottom - top
    colours = mpl.colormaps[DIVERGING](np.linspace(1, 0, height), bytes=True)[:, None, :3]
    picture.paste(np.repeat(colours, BAR, axis=1), left, top)
    heights = ticks((-limit, limit))
    for weight in heights:
        y = min(bottom - round((weight + limit) / (2 * limit) * height), bottom - 1)
        picture.paste(np.full((1, TICK, 3), MARK, dtype=np.uint8), left + BAR, y)
        words = decimal(weight, heights[1] - heights[0]).replace("-", "\N{MINUS SIGN}")
        picture.write(left + BAR + 2 * TICK, y, words, anchor="lm")

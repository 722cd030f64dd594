"""The weights of each class, seen as an image: what the classifier looks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from sweep.figures.lettering import write
from sweep.figures.mosaic import GAP, mosaic
from sweep.figures.style import GREY, TITLE_SIZE
from sweep.figures.weight_colours import FULL, colour_limit, coloured, palette, weight_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweep.figures.weight_colours import Pixels
    from sweep_model.arrays import Floats

HEADER: Final = 40  # pixels above the mosaic, for the title
FOOTER: Final = 28  # and below it, for the caption
COLOUR_BAR: Final = 100  # and to its right, where there is one
BAR: Final = 16


def weights_montage(
    weights: Floats,
    class_names: Sequence[str],
    image_shape: tuple[int, int, int],
    *,
    limit: float | None = None,
) -> Pixels:
    """The weight images of all classes with their names, uint8 (height, width, 3), nearly square.

    Parameters
    ----------
    weights
        (k, d) in channel, row, column order for `image_shape`.
    class_names
        One for each class.
    image_shape
        Channels, height, width.
    limit
        The size of weight with the full colour, of all classes; by default that which suits these
        weights, see `colour_limit`.

    Raises
    ------
    ValueError
        The weights do not have that shape, or there is not one name for each class.
    """
    values = weight_values(weights, image_shape)
    montage = mosaic(coloured(values / (limit or colour_limit(values))), class_names)
    return np.asarray(montage.convert("RGB"))


def weights_figure(
    weights: Floats,
    class_names: Sequence[str],
    image_shape: tuple[int, int, int],
    *,
    title: str,
    limit: float | None = None,
) -> Pixels:
    """The montage under a title, with the scale of its colours, uint8 (height, width, 3).

    A `limit` that is given is said to be that of the whole training. Raises as `weights_montage`.
    """
    shared = "classes" if limit is None else "classes and epochs"
    values = weight_values(weights, image_shape)
    limit = limit or colour_limit(values)
    montage = mosaic(coloured(values / limit), class_names)
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

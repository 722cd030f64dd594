"""The weights of each class, seen as an image: what the classifier looks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from sweep.figures.lettering import fit, label
from sweep.figures.mosaic import GAP, NAME_HEIGHT, mosaic
from sweep.figures.style import GREY, SMALL_SIZE, dress, new_figure, styled
from sweep.figures.weight_colours import DIVERGING, RGB_CHANNELS, weight_images

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from model.arrays import Floats
    from sweep.figures.weight_colours import Pixels

HEADER = 40  # pixels above the mosaic, for the title
FOOTER = 28  # and below it, for the caption
COLOUR_BAR = 90  # and to its right, where there is one


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


@styled
def weights_figure(
    weights: Floats, class_names: Sequence[str], image_shape: tuple[int, int, int], *, title: str
) -> Figure:
    """The montage under a title, with the scale of its colours. Raises as `weights_montage`."""
    images, limit = weight_images(weights, image_shape)
    montage = mosaic(images, class_names)
    has_bar = image_shape[0] != RGB_CHANNELS
    height, inner = montage.shape[:2]
    width = inner + (COLOUR_BAR if has_bar else 0)
    full = HEADER + height + FOOTER
    figure = new_figure(width, full)
    axes = figure.add_axes((0, FOOTER / full, inner / width, height / full))
    axes.imshow(montage, interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    heading = figure.suptitle(label(title), x=GAP / width, y=1 - 12 / full, ha="left")
    fit(heading, width - 2 * GAP)
    zero = "light grey" if has_bar else "mid grey"
    caption = f"weight 0 is {zero}, full colour from \N{PLUS-MINUS SIGN}{limit:.2g}"
    figure.text(GAP / width, 12 / full, caption, color=GREY, fontsize=SMALL_SIZE)
    if has_bar:
        bar = figure.add_axes(
            (
                (inner + GAP) / width,
                (FOOTER + GAP) / full,
                16 / width,
                (height - 2 * GAP - NAME_HEIGHT) / full,
            )
        )
        scale = ScalarMappable(Normalize(-limit, limit), DIVERGING)
        figure.colorbar(scale, cax=bar)
        dress(bar)
    return figure

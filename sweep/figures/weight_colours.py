"""From the numbers of a linear classifier to colours: one symmetric scale for all classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from sweep_model.arrays import Floats

Pixels: TypeAlias = npt.NDArray[np.uint8]

DIVERGING: Final = "coolwarm"  # its middle is a light grey, and it reads well without red or green
RGB_CHANNELS: Final = 3
COVERED: Final = 0.995  # a handful of extreme weights would leave all the others grey
FULL: Final = 111
"""Steps from 0 to full colour in a palette, so that 0 has a colour of its own."""
GREYS: Final = 256 - (2 * FULL + 1)


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


def coloured(shares: Floats) -> Pixels:
    """The colours of weights that are told as shares of their limit.

    Three channels (k, height, width, 3) become 0.5 + share / 2, channel by channel, so that 0 is
    mid grey; one channel (k, height, width) becomes places in `palette`. Shares beyond -1 and 1
    get the colour of -1 and 1, NaN that of 0.
    """
    full = 127.5 if shares.ndim > RGB_CHANNELS else float(FULL)
    clipped = np.nan_to_num(np.clip(shares, -1.0, 1.0), nan=0.0)
    colours: Pixels = np.rint(full + full * clipped).astype(np.uint8)
    return colours


def palette() -> Pixels:
    """The colours (256, 3) of one channel, blue below 0 and red above, then greys for words."""
    weights = mpl.colormaps[DIVERGING](np.linspace(0, 1, 2 * FULL + 1), bytes=True)[:, :3]
    greys = np.linspace(0, 255, GREYS).astype(np.uint8)
    return np.concatenate([weights, np.repeat(greys[:, None], 3, axis=1)])

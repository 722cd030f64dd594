"""From the numbers of a linear classifier to colours: one symmetric scale for all classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from model.arrays import Floats

Pixels: TypeAlias = npt.NDArray[np.uint8]

DIVERGING: Final = "coolwarm"  # its middle is a light grey, and it reads well without red or green
RGB_CHANNELS: Final = 3
COVERED: Final = 0.995  # a handful of extreme weights would leave all the others grey


def weight_images(weights: Floats, image_shape: tuple[int, int, int]) -> tuple[Pixels, float]:
    """The weights (k, d) of k classes as images (k, height, width, 3), and their colour limit.

    With three channels value = 0.5 + w / (2 limit), channel by channel, so that 0 is mid grey.
    Any other number of channels is averaged into one, which takes the colours of `DIVERGING`,
    blue for negative and red for positive. Weights beyond the limit get the colour of the limit,
    NaN that of 0.

    Raises
    ------
    ValueError
        The weights are not (k, channels * height * width).
    """
    if weights.shape[1:] != (np.prod(image_shape),):
        raise ValueError(f"weights must be (k, d) with d of {image_shape=}, got {weights.shape}")
    values = np.moveaxis(weights.reshape(-1, *image_shape).astype(np.float64), 1, -1)
    coloured = image_shape[0] == RGB_CHANNELS
    if not coloured:
        with np.errstate(invalid="ignore"):  # inf in one channel, -inf in another
            values = values.mean(axis=-1)
    limit = colour_limit(values)
    unit = np.clip(0.5 + np.nan_to_num(values / (2 * limit), nan=0.0), 0.0, 1.0)
    if coloured:
        return np.rint(255 * unit).astype(np.uint8), limit
    pixels: npt.NDArray[Any] = mpl.colormaps[DIVERGING](unit, bytes=True)
    return pixels[..., :3].astype(np.uint8), limit


def colour_limit(weights: Floats) -> float:
    """The size of weight that gets the full colour: 99.5 % of the finite ones are no larger.

    Where so many weights are 0 that this would be 0, their maximum; 1 where all are 0.
    """
    sizes = np.abs(weights[np.isfinite(weights)])
    if not sizes.any():
        return 1.0
    return float(np.quantile(sizes, COVERED)) or float(sizes.max())

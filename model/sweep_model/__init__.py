"""The maths of a linear image classifier: NumPy in, NumPy out."""

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:  # what signatures speak of
    import numpy as np
    import numpy.typing as npt

    Floats: TypeAlias = npt.NDArray[np.floating[Any]]
    Labels: TypeAlias = npt.NDArray[np.int64]
    Mask: TypeAlias = npt.NDArray[np.bool_]

    ImageShape: TypeAlias = tuple[int, int, int]  # (channels, height, width)

AVERAGED = "averaged_"
"""Before the name of a metric: of the mean of an epoch's weights, see `training.averaged_steps`.

The steps of a high learning rate scatter the weights about where they descend to, which hides how
good the training will be once the rate has decayed; their mean shows it.
Source: Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", SIAM Journal
on Control and Optimization 30, 1992.
"""

"""The maths of a linear image classifier: NumPy in, NumPy out."""

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:  # what signatures speak of
    import numpy as np
    import numpy.typing as npt

    Floats: TypeAlias = npt.NDArray[np.floating[Any]]
    Labels: TypeAlias = npt.NDArray[np.int64]
    Mask: TypeAlias = npt.NDArray[np.bool_]

    ImageShape: TypeAlias = tuple[int, int, int]  # (channels, height, width)

"""The array types that the signatures of this package speak of."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.floating[Any]]
Labels: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]

ImageShape: TypeAlias = tuple[int, int, int]  # (channels, height, width)

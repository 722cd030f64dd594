"""Each feature less its mean and over its standard deviation, by the training rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from sweep_model.arrays import Floats

CHUNK = 1_000  # rows turned to float64 at a time: 25 MB for CIFAR-10


@dataclass(frozen=True, eq=False)
class Standardiser:
    """x -> (x - mean) * factor, per feature.

    Attributes
    ----------
    mean : (d,) float32, of the rows it was fitted to.
    factor : (d,) float32, 1 / standard deviation; 0 for a feature that never varied, which
        therefore is 0 in every row.
    """

    mean: Floats
    factor: Floats

    @classmethod
    def fit(cls, rows: npt.NDArray[Any]) -> Standardiser:
        """Learn from rows (n, d) of any number type; the statistics are made in float64.

        Raises
        ------
        ValueError
            There are no rows, or a feature's mean or 1 / deviation is no finite float32.
        """
        if rows.ndim != 2 or len(rows) == 0:  # noqa: PLR2004 - (n, d)
            raise ValueError(f"rows must be (n, d) with n at least 1, got shape {rows.shape}")
        with np.errstate(all="ignore"):  # what is not finite is refused below, by feature
            mean = _mean(rows, lambda chunk: chunk)
            deviation = np.sqrt(_mean(rows, lambda chunk: np.square(chunk - mean)))
            # Not `deviation > 0`: a mean of equal numbers may differ from them by a rounding.
            varies = rows.max(axis=0) != rows.min(axis=0)
            factor = np.divide(1, deviation, out=np.zeros_like(deviation), where=varies)
            fitted = cls(mean.astype(np.float32), factor.astype(np.float32))
        broken = ~(np.isfinite(fitted.mean) & np.isfinite(fitted.factor))
        if broken.any():
            j = int(broken.argmax())
            raise ValueError(
                f"feature {j} cannot be standardised in float32: "
                f"its mean is {mean[j]!s}, its standard deviation {deviation[j]!s}"
            )
        return fitted

    def apply(self, rows: npt.NDArray[Any]) -> Floats:
        """Standardise rows (n, d) into a new float32 array."""
        standardised: Floats = np.subtract(rows, self.mean, dtype=np.float32)
        standardised *= self.factor
        return standardised


def _mean(rows: npt.NDArray[Any], of: Callable[[Floats], Floats]) -> Floats:
    """The mean over the rows of a function of them, chunk by chunk in float64."""
    total = np.zeros(rows.shape[1])
    for start in range(0, len(rows), CHUNK):
        total += of(rows[start : start + CHUNK].astype(np.float64)).sum(axis=0)
    return total / len(rows)

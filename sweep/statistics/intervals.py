"""How far a number may be from the truth: measured on finitely many rows, or seeds."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LEVEL = 0.95
"""Of every interval that this project tells."""


def accuracy_interval(accuracy: float, rows: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval for the share of right answers, as fractions.

    Source: Wilson (1927), JASA 22, 209-212; as in `scipy.stats.binomtest`.
    """
    from scipy.stats import binomtest

    interval = binomtest(round(accuracy * rows), rows).proportion_ci(LEVEL, method="wilson")
    return float(interval.low), float(interval.high)


def percent_with_interval(accuracy: float, rows: int) -> str:
    """Return e.g. `41.3 % [38.3, 44.4]`."""
    low, high = accuracy_interval(accuracy, rows)
    return f"{100 * accuracy:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def t_half_width(values: Sequence[float]) -> float:
    """Return half the width of Student's 95 % interval of a mean; NaN for one value, or a NaN."""
    from scipy.stats import t

    n = len(values)
    if n < 2 or not all(map(math.isfinite, values)):  # noqa: PLR2004 - one value has no spread
        return math.nan
    return float(t.ppf((1 + LEVEL) / 2, n - 1)) * statistics.stdev(values) / math.sqrt(n)


@dataclass(frozen=True, kw_only=True)
class Share:
    """How many of some rows were predicted rightly.

    Attributes
    ----------
    right, rows
        Counts; there is at least one row.
    value
        right / rows.
    low, high
        Wilson's 95 % interval of it.

    """

    right: int
    rows: int
    value: float
    low: float
    high: float

    @classmethod
    def of(cls, right: int, rows: int) -> Share:
        """Measure `right` of `rows`, at least one."""
        low, high = accuracy_interval(right / rows, rows)
        return cls(right=right, rows=rows, value=right / rows, low=low, high=high)

    @classmethod
    def of_some(cls, right: int, rows: int) -> Share | None:
        """Measure `right` of `rows`; None where there are none."""
        return cls.of(right, rows) if rows else None

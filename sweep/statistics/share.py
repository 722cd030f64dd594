"""A share of rows, with how far it may be from the truth."""

from __future__ import annotations

from dataclasses import dataclass

from sweep.statistics.intervals import accuracy_interval


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

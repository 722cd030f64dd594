"""Where one value lies in the range that was searched."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a trial lies in the range of one searched hyperparameter.

    Attributes
    ----------
    name, value
        The hyperparameter and the trial's value of it.
    low, high, log
        The range; of choices the smallest and the largest.
    choices
        All choices, in ascending order; None for a range.
    unit
        0 at `low`, 1 at `high`, on the range's own scale; of m choices i / (m - 1).

    """

    name: str
    value: float
    low: float
    high: float
    log: bool
    choices: list[float] | None
    unit: float

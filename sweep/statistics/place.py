"""Where one value lies in the range that was searched."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweep.space import Range

if TYPE_CHECKING:
    from sweep.space import Axis, Number


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


def place_of(axis: Axis, value: Number) -> Place:
    """Return where a value lies on the axis of its hyperparameter."""
    if isinstance(axis, Range):
        low, high, choices = float(axis.low), float(axis.high), None
        scale = math.log if axis.log else float
        unit = (scale(value) - scale(low)) / (scale(high) - scale(low))
    else:
        choices = sorted(float(each) for each in axis.values)
        low, high = choices[0], choices[-1]
        unit = choices.index(float(value)) / max(1, len(choices) - 1)
    return Place(
        name=axis.name,
        value=float(value),
        low=low,
        high=high,
        log=isinstance(axis, Range) and axis.log,
        choices=choices,
        unit=unit,
    )

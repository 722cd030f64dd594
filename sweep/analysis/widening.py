"""A wider axis, as far as a hyperparameter's rule and the epochs leave room."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, TypeAlias

from sweep.space import RULES, Choices, Range
from sweep.space.axes import MAX_CHOICES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sweep.space import Axis, Number

Side: TypeAlias = Literal["low", "high"]

DECADE = 10
DIGITS = 12
"""Significant ones of a new bound: 1e-5 / 10 is 1.0000000000000002e-06 in floating point."""


def widened(axis: Axis, sides: Collection[Side], epochs: int) -> Axis:
    """Return the axis with more room on these sides, or itself where there is none to be had.

    A logarithmic range grows by a decade, a linear one by half its length, choices by twice the
    highest or half the lowest.
    """
    if isinstance(axis, Range):
        return _wider_range(axis, sides, epochs)
    return _more_choices(axis, sides, epochs)


def _wider_range(axis: Range, sides: Collection[Side], epochs: int) -> Range:
    low, high = axis.low, axis.high
    reach = (high - low) / 2
    if "low" in sides:
        wanted = axis.low / DECADE if axis.log else axis.low - reach
        low = min(low, _tidy(axis.name, max(wanted, _least(axis)), math.floor))
    if "high" in sides:
        wanted = axis.high * DECADE if axis.log else axis.high + reach
        high = max(high, _tidy(axis.name, min(wanted, _most(axis.name, epochs)), math.ceil))
    return Range(name=axis.name, low=low, high=high, log=axis.log)


def _more_choices(axis: Choices, sides: Collection[Side], epochs: int) -> Choices:
    values = set(axis.values)
    if "low" in sides:
        values.add(_half(axis.name, min(axis.values)))
    if "high" in sides:
        highest = max(axis.values)
        values.add(max(highest, min(2 * highest, _most(axis.name, epochs))))
    if len(values) == len(axis.values) or len(values) > MAX_CHOICES:
        return axis
    return Choices(name=axis.name, values=tuple(sorted(values)))


def _half(name: str, value: Number) -> Number:
    """Return half of a value, or of a whole number a third or fifth where only that is whole.

    Batch sizes that divide each other let panels share what they read.
    """
    if not RULES[name].integer:
        return value / 2
    whole = [int(value) // parts for parts in (2, 3, 5) if value % parts == 0]
    return max(whole, default=max(1, int(value) // 2))


def _least(axis: Range) -> Number:
    """Return the lowest bound to be had; where zero is none, a decade down instead."""
    rule = RULES[axis.name]
    return max(rule.low, axis.low / DECADE) if axis.log or not rule.low_allowed else rule.low


def _most(name: str, epochs: int) -> Number:
    """Return the highest bound to be had: a rate that decays after the last epoch never does."""
    return epochs if name == "decay_period" else RULES[name].high


def _tidy(name: str, value: float, whole: Callable[[float], int]) -> Number:
    return whole(value) if RULES[name].integer else float(f"{value:.{DIGITS}g}")

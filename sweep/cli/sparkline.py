"""Curves as one line of blocks, drawn to one scale so that they can be compared."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TypeGuard

BLOCKS = "▁▂▃▄▅▆▇█"
LARGEST = 1e150
WHISKERS = 1.5
"""Values further than so many interquartile ranges from the quartiles do not stretch the scale:
Tukey's fences (Exploratory Data Analysis, 1977)."""


@dataclass(frozen=True)
class Scale:
    """What the lowest and the highest block stand for; what lies beyond is drawn as these."""

    low: float
    high: float

    def block(self, value: float | None) -> str:
        """Return the block of a value; a blank where it is none that can be drawn."""
        if not _is_drawable(value):
            return " "
        if self.low == self.high:
            return BLOCKS[len(BLOCKS) // 2]
        share = min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))
        return BLOCKS[min(len(BLOCKS) - 1, math.floor(share * len(BLOCKS)))]


def shared_scale(curves: Iterable[Sequence[float | None]]) -> Scale:
    """Return the scale on which all the curves can be told apart, but for outliers."""
    values = [value for value in chain.from_iterable(curves) if _is_drawable(value)]
    if len(values) < 2:  # noqa: PLR2004 - one value spans no scale
        return Scale(*(values * 2 or (0.0, 0.0)))
    lower, _, upper = statistics.quantiles(values, n=4, method="inclusive")
    reach = WHISKERS * (upper - lower)
    within = [value for value in values if lower - reach <= value <= upper + reach]
    return Scale(min(within), max(within))


def sparkline(curve: Sequence[float | None], scale: Scale, *, epochs: int, width: int) -> str:
    """Return a curve of at most `epochs` values in at most `width` blocks.

    Every curve of a study has the same axis: one that ended early is as much shorter. Where an
    epoch has no block of its own, a block shows the last of the epochs that it stands for.
    """
    columns = min(width, epochs)
    last = [math.ceil((column + 1) * epochs / columns) for column in range(columns)]
    blocks = [scale.block(curve[epoch - 1]) for epoch in last if epoch <= len(curve)]
    if len(curve) > (last[len(blocks) - 1] if blocks else 0):  # it ended within the next block
        blocks.append(scale.block(curve[-1]))
    return "".join(blocks)


def _is_drawable(value: float | None) -> TypeGuard[float]:
    """Whether it is a number, and no larger than the arithmetic of a scale can take."""
    return value is not None and abs(value) < LARGEST

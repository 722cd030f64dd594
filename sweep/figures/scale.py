"""The axis of one parameter: its range, its ticks, and whether it is logarithmic."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np
from matplotlib.ticker import Locator, LogLocator, MaxNLocator
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from sweep.figures.lettering import label

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOM: Final = 36  # characters under the narrowest axis, two of them between labels
MOST_CHOICES: Final = 12  # labels on one axis; of more choices every second, third, ... has one
SHORTEST: Final = 0.01  # smaller numbers are written with an exponent
LONGEST: Final = 1e5  # and larger ones
ROUNDING: Final = 1e-9  # 1e-5 as a tick may miss 1e-5 as an end by the last bit
FEW_DECADES: Final = 2  # below, powers of ten alone leave an axis nearly bare


@dataclass(frozen=True, kw_only=True)
class Scale:
    """An axis from `low` to `high`; for `choices`, positions 0, 1, ... stand for them."""

    low: float
    high: float
    log: bool = False
    whole: bool = False
    choices: tuple[str, ...] = ()

    @classmethod
    def of(cls, distribution: BaseDistribution) -> Self:
        """The axis of all values that the distribution allows, so that its boundary can be seen.

        A value's position on it is `Result.position`.
        """
        if isinstance(distribution, CategoricalDistribution):
            choices = tuple(label(choice) for choice in distribution.choices)
            return cls(low=0, high=len(choices) - 1, choices=choices)
        if isinstance(distribution, FloatDistribution | IntDistribution):
            return cls(
                low=distribution.low,
                high=distribution.high,
                log=distribution.log,
                whole=isinstance(distribution, IntDistribution),
            )
        raise TypeError(f"no axis for {distribution!r}")

    @classmethod
    def around(cls, values: Sequence[float]) -> Self:
        """The axis from the smallest to the largest of finite values."""
        low, high = min(values), max(values)
        spare = 0.0 if low < high else max(0.5, 0.1 * abs(low))
        return cls(low=low - spare, high=high + spare)

    def unit(self, position: float) -> float:
        """Where a position lies between the ends: 0 at `low`, 1 at `high`."""
        if self.log:
            return math.log(position / self.low) / math.log(self.high / self.low)
        return (position - self.low) / (self.high - self.low)

    def between(self, unit: float) -> float:
        """The position where `unit` lies; the inverse of `unit`, beyond the ends too."""
        if self.log:
            return self.low * math.pow(self.high / self.low, unit)
        return self.low + (self.high - self.low) * unit

    def ticks(self) -> Sequence[tuple[float, str]]:
        """Positions between the ends worth a label, with the labels."""
        if self.choices:
            step = math.ceil(len(self.choices) / MOST_CHOICES)
            return list(enumerate(self.choices))[::step]
        values = self._locator().tick_values(self.low, self.high)
        low, high = self.between(-ROUNDING), self.between(1 + ROUNDING)
        inside = [float(value) for value in values if low <= value <= high]
        ends = [self.low, self.high]
        ticks = [(value, plain(value)) for value in (inside if len(inside) > 1 else ends)]
        while sum(len(words) + 2 for _, words in ticks) > ROOM:
            ticks = ticks[::2]
        return ticks

    def _locator(self) -> Locator:
        if not self.log:
            return MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=self.whole)
        few = math.log10(self.high / self.low) < FEW_DECADES
        return LogLocator(subs=(1, 2, 5) if few else (1,), numticks=8)


def plain(value: float) -> str:
    """A number as one types it, and short: 1e-3, 0.01, 25, 1e6."""
    if value and not SHORTEST <= abs(value) < LONGEST:
        text = np.format_float_scientific(value, precision=3, trim="-", exp_digits=1)
        return text.replace("e+", "e")
    return f"{value:g}"

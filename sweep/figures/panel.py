"""The frame of one plot on a picture: ranges, grid, ticks and what lies within."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from matplotlib.ticker import MaxNLocator

from sweep.figures.style import GREY, HAIRLINE, TEXT_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from model.arrays import Floats
    from sweep.figures.picture import Picture

Range: TypeAlias = tuple[float, float]

TICK: Final = 4  # pixels
LABEL_ROOM: Final = 46  # pixels to the left of an axis
HAIR: Final = 0.8  # points
MOST_TICKS: Final = 8
SLACK: Final = 1e-9  # the last bits of a tick may miss an end, or a power of ten
MARGIN: Final = 0.05  # of the range, above and below the curves
LARGE: Final = 1e5  # numbers of this size are written with an exponent,
FINE: Final = 1e-3  # and those with smaller steps


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A plot between the pixels `left`, `right`, `top` and `bottom`."""

    picture: Picture
    left: int
    right: int
    top: int
    bottom: int
    xs: Range
    ys: Range

    def at(self, x: npt.ArrayLike, y: npt.ArrayLike) -> Floats:
        """Where values lie, in pixels (n, 2)."""
        across = (np.asarray(x, dtype=np.float64) - self.xs[0]) / (self.xs[1] - self.xs[0])
        up = (np.asarray(y, dtype=np.float64) - self.ys[0]) / (self.ys[1] - self.ys[0])
        return np.stack(
            [
                self.left + across * (self.right - self.left),
                self.bottom - up * (self.bottom - self.top),
            ],
            axis=-1,
        )

    def dress(self, *, title: str, word: Callable[[float, float], str]) -> None:
        """Draw grid, frame and ticks; `word` makes a label of a value and the ticks' step."""
        picture, hair = self.picture, {"width": HAIR}
        for x in ticks(self.xs, whole=True):
            column = round(float(self.at(x, self.ys[0])[0]))
            self._rule(column, column, self.top, self.bottom, HAIRLINE, **hair)
            self._rule(column, column, self.bottom, self.bottom + TICK, GREY, **hair)
            picture.write(column, self.bottom + 19, f"{x:g}", anchor="ms")
        heights = ticks(self.ys)
        step = heights[1] - heights[0] if len(heights) > 1 else 1.0
        for y in heights:
            row = round(float(self.at(self.xs[0], y)[1]))
            self._rule(self.left, self.right, row, row, HAIRLINE, **hair)
            self._rule(self.left - TICK, self.left, row, row, GREY, **hair)
            picture.write(self.left - 8, row, word(y, step), anchor="rm", room=LABEL_ROOM)
        self._rule(self.left, self.left, self.top, self.bottom + 1, GREY, **hair)
        self._rule(self.left, self.right, self.bottom, self.bottom, GREY, **hair)
        picture.write(self.left, self.top - 14, title, size=TEXT_SIZE)
        middle = (self.left + self.right) / 2
        picture.write(middle, self.bottom + 38, "epoch", anchor="ms", size=TEXT_SIZE)

    def _rule(self, x0: float, x1: float, y0: float, y1: float, colour: str, **look: Any) -> None:
        self.picture.line(np.array([[x0, y0], [x1, y1]]), colour, **look)


def ticks(ends: Range, *, whole: bool = False) -> list[float]:
    """Round values between the ends, at equal steps."""
    locator = MaxNLocator(
        nbins=MOST_TICKS, steps=[1, 2, 5, 10], integer=whole, min_n_ticks=1 if whole else 2
    )
    low, high = ends
    slack = SLACK * (high - low)
    return [float(v) for v in locator.tick_values(low, high) if low - slack <= v <= high + slack]


def around(values: Sequence[float]) -> Range:
    """A range that shows all the values, which are finite, and a little on both sides."""
    low, high = min(values), max(values)
    spare = MARGIN * (high - low) if high > low else max(0.05, MARGIN * abs(low))
    return low - spare, high + spare


def decimal(value: float, step: float) -> str:
    """A number with as many digits as tell it from the next tick."""
    if value == 0:
        return f"{0:.{_decimals(step)}f}" if FINE <= step < LARGE else "0"
    if abs(value) < LARGE and step >= FINE:
        return f"{value:.{_decimals(step)}f}"
    size = 10.0 ** math.floor(math.log10(abs(value)) + SLACK)
    exponent = round(math.log10(size))
    return f"{value / size:.{_decimals(step / size)}f}e{exponent}"


def _decimals(step: float) -> int:
    return max(0, -math.floor(math.log10(step) + SLACK))


def percent(value: float, step: float) -> str:
    """A fraction in percent, with as many decimals as tell it from the next tick."""
    return f"{decimal(100 * value, 100 * step)}%"

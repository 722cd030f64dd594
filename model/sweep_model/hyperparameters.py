"""How one trial trains: the five hyperparameters, checked when they are put together."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """How one trial trains. A bad value is refused when it is built.

    Attributes
    ----------
    l2 : lambda in J = mean loss + l2 * sum(W^2), 0 or more.
    learning_rate : eta of the first epochs, above 0.
    decay_period : epochs between two decays, 1 or more.
    batch_size : rows in a step, 1 or more.
    flip_probability : how likely an image is mirrored in an epoch, 0 to 1.
    decay_factor : what the rate is multiplied by at each decay, above 0 and up to 1.

    Raises
    ------
    ValueError
        A value breaks its rule; NaN, infinities, booleans and text break every rule.
    """

    l2: float
    learning_rate: float
    decay_period: int
    batch_size: int
    flip_probability: float
    decay_factor: float = 0.5

    def __post_init__(self) -> None:
        for name, rule in _RULES.items():
            given = getattr(self, name)
            value = rule.read(given)
            if not rule.holds(value):
                raise ValueError(f"{name} must be {rule.text}, got {given!r}")
            # Plain numbers only: a NumPy float64 would turn float32 arrays into float64 ones.
            object.__setattr__(self, name, value)

    def rate(self, epoch: int) -> float:
        """The learning rate in `epoch` (from 0): eta * decay_factor ** floor(epoch / period)."""
        return self.learning_rate * self.decay_factor ** (epoch // self.decay_period)


def _real(value: object) -> float:
    """`value` as a float, or NaN, which no rule admits, for what is not a real number."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return math.nan
    try:
        return float(value)
    except OverflowError:  # a whole number beyond the floats
        return math.inf


def _whole(value: object) -> int:
    """`value` as an int, or 0, which no rule admits, for what is not a whole number."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        return 0
    return int(value)


@dataclass(frozen=True)
class _Rule:
    text: str
    read: Callable[[object], float]
    holds: Callable[[float], bool]


_COUNT = _Rule("a whole number, 1 or more", _whole, lambda value: value >= 1)
_RULES = {
    "l2": _Rule("a finite number, 0 or more", _real, lambda value: 0 <= value < math.inf),
    "learning_rate": _Rule("a finite number above 0", _real, lambda value: 0 < value < math.inf),
    "decay_period": _COUNT,
    "batch_size": _COUNT,
    "flip_probability": _Rule("a number from 0 to 1", _real, lambda value: 0 <= value <= 1),
    "decay_factor": _Rule("a number above 0 and up to 1", _real, lambda value: 0 < value <= 1),
}

"""What one hyperparameter may be: a range or a handful of choices, within its rule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from sweep.errors import SweepError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from optuna import Trial
    from optuna.distributions import BaseDistribution

Number: TypeAlias = int | float
MAX_CHOICES = 100
SHOWN_CHARACTERS = 60


def shown(value: object) -> str:
    """Return `repr(value)`, shortened; Python writes no integer of more than 4,300 digits."""
    try:
        text = repr(value)
    except ValueError:
        return "an integer of thousands of digits"
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 3]}..."


def _exact(value: Number) -> str:
    """Return the shortest text that reads back as the same number."""
    return str(int(value)) if value == int(value) else repr(value)


@dataclass(frozen=True)
class Rule:
    """What a hyperparameter must be, whatever the space."""

    low: float
    high: float
    integer: bool
    low_allowed: bool = True

    @property
    def example(self) -> str:
        """A value that keeps the rule."""
        return "10" if self.integer else "0.1"

    def check(self, name: str, value: object) -> Number:
        """Return `value` as an int or float, or refuse it with the rule."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise SweepError(f"{name} must be a number, e.g. {self.example}: got {shown(value)}")
        above_low = value >= self.low if self.low_allowed else value > self.low
        if not (above_low and value <= self.high):  # NaN compares false, so it ends here too
            bounds = f"{'[' if self.low_allowed else '('}{self.low:g}, {self.high:g}]"
            raise SweepError(f"{name} must lie in {bounds}: got {shown(value)}")
        if self.integer and value != int(value):
            raise SweepError(f"{name} must be a whole number: got {value!r}")
        return int(value) if self.integer else float(value)


RULES: Mapping[str, Rule] = {
    "l2": Rule(0, 1e6, integer=False),
    "learning_rate": Rule(0, 1e6, integer=False, low_allowed=False),
    "decay_period": Rule(1, 1_000_000, integer=True),
    "batch_size": Rule(1, 1_000_000, integer=True),
    "flip_probability": Rule(0, 1, integer=False),
}
NAMES = tuple(RULES)


@dataclass(frozen=True, kw_only=True)
class Range:
    """All values between two bounds, both included."""

    name: str
    low: Number
    high: Number
    log: bool = False

    def __post_init__(self) -> None:
        rule = RULES[self.name]
        object.__setattr__(self, "low", rule.check(f"the low end of {self.name}", self.low))
        object.__setattr__(self, "high", rule.check(f"the high end of {self.name}", self.high))
        if self.low >= self.high:
            raise SweepError(
                f"{self.name}: the low end of a range must be below its high end: "
                f"got {self.low!r}:{self.high!r}; for a single value write {self.name}={self.low!r}"
            )
        if self.log and self.low <= 0:
            raise SweepError(
                f"{self.name}: a logarithmic range must start above 0: got {self.low!r}"
            )

    def check(self, value: object) -> Number:
        """Return a value of this range as an int or float, or refuse it."""
        number = RULES[self.name].check(self.name, value)
        if not self.low <= number <= self.high:
            raise SweepError(f"{self.name} is searched from {self}: got {shown(value)}")
        return number

    def suggest(self, trial: Trial) -> Number:
        """Let Optuna choose a value for a trial."""
        if RULES[self.name].integer:
            return trial.suggest_int(self.name, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(self.name, self.low, self.high, log=self.log)

    def distribution(self) -> BaseDistribution:
        """Return it in Optuna's terms."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if RULES[self.name].integer:
            return IntDistribution(int(self.low), int(self.high), log=self.log)
        return FloatDistribution(self.low, self.high, log=self.log)

    def at(self, share: float) -> Number:
        """Return the value at a share of the range, 0 to 1, on its own scale."""
        integer = RULES[self.name].integer
        # Each whole number gets its share of the scale, the ends too.
        low, high = (self.low - 0.5, self.high + 0.5) if integer else (self.low, self.high)
        if self.log:
            value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        else:
            value = low + share * (high - low)
        return self.clip(round(value) if integer else value)

    def clip(self, value: Number) -> Number:
        """Return the value of this range that is nearest to `value`."""
        return min(max(value, self.low), self.high)

    def points(self, count: int) -> tuple[Number, ...]:
        """Return `count` values, ends included, evenly spaced on the range's own scale."""
        forward, back = (math.log, math.exp) if self.log else (float, float)
        low, high = forward(self.low), forward(self.high)
        inner = [back(low + (high - low) * i / (count - 1)) for i in range(1, count - 1)]
        values = [self.low, *inner, self.high]
        if RULES[self.name].integer:
            values = [round(value) for value in values]
        return tuple(dict.fromkeys(values))

    def __str__(self) -> str:
        return f"{_exact(self.low)}:{_exact(self.high)}" + (":log" if self.log else "")

    def record(self) -> Any:
        """Return what a TOML or JSON file would hold."""
        return {"low": self.low, "high": self.high, "log": self.log}


@dataclass(frozen=True, kw_only=True)
class Choices:
    """A handful of values; a single one is not searched."""

    name: str
    values: tuple[Number, ...]

    def __post_init__(self) -> None:
        checked = tuple(RULES[self.name].check(self.name, value) for value in self.values)
        object.__setattr__(self, "values", checked)
        if not 1 <= len(checked) <= MAX_CHOICES:
            raise SweepError(
                f"{self.name} must have 1 to {MAX_CHOICES} choices: got {len(checked)}"
            )
        repeated = sorted({value for value in checked if checked.count(value) > 1})
        if repeated:
            raise SweepError(f"{self.name}: choices must differ: got {repeated[0]!r} twice")

    def check(self, value: object) -> Number:
        """Return one of the choices as an int or float, or refuse it."""
        number = RULES[self.name].check(self.name, value)
        if number not in self.values:
            raise SweepError(f"{self.name} is one of {self}: got {shown(value)}")
        return number

    def suggest(self, trial: Trial) -> Number:
        """Let Optuna choose a value for a trial."""
        return trial.suggest_categorical(self.name, self.values)

    def distribution(self) -> BaseDistribution:
        """Return it in Optuna's terms."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)

    def at(self, share: float) -> Number:
        """Return the choice at a share of them, 0 to 1."""
        return self.values[min(int(share * len(self.values)), len(self.values) - 1)]

    def clip(self, value: Number) -> Number:
        """Return the choice that is nearest to `value`."""
        return min(self.values, key=lambda choice: abs(choice - value))

    def points(self, count: int) -> tuple[Number, ...]:  # noqa: ARG002 - the twin of Range.points
        """Return all choices."""
        return self.values

    def __str__(self) -> str:
        return ",".join(map(_exact, self.values))

    def record(self) -> Any:
        """Return what a TOML or JSON file would hold."""
        return list(self.values) if len(self.values) > 1 else self.values[0]


Axis: TypeAlias = Range | Choices

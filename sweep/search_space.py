"""The search space: five hyperparameters, their defaults per loss, files and overrides.

Where rows are normalised in several ways, which one is a sixth axis, of words.

1e-4:1e-1:log   a range on a logarithmic scale      {low = 1e-4, high = 1e-1, log = true}
0:0.5           a range on a linear scale           {low = 0.0, high = 0.5}
25,50,100       choices                             [25, 50, 100]
50              one value, not searched             50
"""

from __future__ import annotations

import itertools
import math
import re
import tomllib
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from sweep.errors import SweepError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from optuna import Trial
    from optuna.distributions import BaseDistribution

Number: TypeAlias = int | float
Value: TypeAlias = int | float | str
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
            raise SweepError(
                f"{name} must lie in {bounds}: got {shown(value)}; write e.g. {self.example}"
            )
        if self.integer and value != int(value):
            raise SweepError(
                f"{name} must be a whole number: got {value!r}; write e.g. {self.example}"
            )
        return int(value) if self.integer else float(value)


RULES: Mapping[str, Rule] = {
    "l2": Rule(0, 1e6, integer=False),
    "learning_rate": Rule(0, 1e6, integer=False, low_allowed=False),
    "decay_period": Rule(1, 1_000_000, integer=True),
    "batch_size": Rule(1, 1_000_000, integer=True),
    "flip_probability": Rule(0, 1, integer=False),
}
NAMES = tuple(RULES)
NORMALISE = "normalise"
"""The axis of how rows are normalised, which a space has where that is searched."""


def _unknown(name: object) -> SweepError:
    named = "name one of them" if name != NORMALISE else "say --normalise standardise,unit"
    return SweepError(
        f"unknown hyperparameter {shown(name)}: there are {', '.join(NAMES)}; {named}"
    )


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
                f"{self.name}: a logarithmic range must start above 0: got {self.low!r}; write "
                f"e.g. {self.name}={self.high / 1000:g}:{self.high:g}:log, or leave log out"
            )

    def check(self, value: object) -> Number:
        """Return a value of this range as an int or float, or refuse it."""
        number = RULES[self.name].check(self.name, value)
        if not self.low <= number <= self.high:
            raise SweepError(
                f"{self.name} is searched from {self}: got {shown(value)}; take one from there"
            )
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
class _Listed:
    """An axis of values that stand in a list."""

    name: str
    values: tuple[Any, ...]

    def suggest(self, trial: Trial) -> Any:
        """Let Optuna choose a value for a trial."""
        return trial.suggest_categorical(self.name, self.values)

    def distribution(self) -> BaseDistribution:
        """Return it in Optuna's terms."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)

    def at(self, share: float) -> Any:
        """Return the value at a share of them, 0 to 1."""
        return self.values[min(int(share * len(self.values)), len(self.values) - 1)]

    def points(self, count: int) -> tuple[Any, ...]:  # noqa: ARG002 - the twin of Range.points
        """Return all values."""
        return self.values


@dataclass(frozen=True, kw_only=True)
class Choices(_Listed):
    """A handful of numbers; a single one is not searched."""

    values: tuple[Number, ...]

    def __post_init__(self) -> None:
        checked = tuple(RULES[self.name].check(self.name, value) for value in self.values)
        object.__setattr__(self, "values", checked)
        if not 1 <= len(checked) <= MAX_CHOICES:
            raise SweepError(
                f"{self.name} must have 1 to {MAX_CHOICES} choices: got {len(checked)}; "
                f"write e.g. {self.name}={RULES[self.name].example}"
            )
        repeated = sorted({value for value in checked if checked.count(value) > 1})
        if repeated:
            raise SweepError(
                f"{self.name}: choices must differ: got {repeated[0]!r} twice; leave one out"
            )

    def check(self, value: object) -> Number:
        """Return one of the choices as an int or float, or refuse it."""
        number = RULES[self.name].check(self.name, value)
        if number not in self.values:
            raise SweepError(f"{self.name} is one of {self}: got {shown(value)}; take one of them")
        return number

    def clip(self, value: Number) -> Number:
        """Return the choice that is nearest to `value`."""
        return min(self.values, key=lambda choice: abs(choice - value))

    def __str__(self) -> str:
        return ",".join(map(_exact, self.values))

    def record(self) -> Any:
        """Return what a TOML or JSON file would hold."""
        return list(self.values) if len(self.values) > 1 else self.values[0]


@dataclass(frozen=True, kw_only=True)
class Words(_Listed):
    """Two words or more, of which none is nearer to another."""

    values: tuple[str, ...]

    def check(self, value: object) -> str:
        """Return one of the words, or refuse it."""
        if value not in self.values:
            raise SweepError(f"{self.name} is one of {self}: got {shown(value)}; take one of them")
        return str(value)

    def clip(self, value: Any) -> str:
        """Return the word itself, or the first one in place of another."""
        return str(value) if value in self.values else self.values[0]

    def __str__(self) -> str:
        return ",".join(self.values)

    def record(self) -> Any:
        """Return what a JSON file would hold."""
        return list(self.values)


Axis: TypeAlias = Range | Choices | Words


MAX_GRID_POINTS = 100_000


@dataclass(frozen=True)
class Space:
    """One axis for each of the five hyperparameters, and one for `normalise` if it is searched."""

    axes: Mapping[str, Axis]

    def __post_init__(self) -> None:
        if tuple(self.axes) not in (NAMES, (*NAMES, NORMALISE)):
            raise ValueError(f"a space has the axes {NAMES}: got {tuple(self.axes)}")

    def check(self, setting: Mapping[str, object]) -> dict[str, Value]:
        """Return a setting of this space, or part of one, as plain values, or refuse it."""
        unknown = [name for name in setting if name not in self.axes]
        if unknown:
            raise _unknown(unknown[0])
        return {name: self.axes[name].check(value) for name, value in setting.items()}

    def suggest(self, trial: Trial) -> dict[str, Any]:
        """Let Optuna choose a setting for a trial."""
        return {name: axis.suggest(trial) for name, axis in self.axes.items()}

    def at(self, point: Sequence[float]) -> dict[str, Value]:
        """Return the setting at a point of the unit cube, one number for each varied axis."""
        shares = dict(zip(self.varied(), point, strict=True))
        return {name: axis.at(float(shares.get(name, 0))) for name, axis in self.axes.items()}

    def clip(self, setting: Mapping[str, Any]) -> dict[str, Value]:
        """Return the setting of this space that is nearest to `setting`.

        It need not say how rows are normalised.
        """
        return {
            name: axis.clip(setting[name]) if name in setting else axis.at(0)
            for name, axis in self.axes.items()
        }

    def grid(self, levels: int) -> list[dict[str, Value]]:
        """Return every combination of all choices and of `levels` points of each range."""
        points = [axis.points(levels) for axis in self.axes.values()]
        size = math.prod(map(len, points))
        if size > MAX_GRID_POINTS:
            raise SweepError(
                f"a grid has at most {MAX_GRID_POINTS:,} points: this space makes {size:,}; "
                "give fewer choices with --set, or take --sampler qmc"
            )
        return [dict(zip(self.axes, values, strict=True)) for values in itertools.product(*points)]

    def replace(self, axes: Mapping[str, Axis]) -> Space:
        """Return this space with some axes exchanged."""
        return Space({**self.axes, **axes})

    def record(self) -> dict[str, Any]:
        """Return what a TOML or JSON file would hold."""
        return {name: axis.record() for name, axis in self.axes.items()}

    def with_normalisations(self, names: Sequence[str]) -> Space:
        """Return this space for rows that are normalised in these ways; one is not searched."""
        axes = {name: self.axes[name] for name in NAMES}
        if len(names) > 1:
            axes[NORMALISE] = Words(name=NORMALISE, values=tuple(names))
        return Space(axes)

    def without_flips(self) -> Space:
        """Return this space for rows that are no images."""
        unflipped = Choices(name="flip_probability", values=(0.0,))
        return self.replace({"flip_probability": unflipped})

    def varied(self) -> list[str]:
        """Return the names of the hyperparameters that are searched."""
        return [
            name
            for name, axis in self.axes.items()
            if isinstance(axis, Range) or len(axis.values) > 1
        ]

    def differences(self, other: Space) -> list[str]:
        """Return one phrase for each hyperparameter whose axis in `other` is not this one."""
        return [
            f"{name} {self.axes[name]} -> {other.axes[name]}"
            for name in NAMES
            if self.axes[name] != other.axes[name]
        ]


SHARED: Mapping[str, Axis] = {
    "decay_period": Range(name="decay_period", low=2, high=50, log=True),
    "batch_size": Choices(name="batch_size", values=(50, 100, 200, 400)),
    "flip_probability": Range(name="flip_probability", low=0.0, high=0.5),
}

DEFAULT_SPACES: Mapping[str, Space] = {
    "softmax": Space(
        {
            "l2": Range(name="l2", low=1e-5, high=1.0, log=True),
            "learning_rate": Range(name="learning_rate", low=1e-4, high=10.0, log=True),
            **SHARED,
        }
    ),
    "bce": Space(
        {
            "l2": Range(name="l2", low=1e-6, high=1e-1, log=True),
            "learning_rate": Range(name="learning_rate", low=1e-3, high=100.0, log=True),
            **SHARED,
        }
    ),
}

# The report's hand-picked setting on CIFAR-10 (41 % test accuracy with the softmax loss).
BASELINES: Mapping[str, Mapping[str, Number]] = {
    "softmax": {
        "l2": 0.1,
        "learning_rate": 0.01,
        "decay_period": 10,
        "batch_size": 50,
        "flip_probability": 0.2,
    },
    "bce": {
        "l2": 0.01,
        "learning_rate": 0.1,
        "decay_period": 10,
        "batch_size": 50,
        "flip_probability": 0.2,
    },
}


MAX_FILE_BYTES = 64 * 1024
EXAMPLE_LINE = "l2 = {low = 1e-5, high = 0.1, log = true}"
EXAMPLE_RANGES = {True: "1:50", False: "1e-4:1e-1:log"}  # of whole numbers, and of others


def read_space(loss: str, file: Path | None = None, overrides: Iterable[str] = ()) -> Space:
    """Return the space of a study: what is not said otherwise is the loss's default."""
    return DEFAULT_SPACES[loss].replace(read_axes(file, overrides))


def read_axes(file: Path | None = None, overrides: Iterable[str] = ()) -> dict[str, Axis]:
    """Return the axes that somebody asked for: an override goes before the file."""
    axes = axes_from_file(file) if file is not None else {}
    return axes | {axis.name: axis for axis in map(axis_from_text, overrides)}


def axes_of(ranges: Space | str | PathLike[str] | Mapping[str, object]) -> dict[str, Axis]:
    """Return the axes that a space, the name of a file or a mapping say something of.

    The values of a mapping are axes, texts as `--set` takes them, or what a file would hold.
    """
    if isinstance(ranges, Space):
        return dict(ranges.axes)
    if isinstance(ranges, str | PathLike):
        return axes_from_file(Path(ranges))
    axes: dict[str, Axis] = {}
    for name, value in ranges.items():
        if isinstance(value, Range | Choices):
            axes[name] = replace(value, name=name)
        elif isinstance(value, str):
            axes[name] = axis_from_text(f"{name}={value}")
        elif isinstance(value, tuple):  # of two numbers: ends, or choices?
            raise SweepError(
                f"{name}: a tuple is not taken: got {shown(value)}; write a range as text, e.g. "
                f"{_range_example(name)!r}, and choices as a list, e.g. {shown(list(value))}"
            )
        else:
            axes[name] = axis_from_value(name, value)
    return axes


def axes_from_file(file: Path) -> dict[str, Axis]:
    """Read the axes that a TOML file sets."""
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise SweepError(
                f"{file}: a space file has at most 64 KiB, and this one has more; name another"
            )
        table = tomllib.loads(data.decode("utf-8-sig"))
    except OSError as error:
        raise SweepError(
            f"{file}: cannot be read: {error.strerror}; name another with --space"
        ) from error
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, or a number too long
        raise SweepError(
            f"{file}: not a TOML file: {error}; write lines like {EXAMPLE_LINE}"
        ) from error
    try:
        return {name: axis_from_value(name, value) for name, value in table.items()}
    except SweepError as error:
        raise SweepError(f"{file}: {error}") from error


def space_from_record(record: Mapping[str, Any]) -> Space:
    """Read back what `Space.record` returned."""
    return Space({name: axis_from_value(name, record[name]) for name in NAMES})


def axis_from_value(name: str, value: object) -> Axis:
    """Read one axis as it stands in a TOML file: a table, a list or a number."""
    if name not in RULES:
        raise _unknown(name)
    if isinstance(value, dict):
        unknown = sorted(set(value) - {"low", "high", "log"})
        if unknown or not {"low", "high"} <= set(value):
            raise SweepError(
                f"{name}: a range has low, high and perhaps log: got {shown(sorted(value))}; "
                f"write {name} = {{low = 1, high = 10}}"
            )
        if not isinstance(value.get("log", False), bool):
            raise SweepError(
                f"{name}: log must be true or false: got {shown(value['log'])}; write log = true"
            )
        return Range(name=name, **value)
    values = value if isinstance(value, list) else [value]
    text = next((each for each in values if isinstance(each, str)), None)
    if text is not None:
        raise SweepError(
            f"{name} must be a number, e.g. {RULES[name].example}, or a range, e.g. {name} = "
            f"{{low = 1, high = 10}}: got {shown(text)}"
        )
    return Choices(name=name, values=tuple(values))  # type: ignore[arg-type] # Choices checks the type and says which value is wrong


def axis_from_text(text: str) -> Axis:
    """Read one override, e.g. `l2=1e-4:1e-1:log`."""
    name, equals, values = text.partition("=")
    name = name.strip()
    if not equals or not values.strip():
        raise SweepError(f"an override is NAME=VALUES: got {shown(text)}; e.g. l2=1e-4:1e-1:log")
    if name not in RULES:
        raise _unknown(name)
    parts = values.split(":")
    if len(parts) == 1:
        return Choices(name=name, values=tuple(_number(name, part) for part in values.split(",")))
    scale = parts[2].strip() if len(parts) > 2 else "linear"  # noqa: PLR2004 - LOW:HIGH:SCALE
    if len(parts) > 3 or scale not in ("log", "linear"):  # noqa: PLR2004 - LOW:HIGH:SCALE
        raise SweepError(
            f"{name}: a range is LOW:HIGH or LOW:HIGH:log: got {shown(values)}; write e.g. "
            f"{name}={_range_example(name)}"
        )
    low, high = (_number(name, part) for part in parts[:2])
    return Range(name=name, low=low, high=high, log=scale == "log")


def _range_example(name: str) -> str:
    return EXAMPLE_RANGES[RULES[name].integer] if name in RULES else EXAMPLE_RANGES[False]


def _number(name: str, text: str) -> Number:
    digits = text.strip()
    if re.fullmatch(r"0\d+|\d+,\d+", digits):  # a decimal comma, or what is behind one
        raise SweepError(
            f"{name}: no number is written like {shown(digits)}; write a decimal point, e.g. 0.01"
        )
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise SweepError(
            f"{name} must be a number, e.g. {RULES[name].example}, or a range, e.g. "
            f"{name}={_range_example(name)}: got {shown(text.strip())}"
        ) from None

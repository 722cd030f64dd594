"""Read a space: defaults per loss, then a TOML file, then `NAME=VALUES` overrides.

1e-4:1e-1:log   a range on a logarithmic scale      {low = 1e-4, high = 1e-1, log = true}
0:0.5           a range on a linear scale           {low = 0.0, high = 0.5}
25,50,100       choices                             [25, 50, 100]
50              one value, not searched             50
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from sweep.errors import SweepError
from sweep.space.axes import NAMES, RULES, Axis, Choices, Number, Range, shown
from sweep.space.defaults import DEFAULT_SPACES
from sweep.space.space import Space

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

MAX_FILE_BYTES = 64 * 1024


def read_space(loss: str, file: Path | None = None, overrides: Iterable[str] = ()) -> Space:
    """Return the space of a study: what is not said otherwise is the loss's default."""
    axes = axes_from_file(file) if file is not None else {}
    for text in overrides:
        axis = axis_from_text(text)
        axes[axis.name] = axis
    return DEFAULT_SPACES[loss].replace(axes)


def axes_from_file(file: Path) -> dict[str, Axis]:
    """Read the axes that a TOML file sets."""
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise SweepError(f"{file}: a space file has at most 64 KiB, and this one has more")
        table = tomllib.loads(data.decode("utf-8-sig"))
    except OSError as error:
        raise SweepError(f"{file}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, or a number too long
        raise SweepError(f"{file}: not a TOML file: {error}") from error
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
        raise SweepError(f"unknown hyperparameter {shown(name)}: a space has {', '.join(NAMES)}")
    if isinstance(value, dict):
        unknown = sorted(set(value) - {"low", "high", "log"})
        if unknown or not {"low", "high"} <= set(value):
            raise SweepError(
                f"{name}: a range has low, high and perhaps log: got {shown(sorted(value))}; "
                f"write {name} = {{low = 1, high = 10}}"
            )
        if not isinstance(value.get("log", False), bool):
            raise SweepError(f"{name}: log must be true or false: got {shown(value['log'])}")
        return Range(name=name, **value)
    return Choices(name=name, values=tuple(value) if isinstance(value, list) else (value,))  # type: ignore[arg-type] # Choices checks the type and says which value is wrong


def axis_from_text(text: str) -> Axis:
    """Read one override, e.g. `l2=1e-4:1e-1:log`."""
    name, equals, values = text.partition("=")
    name = name.strip()
    if not equals or not values.strip():
        raise SweepError(f"an override is NAME=VALUES: got {shown(text)}; e.g. l2=1e-4:1e-1:log")
    if name not in RULES:
        raise SweepError(f"unknown hyperparameter {shown(name)}: a space has {', '.join(NAMES)}")
    parts = values.split(":")
    if len(parts) == 1:
        return Choices(name=name, values=tuple(_number(name, part) for part in values.split(",")))
    scale = parts[2].strip() if len(parts) > 2 else "linear"  # noqa: PLR2004 - LOW:HIGH:SCALE
    if len(parts) > 3 or scale not in ("log", "linear"):  # noqa: PLR2004 - LOW:HIGH:SCALE
        raise SweepError(f"{name}: a range is LOW:HIGH or LOW:HIGH:log: got {shown(values)}")
    low, high = (_number(name, part) for part in parts[:2])
    return Range(name=name, low=low, high=high, log=scale == "log")


def _number(name: str, text: str) -> Number:
    digits = text.strip()
    if digits.isdigit() and digits.startswith("0") and len(digits) > 1:  # of a decimal comma
        raise SweepError(
            f"{name}: a number does not begin with 0: got {shown(digits)}; "
            "write a decimal point, e.g. 0.01"
        )
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise SweepError(
            f"{name} must be a number, e.g. {RULES[name].example}: got {shown(text.strip())}"
        ) from None

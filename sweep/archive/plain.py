"""Plain values out of JSON that nobody vouches for: each has its type and its bounds."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from sweep.space.axes import shown

if TYPE_CHECKING:
    import re
    from collections.abc import Collection

MAX_CONTAINERS, MAX_VALUES = 2_000_000, 10_000_000
"""In one file, before it is parsed: a byte pair such as `[]` becomes 64 bytes in memory."""


class RefusedError(ValueError):
    """What an archive says breaks a rule; the message names it in a phrase."""


def read_json(content: bytes, name: str) -> Any:
    """Parse one JSON file: no NaN, no infinity, no key twice, no more than fits into memory.

    Raises
    ------
    RefusedError
        It is not JSON, or more than it may be.

    """
    containers = content.count(b"[") + content.count(b"{")
    if containers > MAX_CONTAINERS or content.count(b",") > MAX_VALUES:
        raise RefusedError(
            f"{name} may hold {MAX_VALUES:,} values in {MAX_CONTAINERS:,} lists and objects: "
            "it has more"
        )
    try:
        return json.loads(
            content.decode(), object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
    except RefusedError as error:
        raise RefusedError(f"{name}: {error}") from error
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, too deep, too long
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise RefusedError(f"{name} is no JSON: {reason}") from error


def write_json(value: object, indent: int | None = None) -> str:
    """Return text, one line unless indented, that reads back as the same value to the bit."""
    return json.dumps(value, allow_nan=False, indent=indent)


def entries(value: object, name: str, keys: Collection[str]) -> dict[str, Any]:
    """Return an object that has just these keys."""
    if not isinstance(value, dict):
        raise RefusedError(f"{name} must be an object: got {shown(value)}")
    wrong = sorted(set(keys) ^ value.keys())
    if wrong:
        problem = "lacks" if wrong[0] in keys else "has an unknown entry,"
        raise RefusedError(f"{name} {problem} {shown(wrong[0])}")
    return value


def items(value: object, name: str, most: int) -> list[Any]:
    """Return a list of up to `most` values."""
    if not isinstance(value, list):
        raise RefusedError(f"{name} must be a list: got {shown(value)}")
    if len(value) > most:
        raise RefusedError(f"{name} must have up to {most:,} entries: got {len(value):,}")
    return value


def whole(value: object, name: str, least: int, most: int) -> int:
    """Return a whole number within bounds; `true` and 1.0 are none."""
    if type(value) is not int or not least <= value <= most:
        raise RefusedError(
            f"{name} must be a whole number from {least} to {most}: got {shown(value)}"
        )
    return value


def number(value: object, name: str, least: float = -math.inf, most: float = math.inf) -> float:
    """Return a finite float within bounds; a whole number is written with `.0`."""
    if type(value) is not float or not math.isfinite(value) or not least <= value <= most:
        bounds = "" if least == -math.inf else f" from {least:g} to {most:g}"
        raise RefusedError(f"{name} must be a finite float{bounds}: got {shown(value)}")
    return value


def text(value: object, name: str, pattern: re.Pattern[str], rule: str) -> str:
    """Return a string that all of `pattern` matches; `rule` says in words what that is."""
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise RefusedError(f"{name} must be {rule}: got {shown(value)}")
    return value


def line(value: object, name: str, most: int) -> str:
    """Return a string of up to `most` printable characters: no line break, no escape sequence."""
    if not isinstance(value, str) or len(value) > most or not value.isprintable():
        raise RefusedError(f"{name} must be up to {most} printable characters: got {shown(value)}")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise RefusedError(f"an object has {shown(twice)} twice")
    return read


def _refuse_constant(constant: str) -> None:
    raise RefusedError(f"numbers must be finite: got {constant}")

"""Numbers and names as text: for tables, notes and reports alike."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

UNKNOWN = "-"
SMALLEST_P = 1e-4
EXPONENT = re.compile(r"e([+-])0*(\d+)$")


def number(value: float | str | None, digits: int = 3) -> str:
    """Return a number to so many significant digits, e.g. `0.0239` or `1.76e-5`; an int in full.

    It can be typed into a command. A setting's word is returned as it is.
    """
    if isinstance(value, str):
        return value
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if isinstance(value, int):
        return str(value)
    return EXPONENT.sub(lambda match: f"e{match[1].strip('+')}{match[2]}", f"{value:.{digits}g}")


def fixed(value: float | None, digits: int = 4, sign: str = "") -> str:
    """Return a number with so many decimals, so that the points of a column are in line.

    With the `sign` "+" a number that is not negative has one.
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    value = round(value, digits) + 0.0  # the zero of a small negative number has no minus
    return f"{value:{sign}.{digits}f}"


def percent(share: float | None, digits: int = 1, *, sign: str = "", unit: str = "") -> str:
    """Return a share in percent, e.g. `41.3`, with the `unit` "%" after it where one is given."""
    text = UNKNOWN if share is None else fixed(100 * share, digits, sign)
    return text if text == UNKNOWN else text + unit


def between(low: float | None, high: float | None, digits: int = 1, *, sign: str = "") -> str:
    """Return the interval of a share in percent, e.g. `[38.3, 44.4]`."""
    return f"[{percent(low, digits, sign=sign)}, {percent(high, digits, sign=sign)}]"


def p_value(value: float, *, equals: str = "") -> str:
    """Return e.g. `0.039`, with `equals` before it, or `< 0.0001`."""
    return "< 0.0001" if value < SMALLEST_P else f"{equals}{number(value, 2)}"


def counted(count: int, noun: str) -> str:
    """Return e.g. `1 trial` or `50 trials`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def listed(words: Sequence[str]) -> str:
    """Return e.g. `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def plain_name(name: str) -> str:
    """Return a parameter's or metric's name in words, e.g. `learning rate`."""
    return name.replace("_", " ")

"""Numbers and names as the report writes them."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

UNKNOWN = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
LOSS_WORDS = {"softmax": "softmax cross-entropy", "bce": "binary cross-entropy"}
EXPONENT = re.compile(r"e([+-])0*(\d+)$")


def number(value: float | None, digits: int = 3) -> str:
    """Return a number to so many significant digits, e.g. `0.0239` or `1.76e-5`.

    It can be typed into a command, so its minus is a hyphen.
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return EXPONENT.sub(lambda found: f"e{found[1].strip('+')}{found[2]}", f"{value:.{digits}g}")


def fixed(value: float | None, digits: int) -> str:
    """Return a number with so many decimals, so that the points of a column stand in line."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    value = round(value, digits) + 0.0  # the zero of a small negative number has no minus
    return f"{value:.{digits}f}".replace("-", MINUS)


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share in percent without the sign, e.g. `41.3`."""
    return UNKNOWN if share is None else fixed(100 * share, digits)


def between(low: float | None, high: float | None, digits: int = 1) -> str:
    """Return the interval of a share in percent, e.g. `[38.3, 44.4]`."""
    return f"[{percent(low, digits)}, {percent(high, digits)}]"


def counted(count: int, noun: str) -> str:
    """Return e.g. `1 trial` or `50 trials`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def listed(words: Sequence[str]) -> str:
    """Return e.g. `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def plain_name(name: str) -> str:
    """Return a parameter's or metric's name in words, e.g. `learning rate`."""
    return name.replace("_", " ")

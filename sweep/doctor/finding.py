"""What a check found, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How bad it is: as it should be, worth knowing, or wrong."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of `sweep doctor`.

    Attributes
    ----------
    check
        What was looked at.
    level, said
        How it is, in a word and in a phrase.
    details
        Each thing that is wrong, where there may be many.
    advice
        The next step; empty where nothing is to be done.
    unreachable
        Whether it could not be looked at because a store does not answer.

    """

    check: str
    level: Level
    said: str
    details: tuple[str, ...] = ()
    advice: str = ""
    unreachable: bool = False

    def record(self) -> dict[str, Any]:
        """Return plain values for JSON, under stable names."""
        return {
            "check": self.check,
            "level": str(self.level),
            "said": self.said,
            "details": list(self.details),
            "advice": self.advice,
        }


def ok(check: str, said: str) -> Finding:
    """Return that all is as it should be."""
    return Finding(check=check, level=Level.OK, said=said)


def warn(check: str, said: str, advice: str, details: tuple[str, ...] = ()) -> Finding:
    """Return what is worth knowing, and the next step."""
    return Finding(check=check, level=Level.WARN, said=said, details=details, advice=advice)


def fail(check: str, said: str, advice: str, details: tuple[str, ...] = ()) -> Finding:
    """Return what is wrong, and the next step."""
    return Finding(check=check, level=Level.FAIL, said=said, details=details, advice=advice)


def unreachable(check: str, said: str, advice: str) -> Finding:
    """Return that a store does not answer, and the next step."""
    return Finding(check=check, level=Level.FAIL, said=said, advice=advice, unreachable=True)

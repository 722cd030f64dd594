"""What a check of `sweep doctor` found, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

REPAIR = "sweep doctor --repair"


class Level(StrEnum):
    """How bad it is: as it should be, worth knowing, or wrong."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Finding:
    """One line of `sweep doctor`.

    Attributes
    ----------
    level, check, said
        How it is, what was looked at, and the finding in a phrase.
    advice
        The next step; empty where nothing is to be done.
    details
        Each thing that is wrong, where there may be many.
    unreachable
        Whether it could not be looked at because a store does not answer.

    """

    level: Level
    check: str
    said: str
    advice: str = ""
    details: tuple[str, ...] = ()
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

"""When so many trials fail one after another that the space must be the reason."""

from __future__ import annotations

from sweep.errors import SweepError

FAILURES_IN_A_ROW = 10
"""So many trials that fail at one position after another are a mistake in the space."""


class Failures:
    """The positions whose trials failed.

    Trials side by side fail in any order, so the row is one of positions, not of time.
    """

    def __init__(self) -> None:
        self.positions: set[int] = set()

    def add(self, position: int) -> None:
        """Take in that a trial failed."""
        self.positions.add(position)

    def refuse_row(self, study: str, position: int, reason: str) -> None:
        """Raise a SweepError where the trial at `position` makes a row of failures too long."""
        first = last = position
        while first - 1 in self.positions:
            first -= 1
        while last + 1 in self.positions:
            last += 1
        if position in self.positions and last - first + 1 >= FAILURES_IN_A_ROW:
            raise SweepError(
                f"study {study!r}: {last - first + 1} trials in a row failed, the last "
                f"because: {reason}; narrow the space, e.g. --set learning_rate=1e-4:1e-2:log"
            )

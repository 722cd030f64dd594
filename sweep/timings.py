"""Where the wall time of a study goes, by part."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Timings:
    """Seconds spent in each named part; what no part claims is `other`."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the time of the block to a part; parts do not nest."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[name] += time.perf_counter() - began

    def add(self, name: str, seconds: float) -> None:
        """Add time that was measured elsewhere to a part."""
        self._seconds[name] += seconds

    def wall(self) -> float:
        """Return the seconds since this object was made."""
        return time.perf_counter() - self._began

    def seconds(self) -> dict[str, float]:
        """Return the seconds of every part, `other` last; together they are the wall time."""
        parts = dict(self._seconds)
        return {**parts, "other": max(0.0, self.wall() - sum(parts.values()))}

    def __str__(self) -> str:
        wall = self.wall()
        shares = ", ".join(
            f"{name} {100 * seconds / wall:.0f} %" for name, seconds in self.seconds().items()
        )
        return f"{wall:.1f} s: {shares}"

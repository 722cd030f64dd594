"""How far an accuracy may be from the truth, because it was measured on finitely many rows."""

from __future__ import annotations

LEVEL = 0.95


def accuracy_interval(accuracy: float, rows: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval for the share of right answers, as fractions.

    Source: Wilson (1927), JASA 22, 209-212; as in `scipy.stats.binomtest`.
    """
    from scipy.stats import binomtest

    interval = binomtest(round(accuracy * rows), rows).proportion_ci(LEVEL, method="wilson")
    return float(interval.low), float(interval.high)


def percent_with_interval(accuracy: float, rows: int) -> str:
    """Return e.g. `41.3 % [38.3, 44.4]`."""
    low, high = accuracy_interval(accuracy, rows)
    return f"{100 * accuracy:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"

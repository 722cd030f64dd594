"""The answer of a comparison in one plain sentence, which may be that no difference is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweep.comparison.comparison import Answers, Comparison

SHORT = 0.02
"""An interval of accuracies, below which a tenth of a point is too coarse."""


def sentence_of(comparison: Comparison) -> str:
    """Say which study is better, by how much and how surely; or that none is shown to be."""
    pair = len(comparison.answers) == 2  # noqa: PLR2004 - a pair
    return _of_two(comparison) if pair else _of_many(comparison)


def _of_two(comparison: Comparison) -> str:
    (difference,) = comparison.differences
    better = comparison.best
    (other,) = (each for each in comparison.answers if each is not better)
    sign = 1 if better.study == difference.first else -1
    paired = difference.paired
    ends = sorted((sign * paired.low, sign * paired.high))
    rows = f"on {comparison.test_rows:,} test rows, one training of each"
    by, low, high = _points(sign * paired.difference, *ends)
    p_value = _p_value(difference.p_value)
    figures = f"{by} points, 95 % interval {low} to {high}, McNemar's exact p {p_value}"
    if difference.shown:
        return f"{_named(better)} is better than {_named(other)} {rows}: by {figures}."
    sentence = f"No difference shown between {_named(better)} and {_named(other)} {rows}: {figures}"
    if paired.low > 0 or paired.high < 0:
        sentence += " (which decides; the bootstrap's interval is short where few rows differ)"
    return f"{sentence}."


def _of_many(comparison: Comparison) -> str:
    best = comparison.best
    beaten: list[str] = []
    level: list[str] = []
    for difference in comparison.differences:
        pair = (difference.first, difference.second)
        if best.study in pair:
            other = pair[pair[0] == best.study]
            (beaten if difference.shown else level).append(other)
    parts = [f"better than {_listed(beaten)}"] if beaten else []
    if level:
        parts.append(f"no difference shown from {_listed(level)}")
    return (
        f"{_named(best)} has the highest accuracy of {len(comparison.answers)} on "
        f"{comparison.test_rows:,} test rows, one training of each: {'; '.join(parts)} (McNemar's "
        "exact test of every pair, corrected by Holm)."
    )


def _named(answers: Answers) -> str:
    return f"{answers.study} ({100 * answers.test.value:.1f} %)"


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _points(difference: float, low: float, high: float) -> list[str]:
    """Write shares as percent, to the hundredth where the interval is short."""
    digits = 2 if high - low < SHORT else 1
    # + 0: no "-0.0"
    return [f"{round(100 * share, digits) + 0:.{digits}f}" for share in (difference, low, high)]


def _p_value(value: float) -> str:
    return "< 0.0001" if value < 1e-4 else f"= {value:.2g}"  # noqa: PLR2004 - as is usual

"""The best of k trials: what a search of k trials comes to, and how surely that is known.

A trial is a draw from the search: it has a value, or none because it was pruned or diverged. One
without a value costs a draw and never wins, so it ranks below all values. Trials are taken to be
independent draws from one distribution. That holds for a random sampler without a pruner; a
sampler or pruner that learns from the trials before makes this a description of the trials at
hand, and the band only a guide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from sweep.statistics.intervals import LEVEL
from sweep.statistics.order_band import order_band

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweep_model.arrays import Floats


@dataclass(frozen=True, kw_only=True)
class BestOf:
    """The best of k trials for k = 1, 2, ..., in lists with one entry for each k.

    Attributes
    ----------
    trials
        How many were drawn: the length of the lists.
    results
        How many of them have a value.
    expected
        The mean of the best of k, where at least one has a value.
    median
        The best of k exceeds it as often as not; None where that may be no value at all.
    worst, best
        A band around the median that holds for all k at once at `level`: the median is no worse
        than `worst` and no better than `best`. None where the trials set no bound.
    level
        Of the band.

    """

    trials: int
    results: int
    expected: list[float]
    median: list[float | None]
    worst: list[float | None]
    best: list[float | None]
    level: float


def best_of(
    values: Sequence[float],
    *,
    without: int = 0,
    direction: Literal["maximize", "minimize"] = "maximize",
    level: float = LEVEL,
) -> BestOf:
    """Describe the best of k trials, of which some have `values` and some are `without`.

    Without any value the lists are empty.

    The median of the best of k is the quantile q = 0.5^(1/k) of one trial's distribution F, since
    the best of k does not exceed y with the probability F(y)^k. If a_i <= F(y_(i)) <= b_i holds for
    all order statistics y_(1) <= ... <= y_(n) at once, then the quantile is at least every y_(i)
    with b_i <= q and at most every y_(i) with a_i >= q. See `order_band` for a and b, which
    are exact for any continuous F, and on the safe side where values tie.

    Source: Lourie, Cho and He, "Show Your Work with Confidence: Confidence Bands for Tuning
    Curves", NAACL 2024 (arXiv 2311.09480). The band is the median's, because a bound of the mean
    from above would be little less than the largest possible value, whatever the trials.

    Raises
    ------
    ValueError
        A value is not finite.

    """
    if not np.isfinite(values).all():
        raise ValueError(f"values must be finite, got {list(values)!r}")
    sign = 1 if direction == "maximize" else -1
    ranked = sign * np.sort(sign * np.asarray(values, dtype=np.float64))  # the worst first
    drawn = len(ranked) + without if len(ranked) else 0
    # by rank, from 0 for what no order statistic bounds from below; no value is worse than any
    from_below: list[float | None] = [None] * (without + 1) + ranked.tolist()
    from_above: list[float | None] = ranked[:1].repeat(without).tolist() + ranked.tolist() + [None]
    quantiles = 0.5 ** (1 / np.arange(1, drawn + 1))
    lower, upper = order_band(drawn, level) if drawn else (np.empty(0), np.empty(0))
    at = np.ceil(drawn * quantiles).astype(int)
    return BestOf(
        trials=drawn,
        results=len(ranked),
        expected=expected_best(ranked, without=without),
        median=[from_below[i] for i in at],
        worst=[from_below[i] for i in np.searchsorted(upper, quantiles, side="right")],
        best=[from_above[i] for i in np.searchsorted(lower, quantiles, side="left")],
        level=level,
    )


def expected_best(ranked: Floats, *, without: int = 0) -> list[float]:
    """Return the mean best of k trials for k = 1 to n, the worst of `ranked` (m,) coming first.

    It is the mean over all choices of k of the n trials without replacement that hold at least
    one value:

        sum_j y_(j) C(n - m + j - 1, k - 1) / (C(n, k) - C(n - m, k))

    which for m = n is the unbiased estimate of E[max of k]; drawing with replacement, as was
    done before, is biased downwards.

    Source: Tang et al., "Showing Your Work Doesn't Always Work", ACL 2020; Dodge et al., "Show Your
    Work", EMNLP 2019, for the estimate with replacement.
    """
    drawn = len(ranked) + without if len(ranked) else 0
    before = np.arange(without, drawn)
    # the best of k is a trial if the other k - 1 are among those before it: C(before, k - 1)
    # choices of C(n, k), here from those of k - 1
    shares = np.full(len(ranked), 1 / max(drawn, 1))
    means = []
    for k in range(1, drawn + 1):
        if k > 1:
            shares *= np.maximum(before - k + 2, 0) * (k / ((k - 1) * (drawn - k + 1)))
        means.append(float(shares @ ranked / shares.sum()))
    return means

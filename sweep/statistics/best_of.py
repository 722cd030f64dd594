"""The best of k trials: what a search of k trials comes to, and how surely that is known.

A trial is a draw from the search: it has a value, or none because it was pruned or failed. One
without a value costs a draw and never wins, so it ranks below all values. Trials are taken to be
independent draws from one distribution. That holds for a random sampler without a pruner; a
sampler or pruner that learns from the trials before makes this a description of the trials at
hand, and the band only a guide.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from sweep.statistics.intervals import LEVEL

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


@cache
def order_band(count: int, level: float) -> tuple[Floats, Floats]:
    """Return a (n,) and b (n,) such that all a_i <= F(y_(i)) <= b_i with the probability `level`.

    F(y_(i)) of n independent draws is distributed as the i-th of n sorted uniform numbers,
    Beta(i, n + 1 - i), whatever the continuous F. Every order statistic gets the equal-tailed
    interval of its own Beta distribution, all with the same small tail, which is chosen so that
    all of them hold at once with just `level`. Unlike the band of Kolmogorov and Smirnov (or of
    Dvoretzky, Kiefer and Wolfowitz), which is equally wide everywhere, this one is narrow where
    it matters here, at the best trials.

    Source: DeStefano and Learned-Miller, "A Probabilistic Upper Bound on Differential Entropy",
    IEEE Transactions on Information Theory 54 (2008); Aldor-Noiman et al., "The Power to See",
    The American Statistician 67 (2013). Both find the tail by simulation, here it is calculated.

    Raises
    ------
    ValueError
        There is no draw, or `level` does not lie between 0 and 1.

    """
    from scipy.optimize import brentq

    if count < 1 or not 0 < level < 1:
        raise ValueError(f"a band needs {count=} of 1 or more and {level=} between 0 and 1")

    def excess(log_tail: float) -> float:
        return coverage(*_intervals(count, np.exp(log_tail))) - level

    miss = 1 - level
    # the tail lies between Bonferroni's, which is too careful, and that of a single interval
    ends = np.log(miss / (2 * count)) - SLACK, np.log(miss / 2) + SLACK
    return _intervals(count, np.exp(brentq(excess, *ends, xtol=1e-9)))


SLACK = 1e-6  # for one draw both ends are the answer, to within rounding


def _intervals(count: int, tail: float) -> tuple[Floats, Floats]:
    from scipy.stats import beta

    i = np.arange(1, count + 1)
    return beta.ppf(tail, i, count + 1 - i), beta.isf(tail, i, count + 1 - i)


def coverage(lower: Floats, upper: Floats) -> float:
    """Return the probability that n sorted uniform numbers all lie in [lower_i, upper_i].

    The bounds (n,) must not decrease. N(t), how many of the numbers are at most t, must then be
    below i until lower_i and at least i from upper_i on. It is followed from bound to bound as a
    Poisson process of the rate n, whose increments are independent; given that it ends at n, the
    points of such a process are n uniform numbers. All terms are positive, so nothing cancels.

    Source: Moscovich and Nadler (2017), Statistics & Probability Letters 123, 177-182, going
    back to Khmaladze and Shinjikashvili (2001); the convolutions are done directly over the few
    counts that are possible.
    """
    from scipy.stats import poisson

    count = len(lower)
    times = np.unique(np.concatenate([lower, upper, [1.0]]))
    most = np.searchsorted(lower, times)
    least = np.searchsorted(upper, times, side="right")
    first, chances = 0, np.ones(1)  # of N(0) = 0
    for step, low, high in zip(np.diff(times, prepend=0.0), least, most, strict=True):
        reach = max(high - first, 0) + 1
        arrivals = poisson.pmf(np.arange(reach), count * step)
        chances = np.convolve(chances, arrivals)[max(low - first, 0) : high - first + 1]
        first = max(low, first)
        if len(chances) == 0:
            return 0.0
    return float(chances[-1] / poisson.pmf(count, count))

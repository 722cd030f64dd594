"""Bounds for all order statistics of a sample at once, exact for every continuous distribution."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sweep_model.arrays import Floats


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

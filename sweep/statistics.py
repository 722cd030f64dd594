"""Pure numbers: what may be concluded from rows and trials, and how surely."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from sweep.formatting import between, percent
from sweep_model.losses import BCE, SOFTMAX, normalised
from sweep_model.metrics import (
    TOP,
    calibration_bins,
    expected_calibration_error,
    in_top5,
    log_loss,
    true_class_probability,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sweep_model import Floats, Labels, Mask
from sweep_model.losses import Loss

LEVEL = 0.95
"""Of every interval that this project reports."""
Z = statistics.NormalDist().inv_cdf((1 + LEVEL) / 2)
"""Standard deviations of the normal distribution to each side of such an interval."""


def accuracy_interval(accuracy: float, rows: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval for the share of right answers, as fractions.

    Rows are taken to be independent. Where folds validate each row once, models that share training
    rows err alike, so that it is a little narrow; no estimate without bias exists (Bengio and
    Grandvalet, JMLR 5, 2004, 1089-1105).

    Source: Wilson (1927), JASA 22, 209-212; as `scipy.stats.binomtest` has it, whose import takes
    longer than all else of `sweep best`.
    """
    low, high = _wilson(np.array([round(accuracy * rows)]), np.array([rows]), Z)
    return float(low[0]), float(high[0])


def _wilson(right: Labels, rows: Labels, z: float) -> tuple[Floats, Floats]:
    """Return the ends of Wilson's intervals for shares (m,), z standard deviations to each side."""
    share, weight = right / rows, 1 + z**2 / rows
    middle = (share + z**2 / (2 * rows)) / weight
    half = z * np.sqrt(share * (1 - share) / rows + (z / (2 * rows)) ** 2) / weight
    return np.where(right == 0, 0, middle - half), np.where(right == rows, 1, middle + half)


def percent_with_interval(accuracy: float, rows: int) -> str:
    """Return e.g. `41.3 % [38.3, 44.4]`."""
    low, high = accuracy_interval(accuracy, rows)
    return f"{percent(accuracy)} % {between(low, high)}"


class Estimate(NamedTuple):
    """A metric of some rows, and its 95 % interval; of several models the mean.

    `sd` is the standard deviation between them, None for a single one.
    """

    value: float
    low: float
    high: float
    sd: float | None = None

    def metrics(self, name: str) -> dict[str, float]:
        """Return it as MLflow is to know it."""
        spread = {} if self.sd is None else {f"{name}_sd": self.sd}
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high, **spread}

    def record(self) -> dict[str, float]:
        """Return plain values for JSON."""
        return {name: value for name, value in self._asdict().items() if value is not None}


def mean_estimates(models: Sequence[Mapping[str, Estimate]]) -> dict[str, Estimate]:
    """Return by name the mean of each metric over models of the same rows; of one itself.

    The interval is the mean of theirs: it is about other rows, not about other models, and no
    narrower than it has to be, since a mean's deviation is at most the mean of the deviations.
    """
    first, *others = models
    if not others:
        return dict(first)
    means = {}
    for name in first:
        each = [model[name] for model in models]
        means[name] = Estimate(
            statistics.fmean(one.value for one in each),
            statistics.fmean(one.low for one in each),
            statistics.fmean(one.high for one in each),
            sd=statistics.stdev(one.value for one in each),
        )
    return means


def estimates(blocks: Iterable[Floats], labels: Labels, loss: Loss) -> dict[str, Estimate]:
    """Return every metric of rows with labels (n,), by name; their scores (m, k) come in blocks.

    Intervals of shares of rows are Wilson's, those of means over classes combine Wilson's of each
    class (see `balanced_accuracy` and `macro_f1`), that of the log loss is `mean_interval`. A top 5
    of up to five classes says nothing and is left out.
    """
    predicted, in_top, losses, start, k = [], [], [], 0, 0
    for scores in blocks:
        own, k = labels[start : start + len(scores)], scores.shape[1]
        predicted.append(scores.argmax(axis=1))
        in_top.append(in_top5(scores, own, loss))
        losses.append(log_loss(scores, own, loss))
        start += len(scores)
    taken, n = np.concatenate(predicted), len(labels)
    shares = {"accuracy": float((taken == labels).mean())}
    if k > TOP:
        shares["top5_accuracy"] = float(np.concatenate(in_top).mean())
    lost = mean_interval(np.concatenate(losses).astype(np.float64))
    return {
        **{name: Estimate(share, *accuracy_interval(share, n)) for name, share in shares.items()},
        "balanced_accuracy": balanced_accuracy(taken, labels, k),
        "macro_f1": macro_f1(taken, labels, k),
        "log_loss": lost._replace(low=max(0.0, lost.low)),
    }


def mean_interval(values: Floats) -> Estimate:
    """Return the mean of values (n,) of rows with its 95 % interval by the normal distribution."""
    half = Z * values.std() / math.sqrt(len(values))
    return Estimate(float(values.mean()), float(values.mean() - half), float(values.mean() + half))


def balanced_accuracy(predicted: Labels, labels: Labels, k: int) -> Estimate:
    """Return the mean accuracy over those of k classes that have rows, both labels (n,).

    Its interval is the stratified Wilson interval, see `_stratified`.
    """
    rows = np.bincount(labels, minlength=k)
    right = np.bincount(labels[predicted == labels], minlength=k)
    return _stratified(right[rows > 0], rows[rows > 0])


def macro_f1(predicted: Labels, labels: Labels, k: int) -> Estimate:
    """Return the mean F1 over those of k classes that occur in labels or predictions, both (n,).

    F_i = 2 J_i / (1 + J_i) increases with J_i, the share of right rows among those of class i or
    taken for it: the ends of Wilson's interval of J_i give those of one of F_i. A wrong row moves
    two classes, so the sum over classes varies more than if they were independent, up to twice as
    much: the delta method says how much, and is not asked where nothing varies.

    Source: Lam, Gopal and Qian, "Confidence intervals for the F1 score", arXiv:2309.14621, 2023,
    for one class; Takahashi et al., "Confidence interval for micro-averaged F1 and macro-averaged
    F1 scores", Applied Intelligence 52, 2022, for the variance of the sum.
    """
    hit = predicted == labels
    right = np.bincount(labels[hit], minlength=k)
    either = np.bincount(labels, minlength=k) + np.bincount(predicted, minlength=k)
    right, rows = right[either > 0], (either - right)[either > 0]
    alone = float((4 / (1 + right / rows) ** 4 * right * (rows - right) / rows**3).sum())
    f1 = 2 * np.bincount(labels[hit], minlength=k) / np.maximum(either, 1)
    # dF / dp_ij / n of a row of class i that is taken for j
    moved = (2 * hit - f1[labels]) / either[labels] - f1[predicted] / either[predicted]
    times = len(labels) * float(moved.var()) / alone if alone else 2.0
    return _stratified(right, rows, lambda share: 2 * share / (1 + share), times)


def _stratified(
    right: Labels,
    rows: Labels,
    of_share: Callable[[Floats], Floats] = lambda share: share,
    times: float = 1.0,
) -> Estimate:
    """Return the mean of a function of shares right / rows (m,) with its stratified interval.

    Its ends are the means of the shares' own at z standard deviations, such that half of its width
    is Z standard deviations of the mean: sum h_i = Z sqrt(times sum (h_i / z)^2) for half widths
    h_i at z, `times` being the variance of the sum over that of independent shares. Where all
    shares are 1 the h_i are not 0; for classes of one size the interval is Wilson's of all rows.

    Source: Yan and Su, "Stratified Wilson and Newcombe confidence intervals for multiple binomial
    proportions", Statistics in Biopharmaceutical Research 2, 2010, 329-335. They take z from
    p (1 - p) / n, which is 0 where all are right; Wilson's h_i / z are not.
    """

    def ends(z: float) -> tuple[Floats, Floats]:
        low, high = _wilson(right, rows, z)
        return of_share(low), of_share(high)

    z = Z * math.sqrt(min(1.0, times / len(rows)))
    for _ in range(20):  # to the fixed point
        low, high = ends(z)
        half = high - low
        z = Z * min(1.0, math.sqrt(times * float((half**2).sum())) / float(half.sum()))
    low, high = ends(z)
    value = of_share(right / rows)
    return Estimate(float(value.mean()), float(low.mean()), float(high.mean()))


def t_half_width(values: Sequence[float]) -> float:
    """Return half the width of Student's 95 % interval of a mean; NaN for one value, or a NaN."""
    from scipy.stats import t

    n = len(values)
    if n < 2 or not all(map(math.isfinite, values)):  # noqa: PLR2004 - one value has no spread
        return math.nan
    return float(t.ppf((1 + LEVEL) / 2, n - 1)) * statistics.stdev(values) / math.sqrt(n)


@dataclass(frozen=True, kw_only=True)
class Share:
    """How many of some rows were predicted rightly.

    Attributes
    ----------
    right, rows
        Counts; there is at least one row.
    value
        right / rows.
    low, high
        Wilson's 95 % interval of it.

    """

    right: int
    rows: int
    value: float
    low: float
    high: float

    @classmethod
    def of(cls, right: int, rows: int) -> Share:
        """Measure `right` of `rows`, at least one."""
        low, high = accuracy_interval(right / rows, rows)
        return cls(right=right, rows=rows, value=right / rows, low=low, high=high)


ROUNDING = 1e-12
"""Of a cumulated Fourier transform, generously; it must not move an end that a tie decides."""


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """By how much the first classifier is right more often than the second.

    Attributes
    ----------
    both, first_only, second_only, neither
        On how many rows they were right.
    difference
        The first's accuracy less the second's.
    low, high
        The paired bootstrap interval of the difference, at `level`.
    p_value
        Of McNemar's exact test, two-sided.

    """

    both: int
    first_only: int
    second_only: int
    neither: int
    difference: float
    low: float
    high: float
    level: float
    p_value: float


def compare_paired(first: Mask, second: Mask, *, level: float = LEVEL) -> PairedDifference:
    """Compare two classifiers by which of the same rows, (n,), each predicted rightly.

    Raises
    ------
    ValueError
        There are no rows, or the two were not asked about the same ones.

    """
    if first.shape != second.shape or len(first) == 0:
        raise ValueError(
            "a paired comparison needs the same rows, at least one: "
            f"got {first.shape} and {second.shape}"
        )
    only = int((first & ~second).sum()), int((second & ~first).sum())
    low, high = difference_interval(*only, len(first), level=level)
    return PairedDifference(
        both=int((first & second).sum()),
        first_only=only[0],
        second_only=only[1],
        neither=int((~first & ~second).sum()),
        difference=(only[0] - only[1]) / len(first),
        low=low,
        high=high,
        level=level,
        p_value=mcnemar(*only),
    )


def mcnemar(first_only: int, second_only: int) -> float:
    """Return the p value of McNemar's exact test, two-sided.

    If neither classifier is better, each row on which just one is right is as likely to be the
    first's as the second's: Binomial(first_only + second_only, 1/2). Without such rows p is 1.
    Rows are taken to be independent, and the classifiers as they are: the test knows nothing of
    what other seeds would have trained.

    Source: McNemar (1947), Psychometrika 12, 153-157; in its exact form Agresti, "Categorical
    Data Analysis", 3rd edition, chapter 11. For classifiers: Dietterich (1998), Neural
    Computation 10, 1895-1923.
    """
    from scipy.stats import binomtest

    disagreements = first_only + second_only
    return float(binomtest(first_only, disagreements).pvalue) if disagreements else 1.0


def difference_interval(
    first_only: int, second_only: int, rows: int, *, level: float = LEVEL
) -> tuple[float, float]:
    """Return the percentile interval of the paired bootstrap, with its infinitely many resamples.

    A resample of the rows changes the difference by what it draws of three kinds of rows: +1, -1
    and 0 in a share of first_only, second_only and all others. So the bootstrap distribution of
    n times the difference is that of a sum of n independent such draws: the coefficients of
    (p- / z + p0 + p+ z)^n, here by a Fourier transform of length 2n + 1. It is what
    `scipy.stats.bootstrap(..., paired=True, method="percentile")` tends to with more resamples,
    without its 9,999 draws of n rows (10^8 for CIFAR-10, a second and more) and without a seed.

    Where the two never disagree the interval is [0, 0]: a bootstrap knows nothing of what it has
    not seen. McNemar's test, which decides, does not rest on it.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    probabilities = np.zeros(2 * rows + 1)
    probabilities[[0, 1, -1]] = rows - first_only - second_only, first_only, second_only
    sums = np.fft.ifft(np.fft.fft(probabilities / rows) ** rows).real
    distribution = np.cumsum(np.clip(np.fft.fftshift(sums), 0, None))
    distribution /= distribution[-1]
    tail = (1 - level) / 2
    low = int(np.searchsorted(distribution, tail - ROUNDING))
    high = int(np.searchsorted(distribution, 1 - tail - ROUNDING))
    return (low - rows) / rows, (high - rows) / rows


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values that may be judged together, in the same order.

    The chance of even one false finding among them stays below the level, however the tests
    depend on each other: the i-th smallest of m is multiplied by m - i + 1, and none becomes
    smaller than one before it.

    Source: Holm (1979), Scandinavian Journal of Statistics 6, 65-70.
    """
    count = len(p_values)
    order = np.argsort(p_values, kind="stable")
    ranked: Floats = np.asarray(p_values, dtype=np.float64)[order]
    ranked = np.minimum(1, np.maximum.accumulate(ranked * (count - np.arange(count))))
    adjusted = np.empty(count)
    adjusted[order] = ranked
    return adjusted.tolist()


@dataclass(frozen=True, kw_only=True)
class BestOf:
    """The best of k trials for k = 1, 2, ..., as what a search of k trials comes to.

    Attributes
    ----------
    trials
        How many were drawn: the length of `expected`.
    results
        How many of them have a value.
    expected
        The mean of the best of k, where at least one has a value; see `expected_best`.

    """

    trials: int
    results: int
    expected: list[float]


def best_of(
    values: Sequence[float],
    *,
    without: int = 0,
    direction: Literal["maximize", "minimize"] = "maximize",
) -> BestOf:
    """Describe the best of k trials, of which some have `values` and some are `without`.

    A trial is a draw from the search: it has a value, or none because it was pruned or failed. One
    without a value costs a draw and never wins. Where no trial has a value, `expected` is empty.

    Raises
    ------
    ValueError
        A value is not finite.

    """
    if not np.isfinite(values).all():
        raise ValueError(f"values must be finite, got {list(values)!r}")
    sign = 1 if direction == "maximize" else -1
    worst_first = sign * np.sort(sign * np.asarray(values, dtype=np.float64))
    expected = expected_best(worst_first, without=without)
    return BestOf(trials=len(expected), results=len(values), expected=expected)


def expected_best(ranked: Floats, *, without: int = 0) -> list[float]:
    """Return the mean best of k trials for k = 1 to n, the worst of `ranked` (m,) coming first.

    It is the mean over all choices of k of the n trials without replacement that hold at least
    one value:

        sum_j y_(j) C(n - m + j - 1, k - 1) / (C(n, k) - C(n - m, k))

    which for m = n is the unbiased estimate of E[max of k], where trials are independent draws
    from one distribution. That holds for a random sampler without a pruner; a sampler or pruner
    that learns from the trials before makes this a description of the trials at hand.

    Source: Tang et al., "Showing Your Work Doesn't Always Work", ACL 2020; Dodge et al., "Show Your
    Work", EMNLP 2019, for the estimate with replacement, which is biased downwards.
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


BINS = 20
"""Equal bins of the histograms, from 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What one way of making probabilities of scores says.

    Attributes
    ----------
    name
        `softmax`, `sigmoid` or `sigmoid, normalised`.
    right, wrong
        Histograms of the probability given to the true class, over rows predicted rightly and
        wrongly, in equal bins from 0 to 1.
    calibration_error
        The expected calibration error: the mean distance of the share of right answers from the
        probability of the predicted class, over equal bins of that probability.

    """

    name: str
    right: list[int]
    wrong: list[int]
    calibration_error: float


def outputs_of(scores: Floats, labels: Labels, loss: Loss) -> list[Outputs]:
    """Describe scores (n, k) of rows with labels (n,) in each way that the loss has.

    Sigmoids of different classes do not add up to 1: besides as they are, they are described
    divided by their sum, which makes them comparable with a softmax.
    """
    scores = scores.astype(np.float64)  # in float32 the sigmoids of two scores above 17 are equal
    right = scores.argmax(axis=1) == labels
    if loss != BCE:
        return [_describe(loss.name, loss.probabilities(scores), labels, right)]
    comparable = SOFTMAX.probabilities(normalised(scores, loss))
    return [
        _describe("sigmoid", loss.probabilities(scores), labels, right),
        _describe("sigmoid, normalised", comparable, labels, right),
    ]


def _describe(name: str, probabilities: Floats, labels: Labels, right: Mask) -> Outputs:
    given = true_class_probability(probabilities, labels)
    return Outputs(
        name=name,
        right=_histogram(given[right]),
        wrong=_histogram(given[~right]),
        calibration_error=expected_calibration_error(calibration_bins(probabilities, labels)),
    )


def _histogram(values: Floats) -> list[int]:
    # what a rounding has put above 1 belongs to the last bin
    counts: list[int] = np.histogram(np.clip(values, 0, 1), BINS, (0, 1))[0].tolist()
    return counts

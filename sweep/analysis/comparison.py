"""What a comparison of studies found: all that its sentence, tables and figures need."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sweep.formatting import listed, p_value, percent
from sweep.statistics import BestOf, Outputs, PairedDifference, Share  # noqa: TC001 - as above

if TYPE_CHECKING:
    from collections.abc import Mapping

SIGNIFICANT = 0.05
"""Below this p value a difference counts as shown."""
SHORT = 0.02
"""An interval of accuracies, below which a tenth of a point is too coarse."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """What a study's search came to.

    Attributes
    ----------
    complete, pruned, failed
        How many trials ended in each way.
    best_of
        The best of k drawn settings; the first trial of a study is given, not drawn.
    drawn_independently
        Whether the assumptions of `best_of` hold: a random sampler and no pruner.

    """

    complete: int
    pruned: int
    failed: int
    best_of: BestOf
    drawn_independently: bool


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a study's selected trial answers on the test rows.

    Attributes
    ----------
    trial, weights_digest
        The selected trial, and what it ended with.
    seeds, confirmed_mean, confirmed_error
        On how many fresh seeds the setting was confirmed, and its mean objective with the
        standard error; 0 and None where it was not confirmed.
    openings
        How often the test rows have been opened for this study, this comparison included.
    train_accuracy
        On all training rows, as the search recorded it after the last epoch.
    val, test, per_class
        Accuracy on validation rows, test rows, and test rows of each class; None for a class
        without.
    confusion
        Entry [i][j]: how many test rows of class i were taken for class j.
    outputs
        What the probabilities said; a bce has them as they are, and normalised.

    """

    study: str
    study_id: str
    loss: str
    trial: int
    weights_digest: str
    setting: dict[str, float | str]
    seeds: int
    confirmed_mean: float | None
    confirmed_error: float | None
    openings: int
    train_accuracy: float
    val: Share
    test: Share
    per_class: list[Share | None]
    confusion: list[list[int]]
    outputs: list[Outputs]
    search: Search

    @property
    def gap(self) -> float:
        """Accuracy on the training rows less that on the test rows."""
        return self.train_accuracy - self.test.value


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How two of the studies differ on the test rows.

    Attributes
    ----------
    paired
        The first's accuracy less the second's. With more than one pair its interval is
        Bonferroni's, so that all intervals hold together at 95 %.
    p_value
        McNemar's, corrected by Holm for the number of pairs.

    """

    first: str
    second: str
    paired: PairedDifference
    p_value: float

    @property
    def shown(self) -> bool:
        """Whether one of the two is better, as far as these rows can tell."""
        return self.p_value < SIGNIFICANT

    @property
    def better(self) -> str | None:
        """The name of the better one; None where no difference is shown."""
        if not self.shown:
            return None
        return self.first if self.paired.difference > 0 else self.second


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The selected trials of some studies on the same test rows.

    Every pair is tested, not each study against the best: which one is the best is known from
    the same rows, and a test against it alone would not count the others that it was picked from.

    Attributes
    ----------
    made
        When, in ISO format.
    metric, direction
        What measures the best of k trials, and which way is better: the common objective of the
        studies where their values can be compared, else the validation accuracy.
    answers, differences
        One for each study, in the order in which they were named; one for each pair.
    caveats
        What makes the comparison less fair or less sure than it looks.

    """

    made: str
    data: str
    data_digest: str
    split_digest: str
    test_digest: str
    test_rows: int
    class_names: list[str]
    metric: str
    direction: str
    answers: list[Answers]
    differences: list[Difference]
    caveats: list[str]

    @property
    def studies(self) -> list[str]:
        """The names of the studies."""
        return [answer.study for answer in self.answers]

    @property
    def best(self) -> Answers:
        """The study with the highest test accuracy, of equals the first."""
        return max(self.answers, key=lambda answer: answer.test.right)

    @property
    def key(self) -> str:
        """Of its run in MLflow, which no other comparison has."""
        content = json.dumps(asdict(self), sort_keys=True).encode()
        return f"compare-{hashlib.sha256(content).hexdigest()[:32]}"

    @property
    def sentence(self) -> str:
        """The answer in one plain sentence."""
        return _of_two(self) if len(self.answers) == 2 else _of_many(self)  # noqa: PLR2004 - a pair

    def record(self) -> dict[str, Any]:
        """Return plain values for JSON; `from_record` reads them back."""
        return {"sentence": self.sentence, "run_key": self.key, **asdict(self)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Comparison:
        """Read back what `record` returned, here or in a version that recorded more.

        Raises
        ------
        ValueError
            The record lacks what this version needs.

        """
        from pydantic import TypeAdapter

        return TypeAdapter(cls).validate_python(record)


def _of_two(comparison: Comparison) -> str:
    """Say which study is better, by how much and how surely; or that none is shown to be."""
    (difference,) = comparison.differences
    better = comparison.best
    (other,) = (answer for answer in comparison.answers if answer is not better)
    sign = 1 if better.study == difference.first else -1
    paired = difference.paired
    ends = sorted((sign * paired.low, sign * paired.high))
    rows = f"on {comparison.test_rows:,} test rows, one training of each"
    by, low, high = _points(sign * paired.difference, *ends)
    p = p_value(difference.p_value, equals="= ")
    figures = f"{by} points, 95 % interval {low} to {high}, McNemar's exact p {p}"
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
    parts = [f"better than {listed(beaten)}"] if beaten else []
    if level:
        parts.append(f"no difference shown from {listed(level)}")
    return (
        f"{_named(best)} has the highest accuracy of {len(comparison.answers)} on "
        f"{comparison.test_rows:,} test rows, one training of each: {'; '.join(parts)} (McNemar's "
        "exact test of every pair, corrected by Holm)."
    )


def _named(answers: Answers) -> str:
    return f"{answers.study} ({percent(answers.test.value)} %)"


def _points(difference: float, low: float, high: float) -> list[str]:
    """Write shares as percent, to the hundredth where the interval is short."""
    digits = 2 if high - low < SHORT else 1
    return [percent(share, digits) for share in (difference, low, high)]

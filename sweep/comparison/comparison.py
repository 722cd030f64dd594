"""What a comparison of studies found: all that its sentence, tables and figures need."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sweep.comparison.parts import Answers, Search
from sweep.comparison.sentence import sentence_of
from sweep.statistics.paired import PairedDifference
from sweep.statistics.place import Place

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Answers", "Comparison", "Difference", "Place", "Search"]

SIGNIFICANT = 0.05
"""Below this p value a difference counts as shown."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How two of the studies differ on the test rows.

    Attributes
    ----------
    first, second
        The studies' names.
    paired
        The difference of their accuracies. With more than one pair its interval is Bonferroni's,
        so that all intervals hold together at 95 %.
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
    """The chosen trials of some studies on the same test rows.

    Every pair is tested, not each study against the best: which one is the best is known from
    the same rows, and a test against it alone would not count the others that it was picked from.

    Attributes
    ----------
    made
        When, in ISO format.
    run_id
        The MLflow run that shows it.
    data, data_digest, split_digest, test_digest
        The rows.
    test_rows, class_names
        How many, of which classes.
    metric, direction
        What the best of k trials is told in, and which way is better: the common objective of the
        studies where their values can be compared, else the validation accuracy.
    answers
        One for each study, in the order in which they were named.
    differences
        Of every pair, in the same order.
    cautions
        What makes the comparison less fair or less sure than it looks.

    """

    made: str
    run_id: str
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
    cautions: list[str]

    @property
    def studies(self) -> list[str]:
        """The names of the studies."""
        return [each.study for each in self.answers]

    @property
    def best(self) -> Answers:
        """The study with the highest test accuracy, of equals the first."""
        return max(self.answers, key=lambda each: each.test.right)

    @property
    def sentence(self) -> str:
        """The answer in one plain sentence."""
        return sentence_of(self)

    def record(self) -> dict[str, Any]:
        """Return plain values for JSON; `from_record` reads them back."""
        return {"sentence": self.sentence, **asdict(self)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Comparison:
        """Read back what `record` returned."""
        differences = [
            Difference(**{**each, "paired": PairedDifference(**each["paired"])})
            for each in record["differences"]
        ]
        answers = [Answers.from_record(each) for each in record["answers"]]
        plain = {name: value for name, value in record.items() if name != "sentence"}
        return cls(**{**plain, "answers": answers, "differences": differences})

"""The test rows: `sweep test` and `sweep compare` open them for a study, which keeps count."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sweep.analysis.runs import refit_key, run_key
from sweep.analysis.selection import fetch_classifier
from sweep.search import TEST_OPENINGS, metric_name, record_lock
from sweep.statistics import accuracy_interval
from sweep_model.metrics import accuracy, per_class_accuracy

if TYPE_CHECKING:
    from sweep.data import Source
    from sweep.search import StudyRecord, TrialRecord
    from sweep.tracking import Tracker
    from sweep_model.classifier import LinearClassifier


@dataclass(frozen=True)
class HeldOutResult:
    """The accuracy on the test rows, as fractions, with Wilson's 95 % interval."""

    accuracy: float
    low: float
    high: float
    rows: int
    per_class: dict[str, float]

    def record(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    def metrics(self) -> dict[str, float]:
        """Return it as MLflow is to know it."""
        return {
            "test/accuracy": self.accuracy,
            "test/accuracy_low": self.low,
            "test/accuracy_high": self.high,
            **{
                f"test_accuracy_of/{metric_name(name)}": share
                for name, share in self.per_class.items()
            },
        }


def evaluate_on_test_rows(classifier: LinearClassifier, source: Source) -> HeldOutResult:
    """Open the test rows and evaluate a classifier on them."""
    rows = source.test()
    predicted = classifier.predict(rows.rows)
    share = accuracy(predicted, rows.labels)
    low, high = accuracy_interval(share, len(rows.labels))
    shares = per_class_accuracy(predicted, rows.labels, len(classifier.class_names))
    return HeldOutResult(
        accuracy=share,
        low=low,
        high=high,
        rows=len(rows.labels),
        per_class={
            name: float(value)
            for name, value in zip(classifier.class_names, shares, strict=True)
            if value == value  # noqa: PLR0124 - NaN: a class without test rows
        },
    )


def refuse_without_test_rows(source: Source) -> None:
    """Raise the source's own error where it has no test rows, before anything else is done."""
    if not source.has_test:
        source.test()


def open_test_rows(
    study: StudyRecord,
    trial: TrialRecord,
    source: Source,
    tracker: Tracker,
    *,
    refit: bool = False,
) -> tuple[HeldOutResult, int]:
    """Evaluate the selected trial on the test rows; return how often they have been opened.

    A `refit` is what `sweep.analysis.refit` makes of it.
    """
    refuse_without_test_rows(source)
    classifier = fetch_classifier(study, trial, tracker)
    with record_lock(study.workspace, study.name):
        openings = [*study.attribute(TEST_OPENINGS, [])]
        opening = {"trial": trial.number, "time": datetime.now(UTC).isoformat()}
        openings.append(opening | ({"refit": True} if refit else {}))
        # Counted before anything is seen.
        study.set_attribute(TEST_OPENINGS, openings)
        result = evaluate_on_test_rows(classifier, source)
        openings[-1]["result"] = result.record()
        study.set_attribute(TEST_OPENINGS, openings)
    own = refit_key(study, trial.number) if refit else run_key(study, trial)
    for key in (own, study.identity):
        for run in tracker.runs(run_key=key):
            # The step is how often the rows have been opened.
            tracker.log_metrics(run.info.run_id, result.metrics(), len(openings))
    return result, len(openings)

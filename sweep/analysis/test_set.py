"""The test rows: `sweep test` and `sweep compare` open them for a study, which keeps count."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from sweep.analysis.runs import refit_key, run_key
from sweep.analysis.selection import fetch_classifier
from sweep.search import TEST_OPENINGS, metric_name, record_lock
from sweep.statistics import Estimate, estimates, mean_estimates
from sweep_model.metrics import per_class_accuracy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweep.data import Source
    from sweep.search import StudyRecord, TrialRecord
    from sweep.tracking import Tracker
    from sweep_model.classifier import LinearClassifier


@dataclass(frozen=True)
class HeldOutResult:
    """What the test rows say.

    Attributes
    ----------
    accuracy : the fraction of them that is predicted rightly, with Wilson's 95 % interval.
    per_class : the same of each class that has rows.
    further : other metrics by name, with 95 % intervals, see `sweep.statistics.estimates`.
    draws : the accuracy of each draw's model; all else is the mean over them. Empty without draws.
    """

    accuracy: float
    low: float
    high: float
    rows: int
    per_class: dict[str, float]
    further: dict[str, Estimate] = field(default_factory=dict)
    draws: list[float] = field(default_factory=list)

    @property
    def estimate(self) -> Estimate:
        """The accuracy with its interval, and how it differs between draws."""
        sd = statistics.stdev(self.draws) if self.draws else None
        return Estimate(self.accuracy, self.low, self.high, sd)

    def record(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return vars(self) | {"further": {n: each.record() for n, each in self.further.items()}}

    def metrics(self) -> dict[str, float]:
        """Return it as MLflow is to know it."""
        every = {"accuracy": self.estimate, **self.further}
        return {
            **{
                name: value
                for metric, each in every.items()
                for name, value in each.metrics(f"test/{metric}").items()
            },
            **{
                f"test_accuracy_of/{metric_name(name)}": share
                for name, share in self.per_class.items()
            },
        }


def evaluate_on_test_rows(
    classifier: LinearClassifier, source: Source, draws: Sequence[LinearClassifier] = ()
) -> HeldOutResult:
    """Open the test rows and evaluate a classifier on them, or the models of draws in its place."""
    rows, models = source.test(), draws or [classifier]
    scores = [model.scores(rows.rows) for model in models]
    each = [estimates([given], rows.labels, classifier.loss) for given in scores]
    found, classes = mean_estimates(each), len(classifier.class_names)
    accuracy = found.pop("accuracy")
    shares = [per_class_accuracy(given.argmax(axis=1), rows.labels, classes) for given in scores]
    return HeldOutResult(
        accuracy=accuracy.value,
        low=accuracy.low,
        high=accuracy.high,
        rows=len(rows.labels),
        per_class={
            name: float(value)
            for name, value in zip(classifier.class_names, np.mean(shares, axis=0), strict=True)
            if value == value  # noqa: PLR0124 - NaN: a class without test rows
        },
        further=found,
        draws=[one["accuracy"].value for one in each] if draws else [],
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
    draws: Sequence[LinearClassifier] = (),
) -> tuple[HeldOutResult, int]:
    """Evaluate the selected trial on the test rows; return how often they have been opened.

    A `refit` is what `sweep.analysis.refit` makes of it, `draws` are what `draw_models` does.
    """
    refuse_without_test_rows(source)
    classifier = fetch_classifier(study, trial, tracker)
    with record_lock(study.workspace, study.name):
        openings = [*study.attribute(TEST_OPENINGS, [])]
        opening = {"trial": trial.number, "time": datetime.now(UTC).isoformat()}
        openings.append(opening | ({"refit": True} if refit else {}))
        # Counted before anything is seen.
        study.set_attribute(TEST_OPENINGS, openings)
        result = evaluate_on_test_rows(classifier, source, draws)
        openings[-1]["result"] = result.record()
        study.set_attribute(TEST_OPENINGS, openings)
    own = refit_key(study, trial.number) if refit else run_key(study, trial)
    for key in (own, study.identity):
        for run in tracker.runs(run_key=key):
            # The step is how often the rows have been opened.
            tracker.log_metrics(run.info.run_id, result.metrics(), len(openings))
    return result, len(openings)

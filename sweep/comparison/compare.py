"""Compare the chosen trials of some studies on the same test rows, and log it as a run."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import combinations
from typing import TYPE_CHECKING

from sweep.comparison.answers import describe_answers
from sweep.comparison.checks import cautions, check_comparable
from sweep.comparison.comparison import Comparison, Difference
from sweep.comparison.run import begin_run, log_comparison
from sweep.comparison.search import common_metric, direction_of
from sweep.statistics.intervals import LEVEL
from sweep.statistics.paired import compare_paired, holm
from sweep.study import attributes
from sweep.study.champion import fetch_classifier
from sweep.study.lock import record_lock
from sweep.study.results import chosen_trial, find_chosen
from sweep.study.sealed_test import open_test_rows, refuse_without_test_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from optuna.trial import FrozenTrial

    from sweep.data import Source
    from sweep.study.opening import OpenStudy
    from sweep.tracking.run import Run
    from sweep.tracking.tracker import Tracker
    from sweep_model.arrays import Mask
    from sweep_model.linear import LinearClassifier


def compare(studies: Sequence[OpenStudy], source: Source, tracker: Tracker) -> Comparison:
    """Compare the studies' chosen trials on the test rows of `source`, which are those of all.

    The test rows are opened, and that is counted, for each study. The comparison is logged as a
    run and kept in the studies' records, where `stored_comparison` finds it.

    Raises
    ------
    SweepError
        The studies cannot be compared, one has no complete trial, the weights of a chosen trial
        are gone, or there are no test rows. Nothing is opened then.

    """
    check_comparable(studies)
    refuse_without_test_rows(source)
    chosen = [chosen_trial(study) for study in studies]
    pairs = list(zip(studies, chosen, strict=True))
    classifiers = [fetch_classifier(study, trial, tracker) for study, trial in pairs]
    run = begin_run(studies, chosen, tracker)
    with run.ended_if_broken():
        comparison = _compare(studies, chosen, classifiers, source, run)
        log_comparison(run, comparison)
        run.end("FINISHED")
    _store(studies, comparison)
    return comparison


def _compare(
    studies: Sequence[OpenStudy],
    chosen: Sequence[FrozenTrial],
    classifiers: Sequence[LinearClassifier],
    source: Source,
    run: Run,
) -> Comparison:
    openings = [
        open_test_rows(study, trial, source, run.tracker)[1]
        for study, trial in zip(studies, chosen, strict=True)
    ]
    rows = source.test()
    scores = [classifier.scores(rows.rows) for classifier in classifiers]
    metric = common_metric([study.settings for study in studies])
    answers = [
        describe_answers(study, trial, given, rows.labels, metric=metric, openings=count)
        for study, trial, given, count in zip(studies, chosen, scores, openings, strict=True)
    ]
    choice = studies[0].settings.data
    return Comparison(
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        run_id=run.id,
        data=choice.name,
        data_digest=choice.data_digest,
        split_digest=choice.split_digest,
        test_digest=rows.digest,
        test_rows=len(rows.labels),
        class_names=list(rows.class_names),
        metric=metric,
        direction=direction_of(metric),
        answers=answers,
        differences=differences_of(
            {
                study.name: given.argmax(axis=1) == rows.labels
                for study, given in zip(studies, scores, strict=True)
            }
        ),
        cautions=cautions(studies, answers),
    )


def differences_of(right: Mapping[str, Mask]) -> list[Difference]:
    """Compare every pair of studies by which rows, (n,), the one and the other predicted rightly.

    All findings hold together: p values by Holm, intervals at Bonferroni's level.
    """
    pairs = list(combinations(right, 2))
    level = 1 - (1 - LEVEL) / len(pairs)
    paired = [compare_paired(right[one], right[other], level=level) for one, other in pairs]
    corrected = holm([each.p_value for each in paired])
    return [
        Difference(first=first, second=second, paired=each, p_value=p_value)
        for (first, second), each, p_value in zip(pairs, paired, corrected, strict=True)
    ]


def stored_comparison(studies: Sequence[OpenStudy]) -> Comparison | None:
    """Return the last comparison of just these studies, while their chosen trials are the same.

    None where there is none. The order of the studies does not matter.
    """
    kept = studies[0].attribute(attributes.COMPARISONS, {}) if studies else {}
    record = kept.get(_key(studies))
    if record is None:
        return None
    try:
        comparison = Comparison.from_record(record)
    except (KeyError, TypeError):  # another version of sweep wrote it; comparing again is cheap
        return None
    compared = {(each.study_id, each.weights_digest) for each in comparison.answers}
    return comparison if compared == {_chosen_now(study) for study in studies} else None


def _chosen_now(study: OpenStudy) -> tuple[str, str | None]:
    chosen = find_chosen(study)
    digest = None if chosen is None else chosen.user_attrs.get(attributes.WEIGHTS_DIGEST)
    return study.identity, digest


def _store(studies: Sequence[OpenStudy], comparison: Comparison) -> None:
    """Keep the comparison in the record of every study."""
    record = comparison.record()
    for study in studies:
        with record_lock(study.name):
            kept = study.attribute(attributes.COMPARISONS, {})
            study.set_attribute(attributes.COMPARISONS, {**kept, _key(studies): record})


def _key(studies: Sequence[OpenStudy]) -> str:
    return " ".join(sorted(study.name for study in studies))

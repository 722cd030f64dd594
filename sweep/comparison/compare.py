"""Compare the selected trials of some studies on the same test rows."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations
from typing import TYPE_CHECKING

from sweep.analysis.boundary import edges_of
from sweep.analysis.champion import fetch_classifier
from sweep.analysis.confirmation import confirmation_of
from sweep.analysis.importance import importances
from sweep.analysis.selection import (
    find_selected,
    grounds,
    refuse_unfinished,
    selected_trial,
)
from sweep.analysis.test_set import open_test_rows, refuse_without_test_rows
from sweep.comparison.comparison import Answers, Comparison, Difference, Search
from sweep.errors import SweepError
from sweep.search.as_optuna import first_rung
from sweep.search.lock import record_lock
from sweep.search.record import COMPARISONS
from sweep.search.trials import complete, tally
from sweep.statistics.best_of import best_of
from sweep.statistics.intervals import LEVEL, Share
from sweep.statistics.outputs import outputs_of
from sweep.statistics.paired import compare_paired, holm
from sweep.statistics.place import place_of
from sweep_model.losses import LOSSES
from sweep_model.metrics import confusion

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sweep.config import StudyConfig
    from sweep.data import Source
    from sweep.search.record import StudyRecord
    from sweep.search.trials import TrialRecord
    from sweep.tracking.tracker import Tracker
    from sweep_model.arrays import Floats, Labels, Mask

DISREGARDED = ("data", "loss", "space", "seed", "slots", "lanes")
"""Parts of the config that do not make searches unequal: what is compared, and what is chance."""


def compare(studies: Sequence[StudyRecord], source: Source, tracker: Tracker) -> Comparison:
    """Compare the studies' selected trials on the test rows of `source`, which are those of all.

    The test rows are opened, and that is counted, for each study. The comparison is kept in the
    studies' records, where `stored_comparison` finds it.

    Raises
    ------
    SweepError
        The studies cannot be compared, one has no complete trial, the weights of a selected trial
        are gone or not those of all epochs, or there are no test rows. Nothing is opened then.

    """
    check_comparable(studies)
    refuse_without_test_rows(source)
    pairs = [(study, selected_trial(study)) for study in studies]
    for study, trial in pairs:
        refuse_unfinished(study, trial)
    classifiers = [fetch_classifier(study, trial, tracker) for study, trial in pairs]
    openings = [open_test_rows(study, trial, source, tracker)[1] for study, trial in pairs]
    rows = source.test()
    scores = [classifier.scores(rows.rows) for classifier in classifiers]
    metric = common_metric([study.config for study in studies])
    answers = [
        describe_answers(study, trial, given, rows.labels, metric=metric, openings=count)
        for (study, trial), given, count in zip(pairs, scores, openings, strict=True)
    ]
    data = studies[0].config.data
    comparison = Comparison(
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        data=data.name,
        data_digest=data.data_digest,
        split_digest=data.split_digest,
        test_digest=rows.digest,
        test_rows=len(rows.labels),
        class_names=list(rows.class_names),
        metric=metric,
        direction="minimize" if metric == "val/loss" else "maximize",
        answers=answers,
        differences=differences_of(
            {
                study.name: given.argmax(axis=1) == rows.labels
                for study, given in zip(studies, scores, strict=True)
            }
        ),
        caveats=list(caveats(studies, answers)),
    )
    for study in studies:
        with record_lock(study.workspace, study.name):
            kept = study.attribute(COMPARISONS, {})
            study.set_attribute(COMPARISONS, {**kept, _names(studies): comparison.record()})
    return comparison


def stored_comparison(studies: Sequence[StudyRecord]) -> Comparison | None:
    """Return the last comparison of just these studies, while their selected trials are the same.

    None where there is none. The order of the studies does not matter.
    """
    kept = studies[0].attribute(COMPARISONS, {}) if studies else {}
    record = kept.get(_names(studies))
    if record is None:
        return None
    try:
        comparison = Comparison.from_record(record)
    except (KeyError, TypeError):  # another version of sweep wrote it; comparing again is cheap
        return None
    compared = {(each.study_id, each.weights_digest) for each in comparison.answers}
    now = {
        (study.identity, None if trial is None else trial.weights_digest)
        for study, trial in ((study, find_selected(study)) for study in studies)
    }
    return comparison if compared == now else None


def _names(studies: Sequence[StudyRecord]) -> str:
    return " ".join(sorted(study.name for study in studies))


def check_comparable(studies: Sequence[StudyRecord]) -> None:
    """Refuse what cannot be compared.

    Raises
    ------
    SweepError
        There are not at least two studies, one is named twice, or they are of different rows;
        the message shows which fields differ, and how.

    """
    names = [study.name for study in studies]
    if len(set(names)) < max(2, len(names)):
        raise SweepError(
            f"a comparison takes two or more different studies: got {', '.join(names)}; "
            "`sweep list` shows what there is"
        )
    first = studies[0].config
    for other in studies[1:]:
        differing = first.differences(replace(first, data=other.config.data))
        if differing:
            raise SweepError(
                f"studies {first.study!r} and {other.name!r} are of different rows "
                f"({first.study} -> {other.name}): {'; '.join(differing)}; compare studies of the "
                "same data and split"
            )


def differences_of(right: Mapping[str, Mask]) -> list[Difference]:
    """Compare every pair of studies by which rows, (n,), the one and the other predicted rightly.

    All results hold together: p values by Holm, intervals at Bonferroni's level.
    """
    pairs = list(combinations(right, 2))
    level = 1 - (1 - LEVEL) / len(pairs)
    paired = [compare_paired(right[one], right[other], level=level) for one, other in pairs]
    corrected = holm([each.p_value for each in paired])
    return [
        Difference(first=first, second=second, paired=each, p_value=p_value)
        for (first, second), each, p_value in zip(pairs, paired, corrected, strict=True)
    ]


def describe_answers(
    study: StudyRecord,
    trial: TrialRecord,
    scores: Floats,
    labels: Labels,
    *,
    metric: str,
    openings: int,
) -> Answers:
    """Describe a trial's scores (n, k) of the test rows with labels (n,), and its search."""
    config = study.config
    counts = confusion(scores.argmax(axis=1), labels, scores.shape[1])
    right, rows = counts.diagonal().tolist(), counts.sum(axis=1).tolist()
    seeds, mean, error = _confirmed(study, trial)
    val_rows = config.data.val_size
    return Answers(
        study=study.name,
        study_id=study.identity,
        loss=config.loss,
        trial=trial.number,
        grounds=grounds(study),
        weights_digest=trial.weights_digest or "",
        setting={name: float(value) for name, value in trial.params.items()},
        seeds=seeds,
        confirmed_mean=mean,
        confirmed_error=error,
        openings=openings,
        train_accuracy=trial.metrics.get("final/train_accuracy", trial.last("train/accuracy")),
        val=Share.of(round(trial.last("val/accuracy") * val_rows), val_rows),
        test=Share.of(sum(right), sum(rows)),
        per_class=[Share.of_some(*pair) for pair in zip(right, rows, strict=True)],
        confusion=counts.tolist(),
        outputs=outputs_of(scores, labels, LOSSES[config.loss]),
        search=describe_search(study, trial, metric),
    )


def _confirmed(study: StudyRecord, trial: TrialRecord) -> tuple[int, float | None, float | None]:
    """Return on how many seeds the trial was confirmed, its mean and its standard error."""
    confirmation = confirmation_of(study)
    for one in confirmation.trials if confirmation is not None else ():
        if one.trial == trial.number:
            known = [None if math.isnan(x) else x for x in (one.mean, one.standard_error)]
            return len(one.values), known[0], known[1]
    return 0, None, None


def common_metric(configs: Sequence[StudyConfig]) -> str:
    """Return the objective of all studies; the validation accuracy where they have none in common.

    Values of two losses are not on one scale.
    """
    metrics, losses = {each.metric for each in configs}, {each.loss for each in configs}
    return "val/loss" if metrics == {"val/loss"} and len(losses) == 1 else "val/accuracy"


def describe_search(study: StudyRecord, selected: TrialRecord, metric: str) -> Search:
    """Describe the search of a study; the best of k trials is told in `metric`."""
    config, trials = study.config, study.trials()
    counts = tally(trials)
    drawn = [trial for trial in complete(trials) if trial.index > 0]
    given = sum(trial.index == 0 for trial in trials)
    return Search(
        sampler=config.sampler,
        pruner=config.pruner,
        epochs=config.epochs,
        complete=counts.complete,
        pruned=counts.pruned,
        failed=counts.failed,
        best_of=best_of(
            [trial.last(metric) for trial in drawn],
            without=len(trials) - counts.running - given - len(drawn),
            direction="minimize" if metric == "val/loss" else "maximize",
        ),
        drawn_independently=config.sampler == "random" and config.pruner == "none",
        rung=first_rung(config),
        importances=importances(study),
        places=[
            place_of(config.space.axes[name], selected.params[name])
            for name in config.space.varied()
        ],
    )


def caveats(studies: Sequence[StudyRecord], answers: Sequence[Answers]) -> Iterator[str]:
    """Yield what a reader should know before trusting the comparison, in phrases."""
    yield from _unconfirmed(answers)
    yield from _below_noise(studies, answers)
    yield from _unequal_searches(studies)
    for study in studies:
        where = f"a boundary of its space, trials compared after epoch {first_rung(study.config)}"
        for edge in edges_of(study.config, study.trials(), find_selected(study)):
            yield f"{study.name}: the best lies at {where}: {edge}"


def _unconfirmed(answers: Sequence[Answers]) -> Iterator[str]:
    """One training each may be a lucky one, the more so where it was selected by its score."""
    names = [each.study for each in answers if not each.seeds]
    if names:
        yield (
            f"not confirmed on fresh seeds: {', '.join(names)}; one training of each is compared, "
            "and another seed trains another classifier"
        )


def _below_noise(studies: Sequence[StudyRecord], answers: Sequence[Answers]) -> Iterator[str]:
    """A test of two classifiers knows nothing of what other seeds would have trained."""
    confirmations = [confirmation_of(study) for study in studies]
    floors = [each.noise_floor for each in confirmations if each and each.metric == "val/accuracy"]
    if all(confirmations) and not floors:
        yield (
            "confirmed by the validation loss: how far accuracies differ by the seed alone is not "
            "known"
        )
    floor = max((each for each in floors if not math.isnan(each)), default=0.0)
    for one, other in combinations(answers, 2):
        if 0 < abs(one.test.value - other.test.value) < floor:
            yield (
                f"{one.study} and {other.study} differ by less than the noise floor, "
                f"{100 * floor:.1f} points of validation accuracy: the seeds alone may explain it"
            )


def _unequal_searches(studies: Sequence[StudyRecord]) -> Iterator[str]:
    one = studies[0]
    for other in studies[1:]:
        alike = {name: getattr(one.config, name) for name in DISREGARDED}
        differing = one.config.differences(replace(other.config, **alike))
        counts = [tally(study.trials()).finished for study in (one, other)]
        if counts[0] != counts[1]:
            differing.append(f"finished trials {counts[0]} -> {counts[1]}")
        if differing:
            yield f"the searches differ ({one.name} -> {other.name}): {'; '.join(differing)}"

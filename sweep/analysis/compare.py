"""Compare the selected trials of some studies on the same test rows."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations
from typing import TYPE_CHECKING

from sweep.analysis.boundary import edges_of
from sweep.analysis.comparison import Answers, Comparison, Difference, Search
from sweep.analysis.confirm import confirmation_of
from sweep.analysis.selection import (
    fetch_classifier,
    find_selected,
    selected_trial,
)
from sweep.analysis.test_set import open_test_rows, refuse_without_test_rows
from sweep.errors import SweepError
from sweep.formatting import percent
from sweep.io import scratch_folder
from sweep.plots import (
    best_of_figure,
    class_accuracies_figure,
    confusion_figure,
    truth_histograms_figure,
)
from sweep.search import COMPARISONS, complete, first_rung, record_lock, tally
from sweep.statistics import LEVEL, Share, best_of, compare_paired, holm, outputs_of
from sweep.tracking import Mirror, RunState, provenance, write_figure
from sweep_model.losses import LOSSES
from sweep_model.metrics import confusion

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from sweep.config import StudyConfig
    from sweep.data import Source
    from sweep.search import StudyRecord, TrialRecord
    from sweep.tracking import Tracker
    from sweep_model import Floats, Labels, Mask


DISREGARDED = ("data", "loss", "space", "seed", "slots", "lanes")
"""Parts of the config that do not make searches unequal: what is compared, and what is chance."""


def compare_studies(studies: Sequence[StudyRecord], source: Source, tracker: Tracker) -> Comparison:
    """Compare the studies' selected trials on the test rows of `source`, which are those of all.

    The test rows are opened, and that is counted, for each study. The comparison is kept in the
    studies' records, where `stored_comparison` finds it.

    Raises
    ------
    SweepError
        The studies cannot be compared, one has no complete trial, the weights of a selected trial
        are gone, or there are no test rows. Nothing is opened then.

    """
    check_comparable(studies)
    refuse_without_test_rows(source)
    pairs = [(study, selected_trial(study)) for study in studies]
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
            study.set_attribute(COMPARISONS, {**kept, _key_of(studies): comparison.record()})
    return comparison


def stored_comparison(studies: Sequence[StudyRecord]) -> Comparison | None:
    """Return the last comparison of just these studies, while their selected trials are the same.

    None where there is none. The order of the studies does not matter.
    """
    kept = studies[0].attribute(COMPARISONS, {}) if studies else {}
    record = kept.get(_key_of(studies))
    if record is None:
        return None
    try:
        comparison = Comparison.from_record(record)
    except ValueError:  # another version of sweep wrote it; comparing again is cheap
        return None
    compared = {(answer.study_id, answer.weights_digest) for answer in comparison.answers}
    now = {
        (study.identity, None if trial is None else trial.weights_digest)
        for study, trial in ((study, find_selected(study)) for study in studies)
    }
    return comparison if compared == now else None


def _key_of(studies: Sequence[StudyRecord]) -> str:
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
    for study in studies:
        data = study.config.data
        if data.few_shot:
            raise SweepError(
                f"study {study.name!r} has a model for each of {data.repeats_in_words}: studies "
                "with one are compared; `sweep test` tells how much draws differ"
            )
    first = studies[0].config
    for other in studies[1:]:
        differing = first.data.differences(other.config.data)
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
    paired = [compare_paired(right[first], right[second], level=level) for first, second in pairs]
    corrected = holm([test.p_value for test in paired])
    return [
        Difference(first=first, second=second, paired=test, p_value=p_value)
        for (first, second), test, p_value in zip(pairs, paired, corrected, strict=True)
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
        weights_digest=trial.weights_digest or "",
        setting={
            name: value if isinstance(value, str) else float(value)
            for name, value in trial.params.items()
        },
        seeds=seeds,
        confirmed_mean=mean,
        confirmed_error=error,
        openings=openings,
        train_accuracy=trial.metrics.get("final/train_accuracy", trial.last("train/accuracy")),
        val=Share.of(round(trial.last("val/accuracy") * val_rows), val_rows),
        test=Share.of(sum(right), sum(rows)),
        per_class=[
            Share.of(hits, count) if count else None
            for hits, count in zip(right, rows, strict=True)
        ],
        confusion=counts.tolist(),
        outputs=outputs_of(scores, labels, LOSSES[config.loss]),
        search=describe_search(study, metric),
    )


def _confirmed(study: StudyRecord, trial: TrialRecord) -> tuple[int, float | None, float | None]:
    """Return on how many seeds the trial was confirmed, its mean and its standard error."""
    confirmation = confirmation_of(study)
    for setting in confirmation.trials if confirmation is not None else ():
        if setting.trial == trial.number:
            mean, error = setting.mean, setting.standard_error
            return (
                len(setting.values),
                None if math.isnan(mean) else mean,
                None if math.isnan(error) else error,
            )
    return 0, None, None


def common_metric(configs: Sequence[StudyConfig]) -> str:
    """Return the objective of all studies; the validation accuracy where they have none in common.

    Values of two losses are not on one scale.
    """
    metrics, losses = {config.metric for config in configs}, {config.loss for config in configs}
    return "val/loss" if metrics == {"val/loss"} and len(losses) == 1 else "val/accuracy"


def describe_search(study: StudyRecord, metric: str) -> Search:
    """Describe the search of a study; the best of k trials is measured by `metric`."""
    config, trials = study.config, study.trials()
    counts = tally(trials)
    drawn = [trial for trial in complete(trials) if trial.index > 0]
    given = sum(trial.index == 0 for trial in trials)
    return Search(
        complete=counts.complete,
        pruned=counts.pruned,
        failed=counts.failed,
        best_of=best_of(
            [trial.last(metric) for trial in drawn],
            without=len(trials) - counts.running - given - len(drawn),
            direction="minimize" if metric == "val/loss" else "maximize",
        ),
        drawn_independently=config.sampler == "random" and config.pruner == "none",
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
    names = [answer.study for answer in answers if not answer.seeds]
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
    for first, second in combinations(answers, 2):
        if 0 < abs(first.test.value - second.test.value) < floor:
            yield (
                f"{first.study} and {second.study} differ by less than the noise floor, "
                f"{percent(floor)} points of validation accuracy: the seeds alone may explain it"
            )


def _unequal_searches(studies: Sequence[StudyRecord]) -> Iterator[str]:
    first = studies[0]
    for other in studies[1:]:
        alike = {name: getattr(first.config, name) for name in DISREGARDED}
        differing = first.config.differences(replace(other.config, **alike))
        counts = [tally(study.trials()).finished for study in (first, other)]
        if counts[0] != counts[1]:
            differing.append(f"finished trials {counts[0]} -> {counts[1]}")
        if differing:
            yield f"the searches differ ({first.name} -> {other.name}): {'; '.join(differing)}"


def log_comparison(comparison: Comparison, studies: Sequence[StudyRecord], tracker: Tracker) -> str:
    """Log what was found: numbers, figures, the whole record and a note; return the run's id."""
    with scratch_folder() as folder:
        files = folder / "files"
        for name, figure in comparison_figures(comparison).items():
            write_figure(files / f"figures/{name}.png", figure)
        record = files / "comparison/comparison.json"
        record.parent.mkdir()
        record.write_text(json.dumps(comparison.record(), indent=1) + "\n")
        return Mirror(tracker).update(_state(comparison, studies, files))


def _state(comparison: Comparison, studies: Sequence[StudyRecord], files: Path) -> RunState:
    made = int(1000 * datetime.fromisoformat(comparison.made).timestamp())
    expected = {
        f"expected_best/{answer.study}": answer.search.best_of.expected
        for answer in comparison.answers
    }
    return RunState(
        key=comparison.key,
        name=f"compare {' '.join(comparison.studies)}"[:250],
        parameters={
            f"{answer.study}.{name}": value
            for answer in comparison.answers
            for name, value in {
                "loss": answer.loss,
                "trial": answer.trial,
                **answer.setting,
            }.items()
        },
        curves=expected,
        times=[made] * max(map(len, expected.values())),
        metrics=_metrics(comparison),
        tags={
            "role": "compare",
            "studies": ", ".join(comparison.studies),
            "study_ids": ", ".join(answer.study_id for answer in comparison.answers),
            "test_digest": comparison.test_digest,
            "sentence": comparison.sentence,
            **provenance(studies[0].config.data),
        },
        note=comparison_note(comparison),
        files=files,
        status="FINISHED",
        began=made,
        ended=made,
        final=True,
    )


def _metrics(comparison: Comparison) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for answer in comparison.answers:
        study = answer.study
        metrics |= {
            f"test_accuracy/{study}": answer.test.value,
            f"test_accuracy_low/{study}": answer.test.low,
            f"test_accuracy_high/{study}": answer.test.high,
            f"val_accuracy/{study}": answer.val.value,
            f"train_accuracy/{study}": answer.train_accuracy,
            f"train_test_gap/{study}": answer.gap,
        }
        for out in answer.outputs:
            name = re.sub(r"[^a-z]+", "_", out.name)
            metrics[f"calibration_error_{name}/{study}"] = out.calibration_error
    for difference in comparison.differences:
        pair = f"{difference.first}-vs-{difference.second}"
        metrics |= {
            f"difference/{pair}": difference.paired.difference,
            f"difference_low/{pair}": difference.paired.low,
            f"difference_high/{pair}": difference.paired.high,
            f"p_value/{pair}": difference.p_value,
        }
    return metrics


def comparison_note(comparison: Comparison) -> str:
    """Return the comparison in Markdown."""
    lines = [
        comparison.sentence,
        "",
        "| study | trial | test accuracy | 95 % interval | train less test |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {answer.study} | {answer.trial} | {answer.test.value:.4f} "
        f"| {answer.test.low:.4f} to {answer.test.high:.4f} | {answer.gap:+.4f} |"
        for answer in comparison.answers
    ]
    return "\n".join([*lines, "", *(f"- {caveat}" for caveat in comparison.caveats)])


def comparison_figures(comparison: Comparison) -> dict[str, Figure]:
    """Draw a comparison from its record alone."""
    answers = comparison.answers
    outputs = {f"{out.name}: {answer.study}": out for answer in answers for out in answer.outputs}
    exact = all(answer.search.drawn_independently for answer in answers)
    return {
        "class_accuracies": class_accuracies_figure(
            {answer.study: answer.per_class for answer in answers}, comparison.class_names
        ),
        "truth_histograms": truth_histograms_figure(outputs),
        "confusion": confusion_figure(
            {answer.study: answer.confusion for answer in answers}, comparison.class_names
        ),
        "best_of": best_of_figure(
            {answer.study: answer.search.best_of for answer in answers},
            objective=comparison.metric,
            note="" if exact else "a guide where sampler or pruner learn",
        ),
    }

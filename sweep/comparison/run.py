"""A comparison as MLflow shows it: a run of its own beside the studies, with its figures."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING

from sweep.disks import scratch_folder
from sweep.figures.best_of import best_of_figure
from sweep.figures.class_accuracies import class_accuracies_figure
from sweep.figures.confusion import confusion_figure
from sweep.figures.importances import importances_figure
from sweep.figures.places import places_figure
from sweep.figures.reliability import reliability_figure
from sweep.figures.truth_histograms import truth_histograms_figure
from sweep.tracking.images import write_figure
from sweep.tracking.mirror import Mirror, RunState
from sweep.tracking.provenance import provenance

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from sweep.comparison.comparison import Answers, Comparison
    from sweep.search.record import StudyRecord
    from sweep.tracking.tracker import Tracker

RECORD_FILE = "comparison/comparison.json"


def log_comparison(comparison: Comparison, studies: Sequence[StudyRecord], tracker: Tracker) -> str:
    """Log what was found: numbers, figures, the whole record and a note; return the run's id."""
    with scratch_folder() as folder:
        files = folder / "files"
        _write_files(files, comparison)
        return Mirror(tracker).update(_state(comparison, studies, files))


def _write_files(folder: Path, comparison: Comparison) -> None:
    for name, figure in comparison_figures(comparison).items():
        write_figure(folder / f"figures/{name}.png", figure)
    record = folder / RECORD_FILE
    record.parent.mkdir()
    record.write_text(json.dumps(comparison.record(), indent=1) + "\n")


def _state(comparison: Comparison, studies: Sequence[StudyRecord], files: Path) -> RunState:
    made = int(1000 * datetime.fromisoformat(comparison.made).timestamp())
    expected = {
        f"expected_best/{each.study}": each.search.best_of.expected for each in comparison.answers
    }
    return RunState(
        key=comparison.key,
        name=f"compare {' '.join(comparison.studies)}"[:250],
        parameters={
            f"{each.study}.{name}": value
            for each in comparison.answers
            for name, value in {"loss": each.loss, "trial": each.trial, **each.setting}.items()
        },
        curves=expected,
        times=[made] * max(map(len, expected.values())),
        metrics=_metrics(comparison),
        tags={
            "role": "compare",
            "studies": ", ".join(comparison.studies),
            "study_ids": ", ".join(each.study_id for each in comparison.answers),
            "test_digest": comparison.test_digest,
            "sentence": comparison.sentence,
            **provenance(studies[0].config.data),
        },
        note=comparison_note(comparison),
        files=files,
        status="FINISHED",
        began=made,
        ended=made,
        complete=True,
    )


def _metrics(comparison: Comparison) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for each in comparison.answers:
        metrics |= _metrics_of(each)
    for difference in comparison.differences:
        pair = f"{difference.first}-vs-{difference.second}"
        metrics |= {
            f"difference/{pair}": difference.paired.difference,
            f"difference_low/{pair}": difference.paired.low,
            f"difference_high/{pair}": difference.paired.high,
            f"p_value/{pair}": difference.p_value,
        }
    return metrics


def _metrics_of(answers: Answers) -> dict[str, float]:
    study = answers.study
    errors = {
        f"calibration_error_{re.sub(r'[^a-z]+', '_', each.name)}/{study}": each.calibration_error
        for each in answers.outputs
    }
    return errors | {
        f"test_accuracy/{study}": answers.test.value,
        f"test_accuracy_low/{study}": answers.test.low,
        f"test_accuracy_high/{study}": answers.test.high,
        f"val_accuracy/{study}": answers.val.value,
        f"train_accuracy/{study}": answers.train_accuracy,
        f"train_test_gap/{study}": answers.gap,
    }


def comparison_note(comparison: Comparison) -> str:
    """Say in Markdown what was found."""
    lines = [
        comparison.sentence,
        "",
        "| study | trial | test accuracy | 95 % interval | train less test |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {each.study} | {each.trial} | {each.test.value:.4f} "
        f"| {each.test.low:.4f} to {each.test.high:.4f} | {each.gap:+.4f} |"
        for each in comparison.answers
    ]
    return "\n".join([*lines, "", *(f"- {caveat}" for caveat in comparison.caveats)])


def comparison_figures(comparison: Comparison) -> dict[str, Figure]:
    """Draw a comparison from its record alone."""
    answers = comparison.answers
    outputs = {f"{out.name}: {each.study}": out for each in answers for out in each.outputs}
    exact = all(each.search.drawn_independently for each in answers)
    return {
        "class_accuracies": class_accuracies_figure(
            {each.study: each.per_class for each in answers}, comparison.class_names
        ),
        "truth_histograms": truth_histograms_figure(outputs),
        "reliability": reliability_figure(outputs),
        "confusion": confusion_figure(
            {each.study: each.confusion for each in answers}, comparison.class_names
        ),
        "best_of": best_of_figure(
            {each.study: each.search.best_of for each in answers},
            objective=comparison.metric,
            maximise=comparison.direction == "maximize",
            note="" if exact else "a guide where sampler or pruner learn",
        ),
        "importances": importances_figure(
            {
                f"{each.study}, epoch {each.search.rung}": {
                    one.name: (one.share, one.low, one.high)
                    for one in each.search.importances.ranked
                }
                for each in answers
            }
        ),
        "places": places_figure({each.study: each.search.places for each in answers}),
    }

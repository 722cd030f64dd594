"""A comparison as MLflow shows it: a run of its own beside the studies."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from sweep.comparison.figures import FIGURES
from sweep.disks import scratch_folder
from sweep.environment import environment, git_state
from sweep.tracking.run import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna.trial import FrozenTrial

    from sweep.comparison.comparison import Answers, Comparison
    from sweep.study.opening import OpenStudy
    from sweep.tracking.tracker import Tracker

ROLE = "compare"
RECORD_FILE = "comparison.json"


def begin_run(studies: Sequence[OpenStudy], chosen: Sequence[FrozenTrial], tracker: Tracker) -> Run:
    """Begin the run of a comparison, with what is known before any row is seen."""
    names = [study.name for study in studies]
    data = studies[0].settings.data
    tags = {
        "role": ROLE,
        "studies": ", ".join(names),
        "study_ids": ", ".join(study.identity for study in studies),
        "data": data.name,
        "data_digest": data.data_digest,
        "split_digest": data.split_digest,
        **{f"environment.{name}": value for name, value in environment().items()},
        **{f"git.{name}": value for name, value in git_state().items()},
    }
    run = Run.create(tracker, f"compare {' '.join(names)}"[:250], tags=tags)
    for study, trial in zip(studies, chosen, strict=True):
        given = {"loss": study.settings.loss, "trial": trial.number, **trial.params}
        run.parameters({f"{study.name}.{name}": value for name, value in given.items()})
    return run


def log_comparison(run: Run, comparison: Comparison) -> None:
    """Log what was found: numbers, figures, the whole record and a note that says it in words."""
    for each in comparison.answers:
        _log_answers(run, each)
    for difference in comparison.differences:
        pair = f"{difference.first}-vs-{difference.second}"
        paired = difference.paired
        run.metrics(
            {
                f"difference/{pair}": paired.difference,
                f"difference_low/{pair}": paired.low,
                f"difference_high/{pair}": paired.high,
                f"p_value/{pair}": difference.p_value,
            }
        )
    for name, draw in FIGURES.items():
        with run.tracker.timings.part("figures"):
            figure = draw(comparison)
        run.figure(figure, f"figures/{name}.png")
    with scratch_folder() as folder:
        path = folder / RECORD_FILE
        path.write_text(json.dumps(comparison.record(), indent=1) + "\n")
        run.file(path, "comparison")
    run.tags({"test_digest": comparison.test_digest, "sentence": comparison.sentence})
    run.note(comparison_note(comparison))
    run.flush()


def _log_answers(run: Run, answers: Answers) -> None:
    study = answers.study
    run.metrics(
        {
            f"test_accuracy/{study}": answers.test.value,
            f"test_accuracy_low/{study}": answers.test.low,
            f"test_accuracy_high/{study}": answers.test.high,
            f"val_accuracy/{study}": answers.val.value,
            f"train_accuracy/{study}": answers.train_accuracy,
            f"train_test_gap/{study}": answers.gap,
            **{
                f"calibration_error_{re.sub(r'[^a-z]+', '_', each.name)}/{study}": (
                    each.calibration_error
                )
                for each in answers.outputs
            },
        }
    )
    for k, expected in enumerate(answers.search.best_of.expected, start=1):
        run.metrics({f"expected_best/{study}": expected}, k)


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
    return "\n".join([*lines, "", *(f"- {caution}" for caution in comparison.cautions)])

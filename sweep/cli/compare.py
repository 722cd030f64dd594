"""`sweep compare`: the selected trials of some studies on the same test rows."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from sweep.cli.options import data_dir_option, json_option, tracking_option
from sweep.cli.tables import console, number, percent, print_table, say

if TYPE_CHECKING:
    from pathlib import Path

    from sweep.analysis.importance import Importance
    from sweep.comparison import Answers, Comparison, Difference

AFTER = (5, 10, 20, 50, 100, 200, 500)
"""Trials after which the table tells the expected best."""
MOST_CLASSES = 30


@click.command()
@click.argument("study_names", metavar="STUDY STUDY...", nargs=-1, required=True)
@data_dir_option
@tracking_option
@json_option
def compare(
    study_names: tuple[str, ...],
    data_dir: Path | None,
    tracking_uri: str | None,
    *,
    as_json: bool,
) -> None:
    """Compare the selected trials of two or more studies on the same test rows.

    The first line says which is better, or that no difference is shown: McNemar's exact test on
    the rows that one study has right and the other wrong. The test rows are opened, and that is
    counted for each study. Figures, numbers and the whole record stand in a run of MLflow.
    """
    from sweep import comparison as comparing
    from sweep.data.reopening import reopen_data, reopen_source
    from sweep.search.record import load_study
    from sweep.search.storage import open_storage
    from sweep.tracking.tracker import Tracker
    from sweep.workspace import Workspace

    workspace = Workspace()
    store = open_storage(workspace)
    studies = [load_study(name, store, workspace) for name in study_names]
    comparing.check_comparable(studies)  # before the rows are read, which takes its time
    config = studies[0].config.data
    source = reopen_source(config, data_dir)
    reopen_data(config, source)
    tracker = Tracker(config.name, workspace, uri=tracking_uri)
    comparison = comparing.compare(studies, source, tracker)
    # Told first: the test rows have been opened for it, whatever the tracking store can take.
    if as_json:
        click.echo(json.dumps(comparison.record()))
    else:
        print_comparison(comparison)
    run_id = comparing.log_comparison(comparison, studies, tracker)
    if not as_json:
        click.echo(f"MLflow run {run_id} (role compare) has the figures.")


def print_comparison(comparison: Comparison) -> None:
    """Print the answer, what it rests on, and what speaks against trusting it."""
    say(comparison.sentence)
    _heading(f"On the {comparison.test_rows:,} test rows of {comparison.data}")
    print_table(
        [
            *("study", "trial", "test\nacc", "95 %\ninterval", "train\nacc", "gap"),
            *("ECE", "ECE\nnormalised", "opened"),
        ],
        [_answers_row(each) for each in comparison.answers],
    )
    _print_confirmed(comparison)
    corrected = " (all pairs together: p by Holm, intervals by Bonferroni)"
    _heading(
        "Rows that one of a pair has right and the other wrong"
        + (corrected if len(comparison.differences) > 1 else "")
    )
    print_table(
        [
            "pair",
            "difference",
            "95 %\ninterval",
            "only\nfirst",
            "only\nsecond",
            "p value",
            "better",
        ],
        [_difference_row(each) for each in comparison.differences],
    )
    _print_classes(comparison)
    _print_importances(comparison)
    _print_searches(comparison)
    click.echo()
    for caveat in comparison.caveats:
        say(f"note: {caveat}")


def _print_confirmed(comparison: Comparison) -> None:
    """Print what the settings came to on fresh seeds, which one training of each does not show."""
    for each in comparison.answers:
        if each.confirmed_mean is not None and each.confirmed_error is not None:
            say(
                f"{each.study} trial {each.trial} on {each.seeds} fresh seeds: "
                f"{each.confirmed_mean:.4f} +- {each.confirmed_error:.4f} (objective, mean and "
                "standard error)"
            )


def _heading(text: str) -> None:
    """Stand over a table; a title of the table itself would be as narrow as that is."""
    click.echo()
    console().print(text, style="bold", soft_wrap=not sys.stdout.isatty())


def _print_classes(comparison: Comparison) -> None:
    """Print the accuracy on each class; of very many the figure shows those that matter."""
    if len(comparison.class_names) > MOST_CLASSES:
        return
    _heading("Test accuracy on each class")
    columns = zip(*(each.per_class for each in comparison.answers), strict=True)
    print_table(
        ["class", *comparison.studies],
        [
            [name, *(percent(None if share is None else share.value) for share in shares)]
            for name, shares in zip(comparison.class_names, columns, strict=True)
        ],
    )


def _print_importances(comparison: Comparison) -> None:
    """Print what decides the objective, where any study has enough trials to tell."""
    found = [
        {one.name: one for one in each.search.importances.ranked} for each in comparison.answers
    ]
    names = list(dict.fromkeys(name for each in found for name in each))
    if names:
        _heading("Importance of each hyperparameter, with 95 % intervals over the trials")
        print_table(
            [
                "hyperparameter",
                *(f"{each.study}\nepoch {each.search.rung}" for each in comparison.answers),
            ],
            [[name, *(_importance(each.get(name)) for each in found)] for name in names],
        )


def _importance(one: Importance | None) -> str:
    return "-" if one is None else f"{one.share:.2f} [{one.low:.2f}, {one.high:.2f}]"


def _answers_row(answers: Answers) -> list[str]:
    test = answers.test
    errors = [f"{each.calibration_error:.3f}" for each in answers.outputs]
    return [
        answers.study,
        str(answers.trial),
        percent(test.value),
        f"[{percent(test.low)}, {percent(test.high)}]",
        percent(answers.train_accuracy),
        f"{100 * answers.gap:+.1f}",
        errors[0],
        errors[1] if len(errors) > 1 else "-",
        str(answers.openings),
    ]


def _difference_row(difference: Difference) -> list[str]:
    paired = difference.paired
    return [
        f"{difference.first} - {difference.second}",
        f"{100 * paired.difference:+.2f}",
        f"[{100 * paired.low:+.2f}, {100 * paired.high:+.2f}]",
        str(paired.first_only),
        str(paired.second_only),
        number(difference.p_value),
        difference.better or "no difference shown",
    ]


def _print_searches(comparison: Comparison) -> None:
    """Print what k trials come to; as accuracies or, for losses, as they are."""
    longest = max(each.search.best_of.trials for each in comparison.answers)
    counts = [k for k in AFTER if k < longest] + ([longest] if longest else [])
    independent = all(each.search.drawn_independently for each in comparison.answers)
    guide = "" if independent else "; a guide only, since later trials learned from earlier ones"
    _heading(f"The searches: expected best {comparison.metric} of k drawn trials{guide}")
    word = percent if comparison.metric == "val/accuracy" else number
    print_table(
        ["study", "complete", "pruned", "failed", *(f"best of {k}" for k in counts)],
        [
            [
                each.study,
                *(str(n) for n in (each.search.complete, each.search.pruned, each.search.failed)),
                *(word(_at(each.search.best_of.expected, k)) for k in counts),
            ]
            for each in comparison.answers
        ],
    )


def _at(values: list[float], k: int) -> float | None:
    return values[k - 1] if k <= len(values) else None

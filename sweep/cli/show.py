"""`sweep show`: the trials of a study."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from sweep.cli.options import json_option, study_argument
from sweep.cli.tables import CHOSEN, TIED, console, draws_blocks, print_table, say, tied_mark
from sweep.cli.trial_table import trial_table
from sweep.space import NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweep.study.opening import OpenStudy

SORTS = ("result", "trial", "epochs", "val/loss", "train/accuracy", *NAMES)
STYLES = {"pruned": "dim", "diverged": "red", "error": "red", "interrupted": "yellow"}


@click.command()
@study_argument
@click.option(
    "--sort",
    type=click.Choice(SORTS),
    default="result",
    show_default=True,
    help="Column to sort by; result puts the best first.",
)
@click.option("--reverse", is_flag=True, help="Turn the order around.")
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="Trials to show, from the first in this order; --json has all.",
)
@json_option
def show(study_name: str, sort: str, *, reverse: bool, top: int, as_json: bool) -> None:
    """Show the trials of STUDY, each with the curve of the objective.

    All curves have one scale. A narrow terminal does without intervals, epochs and the accuracy
    on the training rows, in this order; a pipe gets lines of up to 200 characters.
    """
    from sweep.study.edges import edge_lines
    from sweep.study.opening import load_study
    from sweep.study.results import describe, find_chosen, grounds, ranked
    from sweep.study.storage import open_storage

    study = load_study(study_name, open_storage())
    rows = [describe(trial) for trial in ranked(study)]
    if sort != "result":
        rows.sort(key=lambda row: (row.get(sort) is None, row.get(sort)))
    if reverse:
        rows.reverse()
    marks, edges = _marks(study), edge_lines(study)
    if as_json:
        chosen = find_chosen(study)
        facts = {
            "settings": study.settings.record(),
            "chosen_trial": None if chosen is None else chosen.number,
            "grounds": grounds(study),
            "not_distinguishable": [trial for trial, mark in marks.items() if mark == TIED],
            "edges": edges,
            "trials": rows,
        }
        click.echo(json.dumps(facts))
        return
    _print_trials(study, rows[:top], rows[top:], marks)
    for line in edges:
        click.echo(line)


def _print_trials(
    study: OpenStudy,
    rows: Sequence[Mapping[str, Any]],
    others: Sequence[Mapping[str, Any]],
    marks: Mapping[int, str],
) -> None:
    """Print the trials of `rows`, how many `others` there are, and what the marks mean."""
    from sweep.study.results import grounds

    settings = study.settings
    written = {CHOSEN: CHOSEN, TIED: tied_mark()}
    table = trial_table(
        rows,
        {trial: written[mark] for trial, mark in marks.items()},
        _curves(study),
        validation_rows=settings.data.val_size,
        epochs=settings.epochs,
        width=console().width,
        blocks=draws_blocks(),
    )
    print_table(
        list(table.columns),
        table.rows,
        title=f"{study.name}: {settings.loss} on {settings.data.name}, best by "
        f"{settings.objective} after {settings.epochs} epochs",
        styles=[
            "bold" if marks.get(row["trial"]) == CHOSEN else STYLES.get(row["ending"], "")
            for row in rows
        ],
    )
    if others:
        every = len(rows) + len(others)
        say(
            f"not shown: {len(others)} of {every} trials ({_endings(others)}); --top {every} shows "
            "all, --json has them"
        )
    for row in rows:
        if row["ending"] not in ("complete", "pruned", "unfinished"):
            say(f"trial {row['trial']} {row['ending']}: {row['reason']}")
    for trial, mark in marks.items():
        if mark == CHOSEN:
            say(f"{CHOSEN} chosen: trial {trial}, {grounds(study)}")
    if TIED in marks.values():
        say(f"{tied_mark()} nearer to it than the noise floor of one training each")
    for line in table.legend(settings.metric, settings.data.val_size):
        say(line)


def _curves(study: OpenStudy) -> dict[int, list[float]]:
    """Return the objective after each epoch, by trial."""
    from sweep.study import attributes

    return {
        trial.number: trial.user_attrs.get(attributes.CURVES, {}).get(study.settings.metric, [])
        for trial in study.trials()
    }


def _endings(rows: Sequence[Mapping[str, Any]]) -> str:
    counts = Counter(row["ending"] for row in rows)
    return ", ".join(f"{count} {ending}" for ending, count in counts.items())


def _marks(study: OpenStudy) -> dict[int, str]:
    """Return the mark of the chosen trial, and of those that the noise floor cannot tell from it.

    The floor is known once the study is confirmed.
    """
    from sweep.study.confirmation import confirmation_of
    from sweep.study.results import find_chosen

    chosen, confirmation = find_chosen(study), confirmation_of(study)
    if chosen is None:
        return {}
    marks = {chosen.number: CHOSEN}
    if confirmation is not None and chosen.value is not None:
        for trial in study.trials():
            if trial.value is not None and trial.number != chosen.number:
                near = abs(trial.value - chosen.value) < confirmation.noise_floor
                marks |= {trial.number: TIED} if near else {}
    return marks

"""`sweep show`: the trials of a study."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from sweep.cli.options import json_option, study_argument
from sweep.cli.tables import CHOSEN, TIED, number, percent, print_table
from sweep.space import NAMES

if TYPE_CHECKING:
    from sweep.study.opening import OpenStudy

SORTS = ("result", "trial", "epochs", "val/loss", "train/accuracy", *NAMES)
HEADINGS = (
    *("trial", "ending", "val\nacc", "val\nloss", "train\nacc", "epochs"),
    *("l2", "learning\nrate", "decay\nperiod", "batch\nsize", "flip\nprob"),
)
"""Over two lines, so that the table fits into 80 columns."""
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
@json_option
def show(study_name: str, sort: str, *, reverse: bool, as_json: bool) -> None:
    """Show the trials of STUDY."""
    from sweep.study.edges import edge_lines
    from sweep.study.opening import load_study
    from sweep.study.results import describe, find_chosen, grounds, ranked
    from sweep.study.storage import open_storage

    study = load_study(study_name, open_storage())
    settings = study.settings
    rows = [describe(trial) for trial in ranked(study)]
    if sort != "result":
        rows.sort(key=lambda row: (row.get(sort) is None, row.get(sort)))
    if reverse:
        rows.reverse()
    marks, edges = _marks(study), edge_lines(study)
    if as_json:
        chosen = find_chosen(study)
        facts = {
            "settings": settings.record(),
            "chosen_trial": None if chosen is None else chosen.number,
            "grounds": grounds(study),
            "not_distinguishable": [trial for trial, mark in marks.items() if mark == TIED],
            "edges": edges,
            "trials": rows,
        }
        click.echo(json.dumps(facts))
        return
    print_table(
        HEADINGS,
        [_cells(row, marks) for row in rows],
        title=f"{study.name}: {settings.loss} on {settings.data.name}, best by "
        f"{settings.objective} after {settings.epochs} epochs",
        styles=[STYLES.get(row["ending"], "") for row in rows],
    )
    for row in rows:
        if row["ending"] not in ("complete", "pruned", "running"):
            click.echo(f"trial {row['trial']} {row['ending']}: {row['reason']}")
    if marks:
        click.echo(f"{CHOSEN} chosen: {grounds(study)}")
    if TIED in marks.values():
        click.echo(f"{TIED} nearer to it than the noise floor of one training each")
    for line in edges:
        click.echo(line)
    error = 100 * (0.25 / settings.data.val_size) ** 0.5
    click.echo(
        f"One standard error of an accuracy near 50 % on {settings.data.val_size:,} "
        f"validation rows is {error:.1f} points."
    )


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


def _cells(row: dict[str, Any], marks: dict[int, str]) -> list[str]:
    return [
        marks.get(row["trial"], "") + str(row["trial"]),
        row["ending"],
        percent(row["val/accuracy"]),
        number(row["val/loss"]),
        percent(row["train/accuracy"]),
        str(row["epochs"]),
        *(number(row.get(name)) for name in NAMES),
    ]

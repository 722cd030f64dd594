"""`sweep show`: the trials of a study."""

from __future__ import annotations

import json
from typing import Any

import click

from sweep.cli.options import json_option, study_argument
from sweep.cli.tables import number, percent, print_table
from sweep.space import NAMES

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
    from sweep.study.opening import load_study
    from sweep.study.results import describe, ranked
    from sweep.study.storage import open_storage

    study = load_study(study_name, open_storage())
    settings = study.settings
    rows = [describe(trial) for trial in ranked(study)]
    if sort != "result":
        rows.sort(key=lambda row: (row.get(sort) is None, row.get(sort)))
    if reverse:
        rows.reverse()
    if as_json:
        click.echo(json.dumps({"settings": settings.record(), "trials": rows}))
        return
    print_table(
        HEADINGS,
        [_cells(row) for row in rows],
        title=f"{study.name}: {settings.loss} on {settings.data.name}, best by "
        f"{settings.objective} after {settings.epochs} epochs",
        styles=[STYLES.get(row["ending"], "") for row in rows],
    )
    for row in rows:
        if row["ending"] not in ("complete", "pruned", "running"):
            click.echo(f"trial {row['trial']} {row['ending']}: {row['reason']}")
    error = 100 * (0.25 / settings.data.val_size) ** 0.5
    click.echo(
        f"One standard error of an accuracy near 50 % on {settings.data.val_size:,} "
        f"validation rows is {error:.1f} points."
    )


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        str(row["trial"]),
        row["ending"],
        percent(row["val/accuracy"]),
        number(row["val/loss"]),
        percent(row["train/accuracy"]),
        str(row["epochs"]),
        *(number(row.get(name)) for name in NAMES),
    ]

"""`sweep list`: the studies of this folder."""

from __future__ import annotations

import json

import click

from sweep.cli.options import json_option
from sweep.cli.tables import number, percent, print_table


@click.command("list")
@json_option
def list_studies(*, as_json: bool) -> None:
    """List the studies of this folder, each with its best trial and the selected one.

    The best is that of the search, with its values; `sweep confirm` may select another.
    """
    from sweep.analysis.selection import find_selected
    from sweep.search.record import other_studies, recorded_studies, summarise
    from sweep.search.storage import open_storage
    from sweep.workspace import Workspace

    workspace = Workspace()
    storage = open_storage(workspace)
    rows = []
    for study in recorded_studies(storage, workspace):
        selected = find_selected(study)
        number_of = None if selected is None else selected.number
        rows.append(summarise(study) | {"selected_trial": number_of})
    if as_json:
        click.echo(json.dumps(rows))
    else:
        columns = ("study", "data", "loss", "complete", "pruned", "failed")
        print_table(
            [*columns, "best", "val acc", "val loss", "selected"],
            [
                [
                    *(str(row[name]) for name in columns),
                    _trial(row["best_trial"]),
                    percent(row["val/accuracy"]),
                    number(row["val/loss"]),
                    _trial(row["selected_trial"]),
                ]
                for row in rows
            ],
        )
    earlier, foreign = other_studies(storage, workspace)
    if earlier:
        click.echo(f"made by sweep 0.1, which reads them: {', '.join(earlier)}", err=True)
    if foreign:
        click.echo(f"made by other programs, left alone: {', '.join(foreign)}", err=True)


def _trial(trial: int | None) -> str:
    return "-" if trial is None else str(trial)

"""`sweep list`: the studies of this folder."""

from __future__ import annotations

import json

import click

from sweep.cli.options import json_option
from sweep.cli.tables import number, percent, print_table


@click.command("list")
@json_option
def list_studies(*, as_json: bool) -> None:
    """List the studies of this folder."""
    from sweep.study.opening import recorded_studies
    from sweep.study.results import summarise
    from sweep.study.storage import open_storage

    rows = [summarise(study) for study in recorded_studies(open_storage())]
    if as_json:
        click.echo(json.dumps(rows))
        return
    print_table(
        ["study", "data", "loss", "complete", "pruned", "failed", "best", "val acc", "val loss"],
        [
            [
                row["study"],
                row["data"],
                row["loss"],
                *(str(row[name]) for name in ("complete", "pruned", "failed")),
                "-" if row["best_trial"] is None else str(row["best_trial"]),
                percent(row["val/accuracy"]),
                number(row["val/loss"]),
            ]
            for row in rows
        ],
    )

"""`sweep space`: where a search would look."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from sweep.cli.options import json_option, loss_option, space_options
from sweep.cli.tables import print_table
from sweep.space import BASELINES, read_space

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@loss_option
@space_options
@json_option
def space(loss: str, space_file: Path | None, overrides: tuple[str, ...], *, as_json: bool) -> None:
    """Show the search space that `sweep run` would use with the same options."""
    searched = read_space(loss, space_file, overrides)
    baseline = searched.clip(BASELINES[loss])
    if as_json:
        click.echo(json.dumps({"loss": loss, "space": searched.record(), "trial_0": baseline}))
        return
    print_table(
        ["hyperparameter", "values", "trial 0"],
        [[name, str(axis), f"{baseline[name]:g}"] for name, axis in searched.axes.items()],
        title=f"{loss} search space",
    )

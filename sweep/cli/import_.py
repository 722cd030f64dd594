"""`sweep import`: a study that was exported elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sweep.cli.options import json_option


@click.command("import")
@click.argument("file", metavar="FILE.zip", type=click.Path(path_type=Path))
@click.option(
    "--as", "name", metavar="NAME", show_default="its own", help="Name of the study here."
)
@click.option(
    "--data",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.npz",
    show_default="its name, in this folder",
    help="Where the study's own data file lies here; its digest is checked.",
)
@json_option
def import_study(file: Path, name: str | None, data: Path | None, *, as_json: bool) -> None:
    """Import a study that `sweep export` wrote.

    Names, sizes, types, digests and values are checked before anything is written; nothing is
    unpickled. MLflow gets the study with `sweep sync` or the study's next `sweep run`.
    """
    from sweep import archive
    from sweep.analysis.selection import find_selected
    from sweep.search.trials import tally
    from sweep.workspace import Workspace

    read = archive.read_archive(file)
    study = archive.import_study(read, Workspace(), name=name, data=data)
    selected, trials = find_selected(study), study.trials()
    if as_json:
        facts = {"study": study.name, "sha256": read.digest, "trials": len(trials)}
        number = None if selected is None else selected.number
        click.echo(json.dumps(facts | {"selected_trial": number}))
        return
    model = "no model" if selected is None else f"the model of trial {selected.number}"
    click.echo(f"study {study.name}: {tally(trials)}, {model}")
    click.echo(f"next: sweep show {study.name} | sweep sync {study.name}")

"""`sweep import`: a study that was exported elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sweep.cli.options import json_option, tracking_option


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
@tracking_option
@json_option
def import_study(
    file: Path,
    name: str | None,
    data: Path | None,
    tracking_uri: str | None,
    *,
    as_json: bool,
) -> None:
    """Take in a study that `sweep export` wrote.

    Nothing in the file is believed: names, sizes, types, digests and values are checked first,
    nothing is unpickled, and what breaks a rule is refused before anything is written.
    """
    from sweep.archive import importing
    from sweep.study.results import find_chosen, tally

    archive = importing.read_archive(file)
    study = importing.import_study(archive, name=name, data=data, tracking_uri=tracking_uri)
    chosen, trials = find_chosen(study), study.trials()
    if as_json:
        facts = {"study": study.name, "sha256": archive.digest, "trials": len(trials)}
        click.echo(json.dumps(facts | {"chosen_trial": None if chosen is None else chosen.number}))
        return
    model = "no model" if chosen is None else f"the model of trial {chosen.number}"
    click.echo(f"study {study.name}: {tally(trials)}, {model}")
    click.echo(f"next: sweep show {study.name} | sweep reproduce {study.name}")

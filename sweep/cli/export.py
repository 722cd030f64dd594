"""`sweep export`: a study as one file."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sweep.cli.options import json_option, study_argument, tracking_option


@click.command()
@study_argument
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.zip",
    show_default="STUDY.zip",
    help="Where to write; an archive that is there is replaced.",
)
@tracking_option
@json_option
def export(study_name: str, out: Path | None, tracking_uri: str | None, *, as_json: bool) -> None:
    """Write STUDY into one file: config, trials, curves, digests and the selected model.

    Its tables open in pandas, R or a spreadsheet; its README says what is what. `sweep import`
    reads it elsewhere. The same study gives the same bytes. Images, MLflow's runs and comparisons
    are not in it.
    """
    from sweep.archive import export_study
    from sweep.search.record import open_study
    from sweep.search.trials import tally
    from sweep.tracking.tracker import Tracker
    from sweep.workspace import Workspace

    study = open_study(study_name, Workspace())
    file = out or Path(f"{study.name}.zip")
    tracker = Tracker(study.config.data.name, Workspace(), uri=tracking_uri)
    exported = export_study(study, tracker, file)
    selected = exported.selected
    if as_json:
        facts = {"study": study.name, "file": str(file), "bytes": exported.size}
        facts |= {"sha256": exported.digest, "trials": len(exported.trials)}
        number = None if selected is None else selected.number
        click.echo(json.dumps(facts | {"selected_trial": number}))
        return
    model = "no model" if selected is None else f"the model of trial {selected.number}"
    click.echo(f"{file}: {study.name}, {tally(exported.trials)}, {model}")
    click.echo(f"{exported.size:,} bytes, SHA-256 {exported.digest}")
    click.echo(f"to import it elsewhere: sweep import {file.name}")

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
def export(
    study_name: str,
    out: Path | None,
    tracking_uri: str | None,
    *,
    as_json: bool,
) -> None:
    """Write STUDY into one file: trials, curves, settings, digests and the chosen model.

    Its tables open in pandas, R or a spreadsheet; its README says what is what. `sweep import`
    takes it in elsewhere. The same study gives the same bytes. Left behind are images, runs in
    MLflow and comparisons.
    """
    from sweep.archive.exporting import export_study
    from sweep.study.opening import load_study
    from sweep.study.results import tally
    from sweep.study.storage import open_storage
    from sweep.tracking.tracker import Tracker

    study = load_study(study_name, open_storage())
    file = out or Path(f"{study.name}.zip")
    tracker = Tracker(study.settings.data.name, uri=tracking_uri)
    exported = export_study(study, tracker, file)
    chosen = exported.contents.chosen
    if as_json:
        facts = {"study": study.name, "file": str(file), "bytes": exported.size}
        facts |= {"sha256": exported.digest, "trials": len(exported.contents.trials)}
        click.echo(json.dumps(facts | {"chosen_trial": None if chosen is None else chosen.number}))
        return
    model = "no model" if chosen is None else f"the model of trial {chosen.number}"
    click.echo(f"{file}: {study.name}, {tally(exported.contents.trials)}, {model}")
    click.echo(f"{exported.size:,} bytes, SHA-256 {exported.digest}")
    click.echo(f"take it in elsewhere with: sweep import {file.name}")

"""Commands that hand results on: report, export, import, sync."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from sweep.cli.options import (
    json_option,
    open_in_folder,
    study_argument,
    tracking_option,
)


@click.command()
@click.argument("study_names", metavar="STUDY...", nargs=-1, required=True)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    show_default="STUDY-report.html, or .md",
    help="File to write; an earlier report there is replaced, anything else is not.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(("html", "md")),
    show_default="by the ending of --out, else html",
    help="One page with everything in it, or Markdown with a folder of figures beside it.",
)
@tracking_option
@json_option
def report(
    study_names: tuple[str, ...],
    *,
    out: Path | None,
    kind: str | None,
    tracking_uri: str | None,
    as_json: bool,
) -> None:
    """Write what STUDY found: the answer, how sure it is, and what makes it again.

    With several studies, their comparison too. What has not been confirmed, tested or compared is
    named, with the command that does it; nothing is trained and no test row is opened. The report
    is also logged with each study's run in MLflow.
    """
    from sweep.report import write_report

    names = dict.fromkeys(study_names)
    studies = [open_in_folder(name, tracking_uri=tracking_uri) for name in names]
    trackers = {study.name: study.tracker for study in studies}
    path, facts, logged = write_report([study.record for study in studies], trackers, out, kind)
    if as_json:
        told = {"file": str(path), "answer": facts.answer, "logged": logged}
        click.echo(json.dumps(told | {"unknown": [asdict(each) for each in facts.unknowns]}))
        return
    click.echo(facts.answer)
    for unknown in facts.unknowns:
        click.echo(f"not known yet: {unknown.what}")
        if unknown.command:
            click.echo(f"  {unknown.command}")
    click.echo(f"written to {path}")
    for name in trackers.keys() - set(logged):
        click.echo(f"not logged for {name}: it has no run in this MLflow store", err=True)


@click.command()
@study_argument
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE.zip",
    show_default="STUDY.zip",
    help="File to write, where an archive is replaced, or a folder to put STUDY.zip into.",
)
@tracking_option
@json_option
def export(study_name: str, *, out: Path | None, tracking_uri: str | None, as_json: bool) -> None:
    """Write STUDY into one file: config, trials, curves, digests and the selected model.

    Its tables open in pandas, R or a spreadsheet; its README says what is what. `sweep import`
    reads it elsewhere. The same study gives the same bytes. Images, MLflow's runs and comparisons
    are not in it.
    """
    from sweep.search import tally

    study = open_in_folder(study_name, tracking_uri=tracking_uri)
    exported = study.export(out)
    selected = exported.selected
    if as_json:
        facts = {"study": study.name, "file": str(exported.file), "bytes": exported.size}
        facts |= {"sha256": exported.digest, "trials": len(exported.trials)}
        number = None if selected is None else selected.number
        click.echo(json.dumps(facts | {"selected_trial": number}))
        return
    model = "no model" if selected is None else f"the model of trial {selected.number}"
    click.echo(f"{exported.file}: {study.name}, {tally(exported.trials)}, {model}")
    click.echo(f"{exported.size:,} bytes, SHA-256 {exported.digest}")
    click.echo(f"next, elsewhere: sweep import {exported.file.name}")


@click.command("import")
@click.argument("file", metavar="FILE.zip", type=click.Path(path_type=Path))
@click.option(
    "--as", "name", metavar="NAME", show_default="its own", help="Name of the study here."
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="FILE",
    show_default="its name, in this folder",
    help="Where the study's own data file lies here; its digest is checked.",
)
@json_option
def import_study(file: Path, *, name: str | None, data: Path | None, as_json: bool) -> None:
    """Import a study that `sweep export` wrote.

    Names, sizes, types, digests and values are checked before anything is written; nothing is
    unpickled. MLflow gets the study with `sweep sync` or the study's next `sweep run`.
    """
    from sweep import study as api
    from sweep.analysis import find_selected
    from sweep.search import IMPORTED, tally
    from sweep.workspace import Workspace

    study = api.import_study(file, name=name, data=data, folder=Workspace())
    selected, trials = find_selected(study.record), study.record.trials()
    if as_json:
        digest = study.record.attribute(IMPORTED)
        facts = {"study": study.name, "sha256": digest, "trials": len(trials)}
        number = None if selected is None else selected.number
        click.echo(json.dumps(facts | {"selected_trial": number}))
        return
    model = "no model" if selected is None else f"the model of trial {selected.number}"
    click.echo(f"study {study.name}: {tally(trials)}, {model}")
    click.echo(f"next: sweep sync {study.name}")


@click.command()
@click.argument("study_name", metavar="[STUDY]", required=False)
@tracking_option
def sync(study_name: str | None, *, tracking_uri: str | None) -> None:
    """Send MLflow what it lacks of STUDY, or of all studies and trainings of this folder.

    While MLflow's server was away a study went on; what it should know waits in mlruns/pending/ and
    in the record. The next `sweep run` of the study would send it as well.
    """
    from sweep.analysis import sync_trainings
    from sweep.study import list_studies
    from sweep.workspace import Workspace

    workspace = Workspace()
    if study_name is not None:
        studies = [open_in_folder(study_name, tracking_uri=tracking_uri)]
    else:
        sent = sync_trainings(workspace, tracking_uri)
        if sent:
            click.echo(f"sweep train: {sent} {'run was' if sent == 1 else 'runs were'} sent")
        studies = []
        if workspace.optuna_database.exists() or not sent:
            studies = list_studies(workspace, tracking_uri=tracking_uri, progress=True)
    for study in studies:
        sent = study.sync(progress=True)
        click.echo(f"{study.name}: {sent or 'no'} {'run was' if sent == 1 else 'runs were'} sent")

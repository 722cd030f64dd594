"""`sweep report`: what some studies found, as one file to read."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sweep.cli.options import json_option, tracking_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweep.search.record import StudyRecord

FORMATS = {"html": ".html", "md": ".md"}


@click.command()
@click.argument("study_names", metavar="STUDY...", nargs=-1, required=True)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    show_default="STUDY-report.html, or .md",
    help="File to write; an earlier report there is replaced, anything else is not.",
)
@click.option(
    "--format",
    "file_format",
    type=click.Choice(tuple(FORMATS)),
    show_default="by the ending of --out, else html",
    help="One page with everything in it, or Markdown with a folder of figures beside it.",
)
@tracking_option
@json_option
def report(
    study_names: tuple[str, ...],
    out: Path | None,
    file_format: str | None,
    tracking_uri: str | None,
    *,
    as_json: bool,
) -> None:
    """Write what STUDY found: the answer, how sure it is, and what makes it again.

    With several studies, their comparison too. What has not been confirmed, tested or compared is
    named, with the command that does it; nothing is trained and no test row is opened. The report
    is also logged with each study's run in MLflow.
    """
    from sweep.outputs import check_replaceable
    from sweep.report import MARK, collect, log_report, render_html, render_markdown, write
    from sweep.search.record import load_study
    from sweep.search.storage import open_storage
    from sweep.tracking.tracker import Tracker
    from sweep.workspace import Workspace

    workspace = Workspace()
    store = open_storage(workspace)
    studies = [load_study(name, store, workspace) for name in dict.fromkeys(study_names)]
    path, kind = _settle(studies, out, file_format)
    check_replaceable(path, mark=MARK.encode(), kind="report")
    trackers = {
        each.name: Tracker(each.config.data.name, workspace, uri=tracking_uri) for each in studies
    }
    facts = collect(studies, trackers)
    if kind == "md":
        rendered = render_markdown(facts, folder=f"{path.stem}-figures")
    else:
        rendered = render_html(facts)
    files = write(rendered, path)
    logged = log_report(files, path, studies, trackers)
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
    for study in studies:
        if study.name not in logged:
            click.echo(f"not logged for {study.name}: it has no run in this MLflow store", err=True)


def _settle(
    studies: Sequence[StudyRecord], out: Path | None, file_format: str | None
) -> tuple[Path, str]:
    """Return the file to write and its format, where the user left them open."""
    by_ending = "md" if out is not None and out.suffix.lower() in (".md", ".markdown") else "html"
    kind = file_format or by_ending
    name = "-".join(study.name for study in studies)[:200]
    return out or Path(f"{name}-report{FORMATS[kind]}"), kind

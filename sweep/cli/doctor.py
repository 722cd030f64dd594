"""`sweep doctor`: is everything as it should be?"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import click

from sweep.cli.options import json_option
from sweep.cli.tables import console, say
from sweep.errors import CheckFailedError, StoreUnreachableError, SweepError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweep.doctor import Finding
    from sweep.search.record import StudyRecord
    from sweep.workspace import Workspace

STYLES = {"ok": "green", "warn": "yellow", "FAIL": "bold red"}
MOST_DETAILS = 5
"""Of one check on the terminal; --json has all."""


@click.command()
@click.option(
    "--repair",
    is_flag=True,
    help="Make MLflow's runs agree with the record again, study by study, then look.",
)
@click.option(
    "--tracking-uri",
    metavar="URI",
    envvar="MLFLOW_TRACKING_URI",
    show_envvar=True,
    help="Where MLflow keeps the runs. [default: sqlite:///mlruns/mlflow.db]",
)  # not the shared option, which refuses a damaged store before anybody has looked at it
@json_option
def doctor(*, repair: bool, tracking_uri: str | None, as_json: bool) -> None:
    """Check versions, BLAS, disk, locks, both databases, and MLflow against the record.

    Nothing is created or changed without --repair. Exit 3 if a check fails, 75 if a store does not
    answer.
    """
    from sweep.doctor import examine
    from sweep.workspace import Workspace

    workspace = Workspace()
    if repair:
        _repair(workspace, tracking_uri)
    found = examine(workspace, tracking_uri)
    counts = Counter(str(finding.level) for finding in found)
    if as_json:
        checks = [finding.record() for finding in found]
        levels = {level: counts[level] for level in STYLES}
        click.echo(json.dumps({"checks": checks, "counts": levels}))
    else:
        for finding in found:
            _print(finding)
        say(f"{counts['ok']} ok, {counts['warn']} to know of, {counts['FAIL']} failed")
    _refuse(found)


def _print(finding: Finding) -> None:
    """Print a finding in a line, and below it what it is made up of and the next step."""
    from rich.text import Text

    out = console()
    out.print(Text(f"{finding.level:<4}", style=STYLES[finding.level]), end="  ")
    out.print(f"{finding.check}: {finding.said}", soft_wrap=True)
    for detail in finding.details[:MOST_DETAILS]:
        out.print(f"      {detail}", soft_wrap=True)
    if len(finding.details) > MOST_DETAILS:
        out.print(f"      and {len(finding.details) - MOST_DETAILS} more; --json has all")
    if finding.advice:
        out.print(f"      next: {finding.advice}", soft_wrap=True)


def _refuse(found: Sequence[Finding]) -> None:
    """Raise what the exit code is to say."""
    failed = [finding for finding in found if finding.level == "FAIL"]
    silent = [finding for finding in failed if finding.unreachable]
    if silent:
        raise StoreUnreachableError(f"{silent[0].check} could not be looked at; see above")
    if failed:
        which = ", ".join(finding.check for finding in failed)
        raise CheckFailedError(f"{len(failed)} of {len(found)} checks failed: {which}; see above")


def _repair(workspace: Workspace, tracking_uri: str | None) -> None:
    """Repair every study; one that cannot be is said, and does not stop the others."""
    from sweep.search.record import recorded_studies
    from sweep.search.storage import open_storage

    if not workspace.optuna_database.exists():
        return
    try:
        studies = recorded_studies(open_storage(workspace), workspace)
    except SweepError as error:
        click.echo(f"nothing repaired: {error}", err=True)
        return
    for study in studies:
        try:
            _repair_study(study, tracking_uri)
        except SweepError as error:
            click.echo(f"study {study.name} not repaired: {error}", err=True)


def _repair_study(study: StudyRecord, tracking_uri: str | None) -> None:
    from sweep.doctor import repair
    from sweep.search.storage import making_stores
    from sweep.tracking.address_rules import check_address
    from sweep.tracking.tracker import Tracker
    from sweep.tracking.tracker import tracking_uri as resolve

    check_address(resolve(tracking_uri, study.workspace))
    with making_stores(study.workspace):
        tracker = Tracker(study.config.data.name, study.workspace, uri=tracking_uri)
    done = repair(study, tracker)
    if done.changes:
        click.echo(f"study {study.name}: repaired, {done.changes} changes", err=True)
    if done.replaced:
        trials = ", ".join(map(str, done.replaced))
        click.echo(
            f"study {study.name}: wrong runs of these trials are deleted and made anew, with their "
            f"files: {trials}",
            err=True,
        )

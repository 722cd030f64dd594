"""`sweep doctor`: is everything as it should be?"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import click

from sweep.cli.options import json_option, tracking_option
from sweep.errors import CheckFailedError, StoreUnreachableError, SweepError
from sweep.terminal import make_console, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweep.doctor import Finding
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
@tracking_option
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
    findings = examine(workspace, tracking_uri)
    counts = Counter(str(finding.level) for finding in findings)
    if as_json:
        checks = [finding.record() for finding in findings]
        levels = {level: counts[level] for level in STYLES}
        click.echo(json.dumps({"checks": checks, "counts": levels}))
    else:
        for finding in findings:
            _print(finding)
        say(f"{counts['ok']} ok, {counts['warn']} to know of, {counts['FAIL']} failed")
    _refuse(findings)


def _print(finding: Finding) -> None:
    """Print a finding in a line, and below it what it is made up of and the next step."""
    from rich.text import Text

    out = make_console()
    out.print(Text(f"{finding.level:<4}", style=STYLES[finding.level]), end="  ")
    out.print(f"{finding.check}: {finding.message}", soft_wrap=True)
    for detail in finding.details[:MOST_DETAILS]:
        out.print(f"      {detail}", soft_wrap=True)
    if len(finding.details) > MOST_DETAILS:
        out.print(f"      and {len(finding.details) - MOST_DETAILS} more; --json has all")
    if finding.advice:
        out.print(f"      next: {finding.advice}", soft_wrap=True)


def _refuse(findings: Sequence[Finding]) -> None:
    """Raise what the exit code is to say."""
    failed = [finding for finding in findings if finding.level == "FAIL"]
    silent = [finding for finding in failed if finding.unreachable]
    if silent:
        raise StoreUnreachableError(f"{silent[0].check} could not be looked at; see above")
    if failed:
        which = ", ".join(finding.check for finding in failed)
        count = f"{len(failed)} of {len(findings)}"
        raise CheckFailedError(f"{count} checks failed: {which}; see above")


def _repair(workspace: Workspace, tracking_uri: str | None) -> None:
    """Repair every study; one that cannot be is said, and does not stop the others."""
    from sweep.doctor import repair
    from sweep.study import list_studies

    if not workspace.optuna_database.exists():
        return
    try:
        studies = list_studies(workspace, tracking_uri=tracking_uri, progress=True)
    except SweepError as error:
        click.echo(f"nothing repaired: {error}", err=True)
        return
    for study in studies:
        try:
            done = repair(study.record, tracking_uri)
        except SweepError as error:
            click.echo(f"study {study.name} not repaired: {error}", err=True)
            continue
        if done.changes:
            click.echo(f"study {study.name}: repaired, {done.changes} changes", err=True)
        if done.replaced:
            trials = ", ".join(map(str, done.replaced))
            click.echo(
                f"study {study.name}: wrong runs of these trials are deleted and made anew, with "
                f"their files: {trials}",
                err=True,
            )

"""What `sweep run` says when it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sweep.cli.best import print_best

if TYPE_CHECKING:
    from sweep.study.opening import OpenStudy
    from sweep.timings import Timings

COMPUTING = ("training", "evaluation", "waiting")
"""The parts of the time in which the machine does arithmetic, or should."""


def print_summary(study: OpenStudy, why: str, timings: Timings, operations: float) -> None:
    """Say why training stopped, what is best, where the time went and what comes next."""
    from sweep.study.edges import edge_lines
    from sweep.study.results import find_chosen, tally

    click.echo(f"study {study.name}: {why} ({tally(study.trials())})")
    best = find_chosen(study)
    if best is not None:
        print_best(study, best)
    for line in edge_lines(study):
        click.echo(line)
    click.echo(f"time {timings}")
    if operations:
        spent = sum(timings.seconds().get(part, 0.0) for part in COMPUTING)
        click.echo(
            f"arithmetic {operations / spent / 1e9:.1f} GF/s while training and evaluating "
            f"({study.settings.layout})"
        )
    if best is not None:
        click.echo(f"next: sweep ui | sweep show {study.name} | sweep confirm {study.name}")
    else:
        click.echo("next: the same command again, which goes on from here")

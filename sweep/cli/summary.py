"""What `sweep run` says when it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sweep.cli.best import print_best

if TYPE_CHECKING:
    from sweep.analysis.session import Session
    from sweep.timings import Timings

COMPUTING = ("training", "evaluation", "waiting")
"""The parts of the time in which the machine does arithmetic, or should."""
SHOWN = 5
"""So many numbers of trials are named."""


def print_summary(session: Session, timings: Timings) -> None:
    """Say why training stopped, what is best, where the time went and what comes next."""
    from sweep.analysis.boundary import boundary_lines
    from sweep.analysis.selection import find_selected
    from sweep.search.trials import tally

    study = session.study
    trials = study.trials()
    click.echo(f"study {study.name}: {session.why} ({tally(trials)})")
    best = find_selected(study)
    if best is not None:
        print_best(study, best)
    for line in boundary_lines(study):
        click.echo(line)
    for what, numbers in (
        ("trials of other programs in the study, left alone", study.foreign()),
        ("queued settings that could not be tried", study.refused()),
    ):
        if numbers:
            more = f" and {len(numbers) - SHOWN} more" if len(numbers) > SHOWN else ""
            click.echo(f"{what}: {', '.join(map(str, numbers[:SHOWN]))}{more}")
    click.echo(f"time {timings}")
    if session.operations:
        spent = sum(timings.seconds().get(part, 0.0) for part in COMPUTING)
        click.echo(
            f"arithmetic {session.operations / spent / 1e9:.1f} GF/s while training and "
            f"evaluating ({study.config.slots} slots, panels of {study.config.lanes} lanes)"
        )
    if not session.lanes_agree:
        click.echo(
            "this machine's BLAS gives a trial other bits in another lane: trials were not moved, "
            "and may not reproduce bit for bit"
        )
    if best is not None:
        click.echo(f"next: sweep ui | sweep show {study.name} | sweep confirm {study.name}")
    else:
        click.echo("next: the same command again, which goes on from here")

"""`sweep reproduce`: train a trial again and compare."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from sweep.cli.options import (
    FiniteFloat,
    data_dir_option,
    json_option,
    study_argument,
    tracking_option,
)
from sweep.errors import CheckFailedError

if TYPE_CHECKING:
    from pathlib import Path

    from sweep.analysis.reproduce import Verdict


@click.command()
@study_argument
@click.option("--trial", type=click.IntRange(min=0), help="Trial number. [default: the selected]")
@click.option(
    "--tolerance",
    type=FiniteFloat(min=0),
    default=1e-3,
    show_default=True,
    help="Relative difference of losses and weights, and of accuracies beyond two rows, that still "
    "counts as a match where the machine, BLAS or versions are others.",
)
@data_dir_option
@tracking_option
@json_option
def reproduce(
    study_name: str,
    trial: int | None,
    tolerance: float,
    data_dir: Path | None,
    *,
    tracking_uri: str | None,
    as_json: bool,
) -> None:
    """Train a trial of STUDY again from its record, and check that it comes out the same.

    Every curve point and the weights are compared. Exit code 0: MATCH, bit for bit or within the
    tolerance. 3: it comes out otherwise; the output says from where on, and what differs.
    """
    from sweep.analysis import reproduce as reproduction
    from sweep.analysis.selection import selected_trial
    from sweep.cli.progress import watching_epochs
    from sweep.data.reopening import DataChangedError, reopen_data, reopen_source
    from sweep.search.record import open_study
    from sweep.tracking.tracker import Tracker
    from sweep.workspace import Workspace

    workspace = Workspace()
    study = open_study(study_name, workspace)
    original = selected_trial(study) if trial is None else study.trial(trial)
    source = reopen_source(study.config.data, data_dir)
    try:
        data = reopen_data(study.config.data, source)
    except DataChangedError as error:
        raise CheckFailedError(f"NO MATCH: {error}") from error
    tracker = Tracker(study.config.data.name, workspace, uri=tracking_uri)
    with watching_epochs(max(1, original.epochs)) as on_epoch:
        verdict = reproduction.reproduce(
            study, original, data, tracker, tolerance=tolerance, on_epoch=on_epoch
        )
    if as_json:
        click.echo(json.dumps({"study": study.name, **verdict.record()}))
    else:
        click.echo("\n".join(describe(study.name, verdict)))
    if not verdict.holds:
        raise CheckFailedError(
            f"trial {verdict.trial} of {study.name!r} does not come out the same"
        )


def describe(study: str, verdict: Verdict) -> list[str]:
    """Return the verdict in lines."""
    head = f"{study} trial {verdict.trial}"
    if verdict.matches == "bit for bit":
        return [f"{head}: MATCH (bit for bit): {verdict.points} curve points and the weights"]
    apart = verdict.weights_difference
    weights = "unknown, the first weights are gone" if apart is None else f"{apart:.2g}"
    curves = f"{verdict.largest_curve_difference:.2g}"
    lines = [
        f"{head}: "
        + (
            f"MATCH within a tolerance of {verdict.tolerance:g}"
            if verdict.holds
            else f"NO MATCH at a tolerance of {verdict.tolerance:g}"
        ),
        f"  parts at {verdict.parts_at}",
        f"  largest difference: curves {curves}, weights {weights}",
    ]
    differing = verdict.environment_differences or ["nothing that was recorded"]
    return lines + [f"  differs: {phrase}" for phrase in differing]

"""`sweep test`: open the sealed test rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from sweep.cli.options import (
    data_dir_option,
    json_option,
    study_argument,
    tracking_option,
)

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@study_argument
@data_dir_option
@tracking_option
@json_option
def test(
    study_name: str,
    data_dir: Path | None,
    tracking_uri: str | None,
    *,
    as_json: bool,
) -> None:
    """Open the test rows: evaluate the selected trial of STUDY on them, and count it.

    The search never sees these rows. The more often they are looked at, the less they tell: the
    study counts how often.
    """
    from sweep.analysis.selection import grounds, selected_trial
    from sweep.analysis.test_set import open_test_rows
    from sweep.data.reopening import reopen_data, reopen_source
    from sweep.search.record import open_study
    from sweep.statistics.intervals import percent_with_interval
    from sweep.tracking.tracker import Tracker
    from sweep.workspace import Workspace

    workspace = Workspace()
    study = open_study(study_name, workspace)
    trial = selected_trial(study)
    source = reopen_source(study.config.data, data_dir)
    reopen_data(study.config.data, source)
    tracker = Tracker(study.config.data.name, workspace, uri=tracking_uri)
    result, openings = open_test_rows(study, trial, source, tracker)
    if as_json:
        facts = {"study": study.name, "trial": trial.number, "openings": openings}
        click.echo(json.dumps(facts | result.record()))
        return
    accuracy = percent_with_interval(result.accuracy, result.rows)
    click.echo(
        f"{study.name} trial {trial.number} ({grounds(study)}): test accuracy {accuracy} "
        f"(95 % interval, {result.rows:,} rows)"
    )
    times = "once" if openings == 1 else f"{openings} times"
    click.echo(f"The test rows have been opened {times} for this study.")

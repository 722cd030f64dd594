"""`sweep run`: search, or go on searching."""

from __future__ import annotations

from typing import Any

import click

from sweep.cli.options import (
    FiniteFloat,
    data_options,
    epochs_option,
    loss_option,
    seed_option,
    slots_option,
    space_options,
    tracking_option,
    train_curve_option,
    workers_option,
)
from sweep.config import OBJECTIVES, PRUNERS, SAMPLERS


@click.command()
@loss_option
@click.option(
    "--trials",
    type=click.IntRange(1, 1_000_000),
    default=50,
    show_default=True,
    help="Finished trials (complete and pruned) in total; the same command again does the rest.",
)
@epochs_option
@seed_option
@data_options
@space_options
@click.option(
    "--sampler",
    type=click.Choice(SAMPLERS),
    default="tpe",
    show_default=True,
    help="How settings are proposed; grid takes the ends and middle of every range.",
)
@click.option(
    "--pruner",
    type=click.Choice(PRUNERS),
    default="halving",
    show_default=True,
    help="How trials that fall behind are ended early; with median the first SLOTS run in full.",
)
@click.option(
    "--objective",
    type=click.Choice(OBJECTIVES),
    default="val-accuracy",
    show_default=True,
    help="What is best, at the last epoch; ties go to the lower validation loss.",
)
@click.option(
    "--timeout",
    type=FiniteFloat(min=0, min_open=True),
    metavar="SECONDS",
    help="Begin no further trial after this long.",
)
@click.option(
    "--study", "study_name", metavar="NAME", help="Name of the study. [default: DATA-LOSS]"
)
@slots_option
@train_curve_option
@workers_option
@tracking_option
@click.option("--dry-run", is_flag=True, help="Show what would run, and run nothing.")
def run(
    *,
    trials: int,
    timeout: float | None,
    tracking_uri: str | None,
    dry_run: bool,
    workers: int | None,
    **plan_options: Any,
) -> None:
    """Search for the best setting, and record every trial in MLflow.

    Trial 0 is the report's own setting (l2 0.1, learning rate 0.01, decay period 10, batch size
    50, flip probability 0.2; for bce a tenth of the l2 and ten times the rate, because its
    gradient is a tenth), moved into the space where it lies outside. The same command again goes
    on with the study until TRIALS are finished. Ctrl-C saves the state first.
    """
    from sweep.cli.running import search, show_plan
    from sweep.data import auto_notice
    from sweep.search.lock import refuse_running
    from sweep.search.plan import Plan, notices
    from sweep.timings import Timings
    from sweep.workspace import Workspace

    timings, workspace = Timings(), Workspace()
    plan = Plan(**plan_options)
    with timings.part("data"):
        source = plan.open_source()
        if not dry_run:  # before its rows are read, which takes seconds
            refuse_running(workspace, plan.name(source))
        if plan.data == "auto":
            click.echo(auto_notice(source, plan.data_dir), err=True)
        config, data = plan.settle(source, trials=trials)
    for notice in notices(data):
        click.echo(notice, err=True)
    if dry_run:
        show_plan(config, data, workspace, trials=trials, kept=plan.kept)
        return
    search(
        config,
        data,
        workspace,
        trials=trials,
        kept=plan.kept,
        seconds=timeout,
        workers=workers,
        tracking_uri=tracking_uri,
        timings=timings,
    )

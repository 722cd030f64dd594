"""`sweep run`: search, or go on searching."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sweep.cli.best import print_best
from sweep.cli.options import (
    FiniteFloat,
    data_options,
    epochs_option,
    loss_option,
    seed_option,
    space_options,
    tracking_option,
)
from sweep.layout import MOST_SLOTS, LayoutChoice
from sweep.settings import OBJECTIVES, PRUNERS, SAMPLERS

if TYPE_CHECKING:
    from sweep.data import Prepared
    from sweep.settings import Settings
    from sweep.study.loop import StudyLoop
    from sweep.study.opening import OpenStudy
    from sweep.timings import Timings

COMPUTING = ("training", "evaluation", "waiting")
"""The parts of the time in which the machine does arithmetic, or should."""


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
    default="median",
    show_default=True,
    help="How trials that fall behind are ended early.",
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
@click.option(
    "--audit-pruning",
    type=click.IntRange(0, 1_000_000),
    metavar="K",
    default=0,
    show_default=True,
    help="Afterwards train K pruned trials to their end: would one have won?",
)
@click.option(
    "--slots",
    type=click.IntRange(1, MOST_SLOTS),
    show_default="from the machine and --trials",
    help="Trials in training at once; fewer teach the sampler and the pruner sooner.",
)
@click.option(
    "--width",
    type=click.IntRange(1, MOST_SLOTS),
    show_default="slots shared out evenly",
    help="Slots that share every product, a stack; a trial's bits depend on it.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, MOST_SLOTS),
    show_default="the cores, as far as they help",
    help="Threads that train the stacks; they change no number.",
)
@tracking_option
@click.option("--dry-run", is_flag=True, help="Show what would run, and run nothing.")
def run(
    *,
    trials: int,
    timeout: float | None,
    audit_pruning: int,
    tracking_uri: str | None,
    dry_run: bool,
    slots: int | None,
    width: int | None,
    workers: int | None,
    **plan_options: Any,
) -> None:
    """Search for the best setting, and record every trial in MLflow.

    Trial 0 is the report's own setting (l2 0.1, learning rate 0.01, decay period 10, batch size
    50, flip probability 0.2; for bce a tenth of the l2 and ten times the rate, because its
    gradient is a tenth), moved into the space where it lies outside. The same command again goes
    on with the study until TRIALS are finished. Ctrl-C saves the state first.
    """
    from sweep.cli.progress import watching
    from sweep.data import auto_notice
    from sweep.study.loop import StudyLoop
    from sweep.study.opening import begin_study
    from sweep.study.passes import Budget
    from sweep.study.plan import Plan
    from sweep.study.results import tally
    from sweep.study.storage import create_storage, making_stores
    from sweep.timings import Timings
    from sweep.tracking.tracker import Tracker

    timings = Timings()
    layout = LayoutChoice(slots=slots, width=width, workers=workers)
    plan = Plan(**plan_options, layout=layout)
    with timings.part("data"):
        source = plan.open_source()
        if plan.data == "auto":
            click.echo(auto_notice(source, plan.data_dir), err=True)
        settings, data = plan.settle(source, trials=trials)
    for notice in plan.notices(settings, data):
        click.echo(notice, err=True)
    if dry_run:
        _print_plan(_as_begun(settings, layout), data, trials)
        return
    with making_stores():
        tracker = Tracker(settings.data.name, uri=tracking_uri, timings=timings)
    with timings.part("sampling"):
        study = begin_study(settings, create_storage(), layout)
    done = tally(study.trials()).finished
    with watching(study.settings, done=done, total=trials) as listener:
        loop = StudyLoop(study, data, tracker, listener, timings)
        why = loop.run(Budget(trials, timeout), audited=audit_pruning)
    _print_summary(study, why, timings, loop)


def _as_begun(settings: Settings, layout: LayoutChoice) -> Settings:
    """Return the settings as the study of that name has them, if there is one, or refuse."""
    from sweep.study.opening import resume_study, study_names
    from sweep.study.storage import STORE, open_storage

    if not STORE.exists() or settings.study not in study_names(open_storage()):
        return settings
    return resume_study(settings, open_storage(), layout).settings


def _print_plan(settings: Settings, data: Prepared, trials: int) -> None:
    rows, validation = len(data.training.labels), len(data.validation.labels)
    click.echo(
        f"study {settings.study}: {trials} trials of {settings.epochs} epochs, "
        f"{settings.loss} loss, {settings.sampler} sampler, {settings.pruner} pruner, "
        f"seed {settings.seed}, best by {settings.objective}"
    )
    click.echo(f"layout: {settings.layout}")
    click.echo(
        f"data {settings.data.name}: {rows:,} training rows, {validation:,} validation rows, "
        f"digest {settings.data.data_digest[:12]}, split {settings.data.split_digest[:12]}"
    )
    for name, axis in settings.space.axes.items():
        click.echo(f"  {name:<17} {axis}")


def _print_summary(study: OpenStudy, why: str, timings: Timings, loop: StudyLoop) -> None:
    from sweep.study.edges import edge_lines
    from sweep.study.results import find_chosen, tally

    click.echo(f"study {study.name}: {why} ({tally(study.trials())})")
    best = find_chosen(study)
    if best is not None:
        print_best(study, best)
    for line in edge_lines(study):
        click.echo(line)
    if loop.audit is not None:
        click.echo(f"audit: {loop.audit}")
    click.echo(f"time {timings}")
    if loop.operations:
        spent = sum(timings.seconds().get(part, 0.0) for part in COMPUTING)
        click.echo(
            f"arithmetic {loop.operations / spent / 1e9:.1f} GF/s while training and evaluating "
            f"({study.settings.layout})"
        )
    if best is not None:
        click.echo(f"next: sweep ui | sweep show {study.name} | sweep confirm {study.name}")
    else:
        click.echo("next: the same command again, which goes on from here")

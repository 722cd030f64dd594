"""What `sweep run` does once it knows what is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sweep.cli.progress import watching
from sweep.cli.summary import print_summary

if TYPE_CHECKING:
    from sweep.data import Prepared
    from sweep.layout import LayoutChoice
    from sweep.settings import Settings
    from sweep.timings import Timings


def show_plan(settings: Settings, data: Prepared, layout: LayoutChoice, trials: int) -> None:
    """Print what would run."""
    settings = _as_begun(settings, layout)
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


def _as_begun(settings: Settings, layout: LayoutChoice) -> Settings:
    """Return the settings as the study of that name has them, if there is one, or refuse."""
    from sweep.study.opening import resume_study, study_names
    from sweep.study.storage import STORE, open_storage

    if not STORE.exists():
        return settings
    store = open_storage()
    if settings.study not in study_names(store):
        return settings
    return resume_study(settings, store, layout).settings


def search(
    settings: Settings,
    data: Prepared,
    layout: LayoutChoice,
    *,
    trials: int,
    seconds: float | None,
    tracking_uri: str | None,
    timings: Timings,
) -> None:
    """Train the study until it has so many finished trials, or no more may begin."""
    from sweep.study.loop import StudyLoop
    from sweep.study.opening import begin_study
    from sweep.study.passes import Budget
    from sweep.study.results import tally
    from sweep.study.storage import create_storage, making_stores
    from sweep.tracking.tracker import Tracker

    with making_stores():
        tracker = Tracker(settings.data.name, uri=tracking_uri, timings=timings)
    with timings.part("sampling"):
        study = begin_study(settings, create_storage(), layout)
    done = tally(study.trials()).finished
    with watching(study.settings, done=done, total=trials) as listener:
        loop = StudyLoop(study, data, tracker, listener, timings)
        why = loop.run(Budget(trials, seconds))
    print_summary(study, why, timings, loop.operations)

"""What `sweep run` does once it knows what is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sweep.cli.progress import watching
from sweep.cli.summary import print_summary

if TYPE_CHECKING:
    from collections.abc import Collection

    from sweep.config import StudyConfig
    from sweep.data import Prepared
    from sweep.timings import Timings
    from sweep.workspace import Workspace


def show_plan(
    config: StudyConfig,
    data: Prepared,
    workspace: Workspace,
    *,
    trials: int,
    kept: Collection[str],
) -> None:
    """Print what would run."""
    config = _as_begun(config, workspace, kept)
    rows, validation = len(data.training.labels), len(data.validation.labels)
    click.echo(
        f"study {config.study}: {trials} trials of {config.epochs} epochs, "
        f"{config.loss} loss, {config.sampler} sampler, {config.pruner} pruner, "
        f"seed {config.seed}, best by {config.objective}"
    )
    click.echo(f"{config.slots} slots, panels of {config.lanes} lanes")
    click.echo(
        f"data {config.data.name}: {rows:,} training rows, {validation:,} validation rows, "
        f"digest {config.data.data_digest[:12]}, split {config.data.split_digest[:12]}"
    )
    for name, axis in config.space.axes.items():
        click.echo(f"  {name:<17} {axis}")


def _as_begun(config: StudyConfig, workspace: Workspace, kept: Collection[str]) -> StudyConfig:
    """Return the config as the study of that name has it, if there is one, or refuse."""
    from sweep.search.record import resume_study, study_names
    from sweep.search.storage import open_storage

    if not workspace.optuna_database.exists():
        return config
    store = open_storage(workspace)
    if config.study not in study_names(store, workspace):
        return config
    return resume_study(config, store, workspace, kept).config


def search(
    config: StudyConfig,
    data: Prepared,
    workspace: Workspace,
    *,
    trials: int,
    kept: Collection[str],
    seconds: float | None,
    workers: int | None,
    tracking_uri: str | None,
    timings: Timings,
) -> None:
    """Train the study until it has so many finished trials, or no more may begin."""
    from sweep.analysis.session import run_study
    from sweep.search.storage import making_stores
    from sweep.tracking.tracker import Tracker

    with timings.part("tracking"), making_stores(workspace):
        tracker = Tracker(config.data.name, workspace, uri=tracking_uri)
    with watching(config, total=trials) as listener:
        session = run_study(
            config,
            data,
            workspace,
            tracker,
            trials=trials,
            kept=kept,
            seconds=seconds,
            workers=workers,
            listener=listener,
            timings=timings,
        )
    print_summary(session, timings)

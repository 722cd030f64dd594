"""`sweep worker`: help with a study that many machines share."""

from __future__ import annotations

from pathlib import Path

import click

from sweep.cli.options import (
    FiniteFloat,
    data_dir_option,
    slots_option,
    storage_option,
    study_argument,
    tracking_option,
    workers_option,
)
from sweep.layout import LayoutChoice


@click.command()
@study_argument
@storage_option
@tracking_option
@click.option(
    "--data",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.npz",
    show_default="where it was when the study was begun",
    help="Where the study's .npz file lies on this machine.",
)
@data_dir_option
@slots_option
@workers_option
@click.option(
    "--timeout",
    type=FiniteFloat(min=0, min_open=True),
    metavar="SECONDS",
    help="Begin no further trial after this long.",
)
def worker(
    *,
    study_name: str,
    storage: str | None,
    tracking_uri: str | None,
    file: Path | None,
    data_dir: Path | None,
    slots: int | None,
    workers: int | None,
    timeout: float | None,
) -> None:
    """Train trials of STUDY beside other workers, until it has all of them.

    The study was begun by `sweep run --storage URL`. Its workers may come and go at any moment:
    what one of them was training when it died, another begins anew. Which setting is tried next
    depends on who finishes first; every trial still comes out the same when it is reproduced.
    Ctrl-C and SIGTERM give back what trains.
    """
    from sweep.cli.running import work
    from sweep.study.material import reopen_data, reopen_source
    from sweep.study.storage import making_stores, open_storage
    from sweep.timings import Timings
    from sweep.tracking.tracker import Tracker
    from sweep.workers.beginning import join_shared

    timings = Timings()
    study, budget = join_shared(study_name, open_storage(storage))
    choice = study.settings.data if file is None else study.settings.data.moved(file)
    with timings.part("data"):
        data = reopen_data(choice, reopen_source(choice, data_dir))
    with making_stores(storage):
        tracker = Tracker(choice.name, uri=tracking_uri, timings=timings)
    layout = LayoutChoice(slots=slots, workers=workers)
    work(study, data, tracker, layout, trials=budget, seconds=timeout)

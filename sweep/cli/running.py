"""What `sweep run` does once it knows what is asked for: here, as a worker, or on a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from sweep.cli.progress import watching
from sweep.cli.summary import print_summary

if TYPE_CHECKING:
    from pathlib import Path

    from sweep.data import Prepared
    from sweep.layout import LayoutChoice
    from sweep.settings import Settings
    from sweep.study.opening import OpenStudy
    from sweep.timings import Timings
    from sweep.tracking.tracker import Tracker


@dataclass(frozen=True)
class Running:
    """A study that is asked for, with its rows loaded.

    Attributes
    ----------
    settings, data
        What it is, and what its trials train on.
    layout
        What the user says about slots and threads.
    trials, seconds
        How many finished trials it is to have, and how long trials may begin.
    tracking_uri
        Where MLflow keeps its runs.
    timings
        Where the time goes.

    """

    settings: Settings
    data: Prepared
    layout: LayoutChoice
    trials: int
    seconds: float | None
    tracking_uri: str | None
    timings: Timings

    def show_plan(self, storage: str | None) -> None:
        """Print what would run."""
        settings, data = self._as_begun(storage), self.data
        rows, validation = len(data.training.labels), len(data.validation.labels)
        click.echo(
            f"study {settings.study}: {self.trials} trials of {settings.epochs} epochs, "
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

    def here(self, *, audited: int) -> None:
        """Train the study in the working folder."""
        from sweep.study.loop import StudyLoop
        from sweep.study.opening import begin_study
        from sweep.study.passes import Budget
        from sweep.study.results import tally
        from sweep.study.storage import create_storage

        tracker = self._tracker(None)
        with self.timings.part("sampling"):
            study = begin_study(self.settings, create_storage(), self.layout)
        done = tally(study.trials()).finished
        with watching(study.settings, done=done, total=self.trials) as listener:
            loop = StudyLoop(study, self.data, tracker, listener, self.timings)
            why = loop.run(Budget(self.trials, self.seconds), audited=audited)
        print_summary(study, why, self.timings, loop.operations, loop.audit)

    def begin(self, storage: str, grace: float | None) -> None:
        """Begin a shared study, or change its budget, and train nothing."""
        from sweep.study.results import tally

        study = self._shared(storage, grace)
        self._tracker(storage)
        click.echo(f"study {study.name}: {self.trials} trials in all ({tally(study.trials())})")
        click.echo(f"next: sweep worker {study.name} --storage URL, on any number of machines")

    def as_worker(self, storage: str, grace: float | None) -> None:
        """Begin or join a shared study, and train beside its other workers."""
        study, tracker = self._shared(storage, grace), self._tracker(storage)
        work(study, self.data, tracker, self.layout, trials=self.trials, seconds=self.seconds)

    def on_ray(
        self,
        address: str,
        storage: str,
        grace: float | None,
        workers: int | None,
        data_dir: Path | None,
    ) -> None:
        """Begin or join a shared study, and let a Ray cluster train it."""
        from sweep.study.results import tally
        from sweep.workers.ray_cluster import run_on_ray

        study = self._shared(storage, grace)
        self._tracker(storage)
        done = tally(study.trials()).finished
        with watching(study.settings, done=done, total=self.trials) as listener:
            why = run_on_ray(
                study,
                ray_address=address,
                storage=storage,
                tracking_uri=self.tracking_uri,
                data_dir=data_dir,
                workers=workers,
                slots=self.layout.slots,
                listener=listener,
                seconds=self.seconds,
            )
        print_summary(study, why, self.timings, operations=0)

    def _shared(self, storage: str, grace: float | None) -> OpenStudy:
        from sweep.study.storage import create_storage
        from sweep.workers.beginning import begin_shared

        with self.timings.part("sampling"):
            return begin_shared(
                self.settings,
                create_storage(storage),
                self.layout,
                trials=self.trials,
                grace=grace,
            )

    def _tracker(self, storage: str | None) -> Tracker:
        from sweep.study.storage import making_stores
        from sweep.tracking.tracker import Tracker

        with making_stores(storage):
            return Tracker(self.settings.data.name, uri=self.tracking_uri, timings=self.timings)

    def _as_begun(self, storage: str | None) -> Settings:
        """Return the settings as the study of that name has them, if there is one, or refuse."""
        from sweep.study.opening import resume_study, study_names
        from sweep.study.storage import STORE, open_storage

        if storage is None and not STORE.exists():
            return self.settings
        store = open_storage(storage)
        if self.settings.study not in study_names(store):
            return self.settings
        return resume_study(self.settings, store, self.layout).settings


def work(
    study: OpenStudy,
    data: Prepared,
    tracker: Tracker,
    layout: LayoutChoice,
    *,
    trials: int,
    seconds: float | None,
) -> None:
    """Train trials of a shared study beside its other workers, and say what came of it."""
    from sweep.study.results import tally
    from sweep.workers.worker import Worker

    done = tally(study.trials()).finished
    with watching(study.settings, done=done, total=trials) as listener:
        worker = Worker(study, data, tracker, listener, tracker.timings, choice=layout)
        why = worker.run(seconds)
    print_summary(worker.study, why, tracker.timings, worker.operations)

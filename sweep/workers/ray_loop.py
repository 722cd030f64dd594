"""One worker of a shared study as an actor of a Ray cluster."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sweep.errors import SweepError
from sweep.study.interrupts import Interrupts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sweep.layout import LayoutChoice
    from sweep.study.opening import OpenStudy

SECRETS = (
    "PGPASSWORD",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
)
"""Variables that every machine needs to reach the stores; Ray's own pages would show them."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a loop is to do. It goes from the driver to the loop alone, as it may hold logins."""

    study: str
    storage: str = field(repr=False)
    tracking_uri: str = field(repr=False)
    layout: LayoutChoice
    seconds: float | None
    environment: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a loop ended: why its study stopped or, with an exit code, what went wrong."""

    text: str
    exit_code: int = 0


class Loop:
    """An actor that works on a study until it is done; of its two threads one listens."""

    def __init__(self) -> None:
        self._interrupts = Interrupts()

    def run(self, order: Order, shelf: Any) -> Outcome:
        """Work with the rows of the cluster's `Shelf`, and tell the driver how it ended."""
        try:
            return Outcome(text=self._work(order, shelf))
        except SweepError as error:
            return Outcome(text=str(error), exit_code=error.exit_code)

    def node(self) -> str:
        """Return the id of the machine; that it answers says that the loop is placed."""
        import ray

        return str(ray.get_runtime_context().get_node_id())

    def stop(self, number: int) -> None:
        """End in an orderly way, as by a signal."""
        self._interrupts.stop(signal.Signals(number))

    def _work(self, order: Order, shelf: Any) -> str:
        from sweep.study.listener import Listener
        from sweep.study.opening import load_study
        from sweep.study.storage import open_storage
        from sweep.timings import Timings
        from sweep.tracking.tracker import Tracker
        from sweep.workers.node_rows import rows_of_this_node
        from sweep.workers.worker import Worker

        for name, value in order.environment.items():
            os.environ.setdefault(name, value)
        study = load_study(order.study, open_storage(order.storage))
        os.chdir(_folder(study))
        timings = Timings()
        tracker = Tracker(study.settings.data.name, uri=order.tracking_uri, timings=timings)
        worker = Worker(
            study,
            rows_of_this_node(shelf),
            tracker,
            Listener(),
            timings,
            choice=order.layout,
        )
        worker.interrupts = self._interrupts
        return worker.run(order.seconds)


def _folder(study: OpenStudy) -> Path:
    """Return where this machine keeps what is on its way to MLflow, also after a death."""
    from sweep.data.opening import cache_folder

    folder = cache_folder() / "workers" / study.identity
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SweepError(
            f"{folder}: cannot be made: {error.strerror}; set XDG_CACHE_HOME on this machine to a "
            "folder that may be written to"
        ) from error
    return folder

"""One MLflow run: parameters, buffered metrics, images, files, tags and an end."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from sweep.errors import SweepError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt
    from matplotlib.figure import Figure

    from sweep.tracking.tracker import Tracker

FLUSH_SECONDS = 2.0
"""How long a metric may wait: one call costs 7 ms, a point within a batch 0.06 ms."""
FLUSH_POINTS = 900
"""MLflow takes at most 1,000 metrics in a batch."""


class Run:
    """A run of the tracker's experiment; `create` makes a new one.

    Parameters
    ----------
    tracker
        The store.
    run_id
        An existing run.

    """

    def __init__(self, tracker: Tracker, run_id: str) -> None:
        self.tracker = tracker
        self.id = run_id
        self._metrics: list[Any] = []
        self._flushed = time.monotonic()

    @classmethod
    def create(
        cls,
        tracker: Tracker,
        name: str,
        *,
        tags: Mapping[str, object],
        note: str = "",
        parent: Run | None = None,
    ) -> Run:
        """Begin a run; `tags` are put under `sweep.`, `note` is its Markdown description."""
        from mlflow.tracking.context.registry import resolve_tags

        named = {f"sweep.{key}": str(value) for key, value in tags.items()}
        if note:
            named["mlflow.note.content"] = note
        if parent is not None:
            named["mlflow.parentRunId"] = parent.id
        with tracker.reaching():
            run = tracker.client.create_run(
                tracker.experiment_id, tags=resolve_tags(named), run_name=name
            )
        return cls(tracker, run.info.run_id)

    def parameters(self, values: Mapping[str, object]) -> None:
        """Log what the run was given; parameters cannot change later."""
        from mlflow.entities import Param

        with self.tracker.reaching():
            self.tracker.client.log_batch(
                self.id,
                params=[Param(key, str(value)) for key, value in values.items()],
                synchronous=True,
            )

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Log numbers; they reach the store within seconds, or with `flush`."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._metrics += [Metric(key, value, now, step) for key, value in values.items()]
        waited = time.monotonic() - self._flushed
        if waited >= FLUSH_SECONDS or len(self._metrics) >= FLUSH_POINTS:
            self.flush()

    def steps(self, metric: str) -> set[int]:
        """Return the steps at which the store has a value of the metric."""
        with self.tracker.reaching():
            history = self.tracker.client.get_metric_history(self.id, metric)
        return {point.step for point in history}

    def flush(self) -> None:
        """Send the metrics that wait."""
        batch, self._metrics = self._metrics, []
        self._flushed = time.monotonic()
        with self.tracker.reaching():
            for start in range(0, len(batch), FLUSH_POINTS):
                self.tracker.client.log_batch(
                    self.id, metrics=batch[start : start + FLUSH_POINTS], synchronous=True
                )

    def tags(self, values: Mapping[str, object]) -> None:
        """Set tags under `sweep.`."""
        from mlflow.entities import RunTag

        with self.tracker.reaching():
            self.tracker.client.log_batch(
                self.id,
                tags=[RunTag(f"sweep.{key}", str(value)) for key, value in values.items()],
                synchronous=True,
            )

    def note(self, markdown: str) -> None:
        """Replace the run's description."""
        with self.tracker.reaching():
            self.tracker.client.set_tag(self.id, "mlflow.note.content", markdown)

    def weights_image(self, image: npt.NDArray[Any], step: int) -> None:
        """Log one (height, width, 3) uint8 image; the UI shows a slider over the steps.

        It is the only image key: any other file under `images/` makes the UI show none.
        """
        with self.tracker.reaching():
            self.tracker.client.log_image(
                self.id, image, key="weights", step=step, synchronous=True
            )

    def figure(self, figure: Figure, path: str) -> None:
        """Log a figure as a PNG artifact."""
        with self.tracker.reaching():
            self.tracker.client.log_figure(self.id, figure, path)

    def file(self, path: Path, folder: str) -> None:
        """Log a copy of a file as an artifact."""
        with self.tracker.reaching():
            self.tracker.client.log_artifact(self.id, str(path), folder)

    def resume(self) -> None:
        """Mark the run as running again."""
        with self.tracker.reaching():
            self.tracker.client.update_run(self.id, status="RUNNING")

    @contextmanager
    def ended_if_broken(self) -> Iterator[None]:
        """End the run as FAILED if the block raises, so that none stays RUNNING for ever."""
        try:
            yield
        except BaseException:
            with suppress(SweepError):
                self.end("FAILED")
            raise

    def end(self, status: str) -> None:
        """Send what waits and end the run: FINISHED, KILLED or FAILED."""
        self.flush()
        with self.tracker.reaching():
            self.tracker.client.set_terminated(self.id, status)

"""One MLflow run: parameters, buffered metrics, images, files, tags and an end."""

from __future__ import annotations

import tempfile
import time
from contextlib import contextmanager, suppress
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.errors import SweepError
from sweep.tracking.images import LOGGED_IMAGES, image_files, png

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from matplotlib.figure import Figure

    from sweep.figures.weight_colours import Pixels
    from sweep.tracking.tracker import Tracker

FLUSH_SECONDS = 20.0
"""How long what is logged may wait: a call costs 15 ms, and 50 trials may be alive at once."""
FLUSH_POINTS = 900
"""MLflow takes at most 1,000 metrics, parameters and tags in a batch."""
NOTE = "mlflow.note.content"


class Run:
    """A run of the tracker's experiment; `create` makes a new one.

    What is logged waits in memory and travels together: after `FLUSH_SECONDS` with the next
    metrics, with `flush`, and at the `end`.

    Parameters
    ----------
    tracker
        The store.
    run_id
        An existing run.
    artifact_uri
        Where its files go; asked of the store where it is not given.

    """

    def __init__(self, tracker: Tracker, run_id: str, artifact_uri: str | None = None) -> None:
        self.tracker = tracker
        self.id = run_id
        self._artifact_uri = artifact_uri
        self._parameters: dict[str, str] = {}
        self._metrics: list[Any] = []
        self._tags: dict[str, str] = {}
        self._files: dict[str, bytes] = {}
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
        named = _context() | {f"sweep.{key}": str(value) for key, value in tags.items()}
        if note:
            named[NOTE] = note
        if parent is not None:
            named["mlflow.parentRunId"] = parent.id
        with tracker.reaching():
            run = tracker.client.create_run(tracker.experiment_id, tags=named, run_name=name)
        return cls(tracker, run.info.run_id, run.info.artifact_uri)

    def parameters(self, values: Mapping[str, object]) -> None:
        """Log what the run was given; parameters cannot change later."""
        self._parameters |= {key: str(value) for key, value in values.items()}

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

    def tags(self, values: Mapping[str, object]) -> None:
        """Set tags under `sweep.`; they reach the store after all that was logged before."""
        self._tags |= {f"sweep.{key}": str(value) for key, value in values.items()}

    def note(self, markdown: str) -> None:
        """Replace the run's description."""
        self._tags[NOTE] = markdown

    def weights_image(self, image: Pixels, step: int) -> None:
        """Log one (height, width, 3) uint8 image; the UI shows a slider over the steps.

        It is the only image key: any other file under `images/` makes the UI show none.
        """
        with self.tracker.timings.part("figures"):
            self._files |= image_files(image, "weights", step)
        self._tags[LOGGED_IMAGES] = "True"

    def figure(self, figure: Figure | Pixels, path: str) -> None:
        """Log a figure, or the pixels of one, as a PNG artifact."""
        with self.tracker.timings.part("figures"):
            self._files[path] = png(_pixels(figure))

    def file(self, path: Path, folder: str) -> None:
        """Log a copy of a file as an artifact."""
        self._files[f"{folder}/{path.name}"] = path.read_bytes()

    def flush(self) -> None:
        """Send what waits: the files first and the tags last, so that a tag can vouch for all."""
        self._flushed = time.monotonic()
        if self._files:
            with self.tracker.reaching():
                self._send_files(self._files)
            self._files = {}
        while self._parameters or self._metrics or self._tags:
            self._send_batch()

    def _send_files(self, files: Mapping[str, bytes]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for path, content in files.items():
                place = Path(folder, path)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
            self._artifacts.log_artifacts(folder)

    @cached_property
    def _artifacts(self) -> Any:
        """The run's files; the client would read the whole run to find them."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        uri = self._artifact_uri or self.tracker.client.get_run(self.id).info.artifact_uri
        return get_artifact_repository(uri, tracking_uri=self.tracker.uri)

    def _send_batch(self) -> None:
        """Send one batch; MLflow commits its parameters, its metrics and its tags in this order."""
        from mlflow.entities import Param, RunTag

        metrics, later = self._metrics[:FLUSH_POINTS], self._metrics[FLUSH_POINTS:]
        tags = {} if later else self._tags
        with self.tracker.reaching():
            self.tracker.client.log_batch(
                self.id,
                metrics=metrics,
                params=[Param(key, value) for key, value in self._parameters.items()],
                tags=[RunTag(key, value) for key, value in tags.items()],
                synchronous=True,
            )
        # Only now: what did not arrive stays here.
        self._metrics, self._parameters = later, {}
        self._tags = self._tags if later else {}

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


@cache
def _context() -> dict[str, str]:
    """Return the tags that MLflow gives every run of this process: user, program, git commit."""
    from mlflow.tracking.context.registry import resolve_tags

    return dict(resolve_tags())


def _pixels(figure: Figure | Pixels) -> Pixels:
    import numpy as np

    if isinstance(figure, np.ndarray):
        return figure
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]  # of Agg

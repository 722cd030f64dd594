"""One MLflow run: parameters, metrics, images, files, tags and an end."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING

from sweep.errors import SweepError
from sweep.tracking.delivery import new_key
from sweep.tracking.images import LOGGED_IMAGES, image_files, png
from sweep.tracking.news import News, Point
from sweep.tracking.tracker import NOTE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from matplotlib.figure import Figure
    from PIL.Image import Image

    from sweep.figures.weight_colours import Pixels
    from sweep.tracking.news import Inputs
    from sweep.tracking.tracker import Record, Tracker

FLUSH_SECONDS = 3.0
"""How long what is logged may wait for more to travel with: a call costs 15 ms."""
PARENT = "mlflow.parentRunId"


class Run:
    """A run of the tracker's experiment; `create` makes a new one.

    What is logged waits in memory and travels together, with `flush` and at the `end`.

    Parameters
    ----------
    tracker
        The store.
    key
        MLflow's id of the run, or what news call one that is yet to be created.

    """

    def __init__(self, tracker: Tracker, key: str) -> None:
        self.tracker = tracker
        self.key = key
        self._news = News(run=key)
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
            named[PARENT] = parent.id
        key = new_key()
        tracker.send([News(run=key, name=name, born_with=named)])
        return cls(tracker, key)

    @property
    def id(self) -> str:
        """MLflow's id of the run, which has been created."""
        known = self.known_id
        assert known is not None, "its creation is on its way"  # noqa: S101 - ours to know
        return known

    @property
    def known_id(self) -> str | None:
        """MLflow's id of the run; None while its creation is on its way."""
        return self.tracker.run_id(self.key)

    def parameters(self, values: Mapping[str, object]) -> None:
        """Log what the run was given; parameters cannot change later."""
        self._news.parameters |= {key: str(value) for key, value in values.items()}

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Log numbers."""
        now = int(time.time() * 1000)
        self._news.points += [Point(key, float(value), now, step) for key, value in values.items()]

    def steps(self, metric: str) -> set[int]:
        """Return the steps at which the store has a value of the metric."""
        with self.tracker.reaching():
            history = self.tracker.client.get_metric_history(self.id, metric)
        return {point.step for point in history}

    def tags(self, values: Mapping[str, object]) -> None:
        """Set tags under `sweep.`; they reach the store after all that was logged before."""
        self._news.tags |= {f"sweep.{key}": str(value) for key, value in values.items()}

    def note(self, markdown: str) -> None:
        """Replace the run's description."""
        self._news.tags[NOTE] = markdown

    def inputs(self, values: Inputs) -> None:
        """Log the data sets that the run uses."""
        self._news.inputs += values

    def weights_image(self, image: Image, step: int) -> None:
        """Log one image; the UI shows a slider over the steps.

        A second image of a step takes the place of the first. It is the only image key: any other
        file under `images/` makes the UI show none.
        """
        with self.tracker.timings.part("figures"):
            self._news.files |= image_files(image, "weights", step)
        self._news.tags[LOGGED_IMAGES] = "True"

    def figure(self, figure: Figure | Image | Pixels, path: str) -> None:
        """Log a figure, drawn or not, as a PNG artifact."""
        with self.tracker.timings.part("figures"):
            self._news.files[path] = png(_image(figure))

    def file(self, path: Path, folder: str) -> None:
        """Log a copy of a file as an artifact."""
        self._news.files[f"{folder}/{path.name}"] = path.read_bytes()

    def take_news(self) -> News:
        """Return what waits, which the receiver sends."""
        news, self._news = self._news, News(run=self.key)
        self._flushed = time.monotonic()
        return news

    def flush(self) -> None:
        """Send what waits."""
        if self._news:
            self.tracker.send([self.take_news()])

    def flush_when_due(self) -> None:
        """Send what has waited long enough."""
        if time.monotonic() - self._flushed >= FLUSH_SECONDS:
            self.flush()

    def resume(self) -> None:
        """Mark the run as running again."""
        self._news.status = "RUNNING"
        self.flush()

    @contextmanager
    def ended_if_broken(self) -> Iterator[None]:
        """End the run as FAILED if the block raises, so that none stays RUNNING for ever."""
        try:
            yield
        except BaseException:
            with suppress(SweepError):
                self.end("FAILED")
            raise

    def end(self, status: str, record: Record = lambda _: None) -> None:
        """Send what waits and end the run: FINISHED, KILLED or FAILED; see `Courier.post`."""
        self._news.status = status
        self.tracker.send([self.take_news()], record)


@cache
def _context() -> dict[str, str]:
    """Return the tags that MLflow gives every run of this process: user, program, git commit."""
    from mlflow.tracking.context.registry import resolve_tags

    return dict(resolve_tags())


def _image(figure: Figure | Image | Pixels) -> Image:
    import numpy as np
    from matplotlib.figure import Figure
    from PIL.Image import fromarray

    if isinstance(figure, Figure):
        figure.canvas.draw()
        return fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3])  # type: ignore[attr-defined]  # of Agg
    return fromarray(figure) if isinstance(figure, np.ndarray) else figure

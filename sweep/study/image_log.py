"""The weight images of one training as its MLflow run shows them: some at once, all at the end."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from sweep.study.weight_images import WeightImages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from sweep.tracking.run import Run
    from sweep_model.arrays import Floats

EPOCHS = frozenset({0, 1, 3, 10, 30, 100, 300, 1000})
"""After which the weights are kept as an image; the page's slider begins at the start."""
PAUSE_SECONDS = 10.0
"""While the training runs a new image is shown only where the last one is older."""


class ImageLog:
    """Keeps images of the weights, and logs them.

    Parameters
    ----------
    run
        The MLflow run.
    class_names
        One for each class.
    image_shape
        Channels, height, width.
    state
        Of a training that goes on, see `state`.

    """

    def __init__(
        self,
        run: Run,
        class_names: Sequence[str],
        image_shape: tuple[int, int, int],
        state: Mapping[str, npt.NDArray[Any]] | None = None,
    ) -> None:
        self.run = run
        self._images = (
            WeightImages(class_names, image_shape)
            if state is None
            else WeightImages.restored(class_names, image_shape, state)
        )
        self._shown = -math.inf

    @property
    def limit(self) -> float | None:
        """The size of weight that has the full colour, see `WeightImages`."""
        return self._images.limit

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a training that goes on needs, as plain arrays."""
        return self._images.state()

    def take(self, weights: Floats, epoch: int) -> None:
        """Keep the weights (k, d) after one of the chosen epochs, and show them unless in haste."""
        if epoch not in EPOCHS:
            return
        with self.run.tracker.timings.part("figures"):
            self._images.take(weights, epoch)
        if epoch > 0 and time.monotonic() - self._shown >= PAUSE_SECONDS:
            self._show(epoch)

    def finish(self, weights: Floats, epoch: int) -> None:
        """Show all images on the scale that is known with the last weights."""
        with self.run.tracker.timings.part("figures"):
            self._images.take(weights, epoch)
        for outdated in self._images.outdated():
            self._show(outdated)

    def _show(self, epoch: int) -> None:
        self._shown = time.monotonic()
        with self.run.tracker.timings.part("figures"):
            image = self._images.draw(epoch)
        self.run.weights_image(image, epoch)

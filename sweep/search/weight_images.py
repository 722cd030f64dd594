"""The weight images of one training, all on one colour scale that is known only at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sweep.figures.mosaic import mosaic
from sweep.figures.weight_colours import colour_limit, coloured, weight_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    from PIL.Image import Image

    from sweep_model.arrays import Floats

CODES: Final = 127
EPOCHS: Final = frozenset({0, 1, 3, 10, 30, 100, 300, 1000})
"""After which the weights are kept as an image; the page's slider begins at the start."""
HEADROOM: Final = 2.0
"""What is kept reaches to twice the limit: of normal weights one in 10^8 lies beyond."""


class WeightImages:
    """Keeps the weights of one training at some epochs, and draws them when their scale is known.

    The largest limit of them counts (see `colour_limit`). The weights that it starts
    from count only until there are others: they are noise, often larger than all that is learnt.
    One byte is kept of each weight, so that fifty trainings on CIFAR-10 keep some 10 MB, and every
    image is drawn from that: it does not depend on when. A colour is off by at most 2 of 255 steps;
    on a smaller scale, which only the start can have, by as many more as that is smaller. Weights
    beyond twice their limit are drawn as twice their limit.

    Parameters
    ----------
    class_names
        One for each class.
    image_shape
        Channels, height, width.

    """

    def __init__(self, class_names: Sequence[str], image_shape: tuple[int, int, int]) -> None:
        self.class_names = tuple(class_names)
        self.image_shape = image_shape
        self._codes: dict[int, npt.NDArray[np.int8]] = {}
        self._limits: dict[int, float] = {}
        """Of each step alone."""

    @property
    def limit(self) -> float | None:
        """The size of weight with the full colour in all images so far; None before the first."""
        trained = [limit for step, limit in self._limits.items() if step > 0]
        return max(trained or self._limits.values(), default=None)

    def take(self, weights: Floats, step: int) -> None:
        """Keep the weights (k, d) after epoch `step`, 0 before the first."""
        values = weight_values(weights, self.image_shape)
        self._limits[step] = own = colour_limit(values)
        shares = np.nan_to_num(np.clip(values / (HEADROOM * own), -1, 1), nan=0.0)
        self._codes[step] = np.rint(CODES * shares).astype(np.int8)

    def draw(self, step: int) -> Image:
        """Draw what was kept of a step, on the scale that is known by now."""
        limit = self.limit
        assert limit is not None  # noqa: S101 - `take` has told one
        values = self._codes[step] * np.float64(HEADROOM * self._limits[step] / CODES)
        return mosaic(coloured(values / limit), self.class_names)

    @property
    def steps(self) -> list[int]:
        """The steps that were kept."""
        return list(self._codes)

    def state(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return what a training that goes on needs to draw the same pixels, as plain arrays."""
        steps = list(self._codes)
        shape = (0,) if not steps else self._codes[steps[0]].shape
        return {
            "steps": np.array(steps, np.int64),
            "codes": np.array(list(self._codes.values()), np.int8).reshape(len(steps), *shape),
            "limits": np.array([self._limits[step] for step in steps], np.float64),
        }

    @classmethod
    def restored(
        cls,
        class_names: Sequence[str],
        image_shape: tuple[int, int, int],
        state: Mapping[str, npt.NDArray[np.generic]],
    ) -> WeightImages:
        """Return the images as they were when `state` was asked for."""
        images = cls(class_names, image_shape)
        steps = [int(step) for step in state["steps"].tolist()]
        images._codes = dict(zip(steps, state["codes"].astype(np.int8), strict=True))
        images._limits = dict(zip(steps, state["limits"].tolist(), strict=True))
        return images

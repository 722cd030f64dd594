"""All that is random in training, as a function of whole numbers: nothing keeps a state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sweep_model.arrays import Floats, Labels, Mask

_WEIGHTS, _ORDER, _FLIPS = 1, 2, 3  # one stream of numbers each

# A larger number fills two words of the seed, and (2^32, 5) would draw the same as (0, 1, 5).
_LIMIT = 2**32

_INITIAL_DEVIATION = 0.01


@dataclass(frozen=True)
class Draws:
    """The draws of one trial that starts in pass `first_pass` in slot `slot` of a stack.

    Trials that share a seed start from the same weights, and those in the same pass take the
    rows in the same order: what differs between them is then their hyperparameters. Epochs are
    counted from 0.

    Raises
    ------
    ValueError
        A number is not from 0 to 2^32 - 1.
    """

    seed: int
    first_pass: int = 0
    slot: int = 0

    def __post_init__(self) -> None:
        for name in ("seed", "first_pass", "slot"):
            value = getattr(self, name)
            if not 0 <= value < _LIMIT:
                raise ValueError(f"{name} must be from 0 to 2^32 - 1, got {value!r}")

    def initial_weights(self, classes: int, features: int) -> Floats:
        """N(0, 0.01^2), (classes, features) float32; depends on the seed only."""
        rng = np.random.default_rng([_WEIGHTS, self.seed])
        return rng.normal(0, _INITIAL_DEVIATION, (classes, features)).astype(np.float32)

    def order(self, epoch: int, n: int) -> Labels:
        """A permutation of n rows; depends on the seed and the pass."""
        rng = np.random.default_rng([_ORDER, self.seed, self.first_pass + epoch])
        return rng.permutation(n)

    def flips(self, epoch: int, n: int, probability: float) -> Mask:
        """Which of n rows to mirror, by row index; depends on seed, pass and slot.

        The rows flipped with a smaller probability are among those flipped with a larger one.
        """
        rng = np.random.default_rng([_FLIPS, self.seed, self.first_pass + epoch, self.slot])
        return rng.random(n) < probability

"""Every random draw of a training, as a function of whole numbers: no generator keeps a state.

Trainings that share a seed start from the same weights, and see the rows of a pass in the same
order, so what differs between them is their hyperparameters. The rows that are flipped with a
smaller probability are among those flipped with a larger one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sweep_model import Floats, Labels, Mask

_WEIGHTS, _ORDER, _FLIPS = 1, 2, 3  # one stream of numbers each

# A larger number fills two words of the seed, and (2^32, 5) would draw the same as (0, 1, 5).
LIMIT = 2**32

_INITIAL_DEVIATION = 0.01


def initial_weights(seed: int, classes: int, features: int) -> Floats:
    """Draw W from N(0, 0.01^2), (classes, features) float32."""
    rng = _generator(_WEIGHTS, seed=seed)
    return rng.normal(0, _INITIAL_DEVIATION, (classes, features)).astype(np.float32)


def row_order(seed: int, pass_number: int, n: int) -> Labels:
    """Draw the order of n rows in a pass: a permutation (n,)."""
    return _generator(_ORDER, seed=seed, pass_number=pass_number).permutation(n)


def flips(seed: int, number: int, epoch: int, n: int, probability: float) -> Mask:
    """Draw which of n rows the trial `number` mirrors in an epoch (from 0), (n,) by row."""
    return _generator(_FLIPS, seed=seed, number=number, epoch=epoch).random(n) < probability


def _generator(stream: int, **numbers: int) -> np.random.Generator:
    """Return the generator of a stream; a ValueError names a number outside [0, 2^32)."""
    for name, value in numbers.items():
        if not 0 <= value < LIMIT:
            raise ValueError(f"{name} must be from 0 to 2^32 - 1, got {value!r}")
    return np.random.default_rng([stream, *numbers.values()])

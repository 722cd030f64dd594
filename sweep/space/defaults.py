"""Where a search looks when nothing else is said, and the setting that it starts from.

The binary cross-entropies are averaged over the classes, so their gradient in the scores is
1/K of the softmax loss's. With K = 10, a tenth of `l2` against ten times the `learning_rate`
puts both losses in the same balance; the ranges and baselines differ by just that factor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.space.axes import Axis, Choices, Number, Range
from sweep.space.space import Space

if TYPE_CHECKING:
    from collections.abc import Mapping

SHARED: Mapping[str, Axis] = {
    "decay_period": Range(name="decay_period", low=2, high=50, log=True),
    "batch_size": Choices(name="batch_size", values=(50, 100, 200, 400)),
    "flip_probability": Range(name="flip_probability", low=0.0, high=0.5),
}

DEFAULT_SPACES: Mapping[str, Space] = {
    "softmax": Space(
        {
            "l2": Range(name="l2", low=1e-5, high=1.0, log=True),
            "learning_rate": Range(name="learning_rate", low=1e-4, high=1e-1, log=True),
            **SHARED,
        }
    ),
    "bce": Space(
        {
            "l2": Range(name="l2", low=1e-6, high=1e-1, log=True),
            "learning_rate": Range(name="learning_rate", low=1e-3, high=1.0, log=True),
            **SHARED,
        }
    ),
}

# The report's hand-picked setting on CIFAR-10 (41 % test accuracy with the softmax loss).
BASELINES: Mapping[str, Mapping[str, Number]] = {
    "softmax": {
        "l2": 0.1,
        "learning_rate": 0.01,
        "decay_period": 10,
        "batch_size": 50,
        "flip_probability": 0.2,
    },
    "bce": {
        "l2": 0.01,
        "learning_rate": 0.1,
        "decay_period": 10,
        "batch_size": 50,
        "flip_probability": 0.2,
    },
}

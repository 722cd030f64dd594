"""The search space: one axis for each of the five hyperparameters."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweep.errors import SweepError
from sweep.space.axes import NAMES, Axis, Choices, Number, Range, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from optuna import Trial

MAX_GRID_POINTS = 100_000


@dataclass(frozen=True)
class Space:
    """One axis for each of the five hyperparameters."""

    axes: Mapping[str, Axis]

    def __post_init__(self) -> None:
        if tuple(self.axes) != NAMES:
            raise ValueError(f"a space has the axes {NAMES}: got {tuple(self.axes)}")

    def check(self, setting: Mapping[str, object]) -> dict[str, Number]:
        """Return a setting of this space, or part of one, as plain numbers, or refuse it."""
        unknown = [name for name in setting if name not in self.axes]
        if unknown:
            raise SweepError(
                f"unknown hyperparameter {shown(unknown[0])}: a setting has {', '.join(NAMES)}"
            )
        return {name: self.axes[name].check(value) for name, value in setting.items()}

    def suggest(self, trial: Trial) -> dict[str, Any]:
        """Let Optuna choose a setting for a trial."""
        return {name: axis.suggest(trial) for name, axis in self.axes.items()}

    def at(self, point: Sequence[float]) -> dict[str, Number]:
        """Return the setting at a point of the unit cube, one number for each varied axis."""
        shares = dict(zip(self.varied(), point, strict=True))
        return {name: axis.at(float(shares.get(name, 0))) for name, axis in self.axes.items()}

    def clip(self, setting: Mapping[str, Number]) -> dict[str, Number]:
        """Return the setting of this space that is nearest to `setting`."""
        return {name: axis.clip(setting[name]) for name, axis in self.axes.items()}

    def grid(self, levels: int) -> list[dict[str, Number]]:
        """Return every combination of all choices and of `levels` points of each range."""
        points = [axis.points(levels) for axis in self.axes.values()]
        size = math.prod(map(len, points))
        if size > MAX_GRID_POINTS:
            raise SweepError(
                f"a grid has at most {MAX_GRID_POINTS:,} points: this space makes {size:,}; "
                "give fewer choices with --set, or take --sampler qmc"
            )
        return [dict(zip(self.axes, values, strict=True)) for values in itertools.product(*points)]

    def replace(self, axes: Mapping[str, Axis]) -> Space:
        """Return this space with some axes exchanged."""
        return Space({**self.axes, **axes})

    def record(self) -> dict[str, Any]:
        """Return what a TOML or JSON file would hold."""
        return {name: axis.record() for name, axis in self.axes.items()}

    def without_flips(self) -> Space:
        """Return this space for rows that are no images."""
        unflipped = Choices(name="flip_probability", values=(0.0,))
        return self.replace({"flip_probability": unflipped})

    def varied(self) -> list[str]:
        """Return the names of the hyperparameters that are searched."""
        return [
            name
            for name, axis in self.axes.items()
            if isinstance(axis, Range) or len(axis.values) > 1
        ]

    def differences(self, other: Space) -> list[str]:
        """Return one phrase for each axis on which `other` is not this space."""
        return [
            f"{name} {axis} -> {other.axes[name]}"
            for name, axis in self.axes.items()
            if axis != other.axes[name]
        ]

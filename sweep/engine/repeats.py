"""Folds and draws behind the face of an engine: a training is one for each, side by side."""

from __future__ import annotations

import statistics
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from sweep_model.panels import LaneState
from sweep_model.training import DivergedError, EpochResult, Evaluation

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from sweep.data import Prepared
    from sweep.engine.local import LocalEngine
    from sweep.engine.protocol import Results
    from sweep.engine.ray_cluster import RayEngine
    from sweep.environment import Environment
    from sweep_model import Floats
    from sweep_model.training import Training


class RepeatedEngine:
    """An `Engine` that trains each training once for each fold or draw of its rows.

    In a lane of fold f the rows of f have weight 0, and are what it is validated on: all folds of
    all trainings read the rows once. A draw has rows of its own, and is validated on the same rows
    as the others. Results are means over folds or draws, with the standard deviation of each
    between them as `loss_sd`, ...; states are stacked, weights (repeats, k, d). A training diverges
    with its first repeat that does.

    Parameters
    ----------
    engine : that trains `data`; it is entered and left with this one.
    data : rows with folds or draws.
    """

    def __init__(self, engine: LocalEngine | RayEngine, data: Prepared) -> None:
        self._engine, self._count = engine, data.draws
        self._counts: list[Floats] = []
        if (folds := data.folds) is not None:
            self._count = int(folds.max()) + 1
            self._counts = [(folds != fold).astype(np.float64) for fold in range(self._count)]

    def __enter__(self) -> Self:
        self._engine.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._engine.__exit__(*exception)

    @property
    def next_pass(self) -> int:
        """The number of the next pass."""
        return self._engine.next_pass

    @property
    def lanes_agree(self) -> bool:
        """Whether BLAS gives the same bits in each lane, as far as was needed."""
        return self._engine.lanes_agree

    @property
    def environment(self) -> Environment:
        """What a training's bits depend on besides itself."""
        return self._engine.environment

    @property
    def operations(self) -> float:
        """Useful floating-point operations so far."""
        return self._engine.operations

    @property
    def workers(self) -> int:
        """How many seeds to train side by side."""
        return self._engine.workers

    @property
    def machines(self) -> Mapping[str, int]:
        """What others take part."""
        return self._engine.machines

    def start(self, key: Hashable, training: Training) -> None:
        """Begin a training with the next pass."""
        for fold, one in enumerate(self._repeated(training)):
            self._engine.start((key, fold), one)

    def drop(self, key: Hashable) -> None:
        """Take a training out."""
        for one in self._keys(key):
            self._engine.drop(one)

    def states(self, keys: Iterable[Hashable]) -> dict[Hashable, LaneState]:
        """Return what trainings carry between two passes, for `restore`."""
        wanted = list(keys)
        states = self._engine.states(one for key in wanted for one in self._keys(key))
        return {
            key: LaneState(
                np.stack([states[one].weights for one in self._keys(key)]),
                np.stack([states[one].bias for one in self._keys(key)]),
            )
            for key in wanted
        }

    def restore(self, states: Mapping[Hashable, tuple[Training, LaneState]]) -> None:
        """Go on with trainings from their states, to the same bits."""
        self._engine.restore(
            {
                one: (part, LaneState(weights, bias))
                for key, (training, state) in states.items()
                for one, part, weights, bias in zip(
                    self._keys(key),
                    self._repeated(training),
                    state.weights,
                    state.bias,
                    strict=True,
                )
            }
        )

    def run_pass(self) -> Results:
        """Train and evaluate each training for one epoch."""
        results = self._engine.run_pass()
        found: dict[Hashable, EpochResult | DivergedError] = {}
        for key in dict.fromkeys(one[0] for one in results if isinstance(one, tuple)):
            parts = {one: results[one] for one in self._keys(key)}
            whole = {one: each for one, each in parts.items() if isinstance(each, EpochResult)}
            if len(whole) == self._count:
                found[key] = mean_result(list(whole.values()))
                continue
            found[key] = next(each for each in parts.values() if isinstance(each, DivergedError))
            for one in whole:  # the others are out
                self._engine.drop(one)
        return found

    def _keys(self, key: Hashable) -> list[Hashable]:
        return [(key, number) for number in range(self._count)]

    def _repeated(self, training: Training) -> list[Training]:
        if not self._counts:
            return [replace(training, draw=draw) for draw in range(self._count)]
        given = training.row_weights
        return [
            replace(training, row_weights=counts if given is None else counts * given)
            for counts in self._counts
        ]


def mean_result(results: Sequence[EpochResult]) -> EpochResult:
    """Return the mean of the repeats' results; that of validation rows tells how they spread."""
    first = results[0]
    evaluations = {
        name: _mean([each.evaluations[name] for each in results], spread=name == "val")
        for name in first.evaluations
    }
    return replace(first, evaluations=evaluations)


def _mean(repeats: Sequence[Evaluation], *, spread: bool) -> Evaluation:
    quantities = [each.name for each in fields(Evaluation) if each.name != "further"]
    values = {name: [getattr(each, name) for each in repeats] for name in quantities}
    further = {name: [each.further[name] for each in repeats] for name in repeats[0].further}
    means = {name: statistics.fmean(each) for name, each in further.items()}
    if spread:
        both = values | further
        means |= {f"{n}_sd": statistics.stdev(both[n]) for n in both if n != "cost"}
    return Evaluation(**{n: statistics.fmean(each) for n, each in values.items()}, further=means)

"""Train a stack of trials side by side, at close to the speed of the machine's arithmetic.

Each trial comes out as `sweep_model.reference.train` would train it, within float32 rounding. What
makes it fast is told where it is done: all trials share every product with the rows, and every
row that is read (`sweep_model.stacked_descent`), mirroring an image is a change of sign
(`sweep_model.mirror_rows`), and shrinking the weights one multiplication
(`sweep_model.stacked_weights`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sweep_model.blocking import Blocking
from sweep_model.draws import Draws
from sweep_model.results import (
    DivergedError,
    EpochResult,
    Evaluation,
    SlotState,
    check_images,
    check_rows,
    refuse_divergence,
)
from sweep_model.stacked_descent import StackedDescent
from sweep_model.stacked_evaluation import StackedEvaluation
from sweep_model.stacked_losses import STACKED_LOSSES
from sweep_model.stacked_weights import StackedWeights
from sweep_model.timetable import Steps

if TYPE_CHECKING:
    from sweep_model.arrays import Floats
    from sweep_model.hyperparameters import Hyperparameters
    from sweep_model.losses import Loss
    from sweep_model.mirror_rows import MirrorRows


@dataclass(frozen=True, eq=False)
class _Trial:
    hyperparameters: Hyperparameters
    draws: Draws

    def epoch(self, next_pass: int) -> int:
        return next_pass - self.draws.first_pass

    def rate(self, next_pass: int) -> float:
        return self.hyperparameters.rate(self.epoch(next_pass))


class Stack:
    """Trials in `slots` slots; one pass over the rows is one epoch of each of them.

    A trial is a function of its hyperparameters, the rows, the seed, the pass and the slot in
    which it starts, and of the width and the blocking of the stack, to the last bit on the same
    machine and BLAS; what stands in the other slots changes nothing.

    One thread uses a stack at a time. Stacks share nothing but the rows, which they only read.

    Parameters
    ----------
    training, validation : rows in the mirror basis.
    loss : softmax or bce.
    slots : how many trials fit in.
    seed : with the pass and the slot it decides all draws, see `sweep_model.draws`.
    blocking : which batch sizes can be trained, and how many rows are taken at a time.
    next_pass : the number of the first pass.

    Attributes
    ----------
    seconds : wall time of the last pass, its `training` and its `evaluation`.

    Raises
    ------
    ValueError
        The arguments do not fit together.
    """

    def __init__(
        self,
        training: MirrorRows,
        validation: MirrorRows,
        *,
        loss: Loss,
        classes: int,
        slots: int,
        seed: int,
        blocking: Blocking = Blocking(),  # noqa: B008 - frozen
        next_pass: int = 0,
    ) -> None:
        check_rows(training, validation, classes)
        if training.basis != validation.basis:
            raise ValueError(f"rows differ in basis: {training.basis!r}, {validation.basis!r}")
        if slots < 1:
            raise ValueError(f"slots must be 1 or more, got {slots!r}")
        if loss.name not in STACKED_LOSSES:
            raise ValueError(f"loss must be one of {sorted(STACKED_LOSSES)}, got {loss.name!r}")
        self.slots, self.next_pass, self._seed = slots, next_pass, seed
        self._blocking, self._basis = blocking, training.basis
        self._n, features = training.rows.shape
        self._trials: dict[int, _Trial] = {}
        self._weights = StackedWeights(features, classes, slots)
        stacked = STACKED_LOSSES[loss.name]
        self._descent = StackedDescent(training, self._weights, stacked, blocking)
        self._training = StackedEvaluation(training, self._weights, stacked)
        self._validation = StackedEvaluation(validation, self._weights, stacked)
        self._signs: Floats = np.ones((self._n, slots), dtype=np.float32)
        self.seconds = {"training": 0.0, "evaluation": 0.0}

    @property
    def occupied(self) -> list[int]:
        """The slots that hold a trial, in ascending order."""
        return sorted(self._trials)

    def start(self, slot: int, hyperparameters: Hyperparameters) -> None:
        """Put a trial in an empty slot; the next pass is its first.

        Raises
        ------
        ValueError
            There is no such slot, or it holds a trial; the blocking does not suit the batch
            size; or there are flips, but no images.
        """
        draws = self._take_in(slot, hyperparameters, self.next_pass)
        pixels = draws.initial_weights(len(self._weights.bias), self._basis.features)
        self._weights.put(slot, self._basis.turn(pixels))

    def state(self, slot: int) -> SlotState:
        """Where the trial in a slot stands between two passes: a copy, for `resume`."""
        return SlotState(
            first_pass=self._trial(slot).draws.first_pass,
            weights=np.ascontiguousarray(self._weights.get(slot)),
            bias=self._weights.bias[:, slot].copy(),
        )

    def resume(self, slot: int, hyperparameters: Hyperparameters, state: SlotState) -> Floats:
        """Put a trial back into its slot: it goes on, to the bit, as if it had never left.

        Raises ValueError as `start` does, and where the state is of other rows or passes. Returns
        the weights (k, d) in pixel order.
        """
        if state.first_pass >= self.next_pass:
            raise ValueError(f"no pass since {state.first_pass=}: the next is {self.next_pass}")
        shapes = state.weights.shape, state.bias.shape
        if shapes != (self._weights.columns.shape[1::-1], self._weights.bias.shape[:1]):
            raise ValueError(f"weights and bias of shapes {shapes} are not of these rows")
        self._take_in(slot, hyperparameters, state.first_pass)
        self._weights.put(slot, state.weights, state.bias)
        return self._basis.turn_back(state.weights)

    def _take_in(self, slot: int, hyperparameters: Hyperparameters, first_pass: int) -> Draws:
        if not 0 <= slot < self.slots:
            raise ValueError(f"slot must be from 0 to {self.slots - 1}, got {slot!r}")
        if slot in self._trials:
            raise ValueError(f"slot {slot} holds a trial; clear it first")
        self._blocking.check(hyperparameters.batch_size)
        check_images(
            self._basis.features, hyperparameters.flip_probability, self._basis.image_shape
        )
        self._trials[slot] = _Trial(hyperparameters, Draws(self._seed, first_pass, slot))
        return self._trials[slot].draws

    def clear(self, slot: int) -> None:
        """Take the trial out of a slot, which is empty from then on.

        Raises
        ------
        ValueError
            The slot holds no trial.
        """
        self._trial(slot)
        del self._trials[slot]
        self._weights.put(slot, 0)

    def _trial(self, slot: int) -> _Trial:
        if slot not in self._trials:
            raise ValueError(f"slot {slot!r} holds no trial")
        return self._trials[slot]

    def run_pass(self) -> dict[int, EpochResult | DivergedError]:
        """Train and evaluate every trial for one epoch.

        Returns
        -------
        Per occupied slot, in ascending order, where its trial stands, with the weights in pixel
        order; or, where it diverged, the error that the reference raises. Its slot is empty then.
        """
        self.seconds = {"training": 0.0, "evaluation": 0.0}
        if not self._trials:
            self.next_pass += 1
            return {}
        began = time.perf_counter()
        # Whatever is not finite is found in the results, trial by trial.
        with np.errstate(over="ignore", invalid="ignore"):
            order = Draws(self._seed, self.next_pass).order(0, self._n)
            self._descent.run(order, self._draw_signs(), self._steps())
            self._weights.settle()
            trained = time.perf_counter()
            found = self._results()
        self.seconds = {"training": trained - began, "evaluation": time.perf_counter() - trained}
        self.next_pass += 1
        for slot, result in found.items():
            if isinstance(result, DivergedError):
                self.clear(slot)
        return found

    def _draw_signs(self) -> Floats:
        """-1 for an image that a slot sees mirrored, by row and slot; else 1."""
        for slot, trial in self._trials.items():
            probability = trial.hyperparameters.flip_probability
            flips = trial.draws.flips(trial.epoch(self.next_pass), self._n, probability)
            self._signs[:, slot] = np.where(flips, -1, 1)
        return self._signs

    def _steps(self) -> Steps:
        batch_sizes = np.full(self.slots, self._blocking.micro_batch, dtype=np.int64)
        rates, shrinks = np.zeros(self.slots), np.ones(self.slots)
        for slot, trial in self._trials.items():
            batch_sizes[slot] = trial.hyperparameters.batch_size
            rates[slot] = trial.rate(self.next_pass)
            shrinks[slot] = 1 - 2 * rates[slot] * trial.hyperparameters.l2
        return Steps(batch_sizes, rates, shrinks)

    def _results(self) -> dict[int, EpochResult | DivergedError]:
        train, val = self._training.run(), self._validation.run()
        squares = self._weights.sum_of_squares()
        found: dict[int, EpochResult | DivergedError] = {}
        for slot in self.occupied:
            trial = self._trials[slot]
            penalty = float(trial.hyperparameters.l2 * squares[slot])
            found[slot] = result = EpochResult(
                epoch=trial.epoch(self.next_pass) + 1,
                learning_rate=trial.rate(self.next_pass),
                train=_evaluation(train, slot, penalty),
                val=_evaluation(val, slot, penalty),
                weights=self._basis.turn_back(self._weights.get(slot)),
                bias=self._weights.bias[:, slot].copy(),
            )
            try:
                refuse_divergence(result)
            except DivergedError as error:
                found[slot] = error
        return found


def _evaluation(means: tuple[Floats, Floats], slot: int, penalty: float) -> Evaluation:
    loss, accuracy = (float(mean[slot]) for mean in means)
    return Evaluation(loss=loss, cost=loss + penalty, accuracy=accuracy)

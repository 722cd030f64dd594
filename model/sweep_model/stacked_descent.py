"""Mini-batch gradient descent of a stack of trials: the loop in which the time is spent.

Micro-batches. Trials of different batch sizes read the same rows in the same order. The rows
come in micro-batches so short that every batch is made of whole ones; a trial adds up the slopes
of its batch, micro-batch by micro-batch, and steps when the batch is complete.

Blocks. Products with 25 rows are slow, and so is going through all weights after each of them.
Several micro-batches therefore make a block, whose scores come out of one product with the
weights W at its beginning. A trial that has stepped inside the block, with the change
sum_j g_j x_j' of its weights, would have given a later row x_i the scores

    (W + sum_j g_j x_j') x_i = W x_i + sum_j g_j (x_j . x_i)

so the scores are put right with the products of the rows among each other, which are few and
serve all trials. The weights then change once, at the end of the block. It is the same descent:
only the order of the sums is another.

Flips. Where a trial sees image i mirrored, with the sign s_i = -1, its odd half changes its sign:

    x_j . x_i = even_j . even_i + s_j s_i (odd_j . odd_i)

and both sums are kept apart: they serve all trials, the signs are each trial's own.

Example: micro-batches of 25 rows, blocks of 100. Scores of all 100 rows come out of one product
with W. A trial of batch size 25 steps after each micro-batch: the scores of the second are put
right for its step after the first, those of the third for two steps, and so on. A trial of batch
size 50 steps after the second and the fourth; its first two micro-batches need no correction. One
of batch size 200 never steps inside a block: it adds up the slopes of two and steps at the end of
the second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sweep_model.stacked_block import Block, Part
from sweep_model.timetable import Steps, Timetable

if TYPE_CHECKING:
    from sweep_model.arrays import Floats, Labels
    from sweep_model.blocking import Blocking
    from sweep_model.mirror_rows import MirrorRows
    from sweep_model.stacked_losses import StackedLoss
    from sweep_model.stacked_weights import StackedWeights


class StackedDescent:
    """Takes `weights` through the training rows, one pass at a time."""

    def __init__(
        self, training: MirrorRows, weights: StackedWeights, loss: StackedLoss, blocking: Blocking
    ) -> None:
        self._training, self._weights, self._loss = training, weights, loss
        self._blocking = blocking
        classes, slots = weights.bias.shape
        self._targets = np.repeat(loss.targets(classes), slots, axis=1)
        n = len(training.rows)
        sizes = {min(blocking.block, n), n % blocking.block or blocking.block}
        self._blocks = {
            size: Block(
                size,
                blocking.micro_batch,
                features=training.basis.features,
                evens=training.basis.evens,
                classes=classes,
                slots=slots,
            )
            for size in sizes
        }
        self._change = np.empty_like(weights.stored[: training.basis.evens])  # the larger half
        self._open: Floats | None = None  # what batches longer than a block have brought in so far
        self._bias_slopes = np.zeros_like(weights.bias)

    def run(self, order: Labels, signs: Floats, steps: Steps) -> None:
        """One pass over the rows in `order`; signs (n, slots) by row, -1 for a mirrored image."""
        timetables: dict[tuple[int, bytes, bytes], Timetable] = {}
        n, length = len(order), self._blocking.block
        self._bias_slopes[:] = 0
        self._begin_long_batches(steps)
        for start in range(0, n, length):
            block = range(start, min(start + length, n))
            key = _sameness(block, n, steps)
            if key not in timetables:
                timetables[key] = Timetable.of(
                    steps,
                    block=block,
                    rows=n,
                    micro_batch=self._blocking.micro_batch,
                    classes=len(self._weights.bias),
                )
            self._descend(order[block.start : block.stop], signs, timetables[key])

    def _begin_long_batches(self, steps: Steps) -> None:
        if steps.batch_sizes.max() <= self._blocking.block:
            self._open = None
        elif self._open is None:
            self._open = np.zeros_like(self._weights.stored)
        else:
            self._open[:] = 0  # multiplied by 0, what a diverged trial has left would stay

    def _descend(self, order: Labels, signs: Floats, timetable: Timetable) -> None:
        block = self._blocks[len(order)]
        self._load(block, order, signs)
        if any(correction is not None for correction in timetable.corrections):
            block.multiply_rows()
        evens = self._training.basis.evens
        np.matmul(block.even, self._weights.stored[:evens], out=block.scores)
        np.matmul(block.odd, self._weights.stored[evens:], out=block.work)
        block.work *= block.signs
        block.scores += block.work
        scale = self._weights.for_columns(self._weights.scale)
        for i, part in enumerate(block.parts):
            np.multiply(part.scores, scale * timetable.shrunk[i], out=part.scores)
            correction = timetable.corrections[i]
            if correction is not None:
                _correct(part, block, correction)
            np.add(part.by_class, self._weights.bias[:, None], out=part.space)
            self._loss.slopes(part.space, part.targets, part.by_class)
            self._step_bias(part, timetable.bias_steps[i])
        self._step_weights(block, timetable)

    def _load(self, block: Block, order: Labels, signs: Floats) -> None:
        # Without mode="clip" take fills a copy first, in case an index is out of range.
        np.take(self._training.rows, order, axis=0, out=block.rows, mode="clip")
        np.take(signs, order, axis=0, out=block.flips, mode="clip")
        block.signs.reshape(len(order), -1, signs.shape[1])[:] = block.flips[:, None]
        labels = self._training.labels[order]
        np.take(self._targets, labels, axis=0, out=block.targets, mode="clip")

    def _step_bias(self, part: Part, bias_steps: Floats | None) -> None:
        self._bias_slopes += np.add.reduce(part.scores, axis=0).reshape(self._bias_slopes.shape)
        if bias_steps is not None:
            self._weights.bias += self._bias_slopes * bias_steps
            self._bias_slopes *= bias_steps == 0

    def _step_weights(self, block: Block, timetable: Timetable) -> None:
        """W += sum_j g_j x_j' for the slots whose batch is finished, the others keep the sum."""
        # A batch longer than the block knows from its first row which scale it will meet.
        scale = self._weights.shrink(self._weights.scale * timetable.total, timetable.finished)
        block.scores *= timetable.closing
        block.scores *= self._weights.for_columns(1 / scale)
        finished = self._weights.for_columns(timetable.finished.astype(np.float32))
        evens = self._training.basis.evens
        self._add_products(block.even, block.scores, slice(evens), finished)
        block.scores *= block.signs
        self._add_products(block.odd, block.scores, slice(evens, None), finished)

    def _add_products(self, rows: Floats, slopes: Floats, half: slice, finished: Floats) -> None:
        """Add rows' slopes to one half of the weights where `finished` is 1, else to the sum."""
        stored = self._weights.stored[half]
        change = self._change[: len(stored)]
        np.matmul(rows.T, slopes, out=change)
        if self._open is not None:
            pending = self._open[half]
            pending += change
            np.multiply(pending, finished, out=change)
            pending -= change
        stored += change


def _sameness(block: range, n: int, steps: Steps) -> tuple[int, bytes, bytes]:
    """What a timetable depends on besides the steps: equal numbers, equal timetables."""
    first = block.start // steps.batch_sizes * steps.batch_sizes
    ends = np.minimum(first + steps.batch_sizes, n)
    return len(block), (ends - first).tobytes(), (ends <= block.stop).tobytes()


def _correct(part: Part, block: Block, correction: Floats) -> None:
    """Add to the scores what the steps since the beginning of the block have changed."""
    # The rows of `work` that come after the earlier rows are free; none of it is needed again.
    changes = block.work[: len(part.earlier)]
    moved = block.work[len(part.earlier) : len(part.earlier) + len(part.scores)]
    np.multiply(part.earlier, correction, out=changes)
    np.matmul(part.evens, changes, out=moved)
    np.add(part.scores, moved, out=part.scores)
    changes *= part.signs_before
    np.matmul(part.odds, changes, out=moved)
    moved *= part.signs
    np.add(part.scores, moved, out=part.scores)

"""Which trial steps where in a block of rows, as numbers to multiply with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sweep_model.arrays import Floats, Labels, Mask


@dataclass(frozen=True, eq=False)
class Steps:
    """How every slot steps in one pass, each (slots,).

    Attributes
    ----------
    batch_sizes : int64; an empty slot may have any.
    rates : learning rates, float64; 0 for an empty slot.
    shrinks : a = 1 - 2 * rate * l2, what a step multiplies the weights by; 1 for an empty slot.
    """

    batch_sizes: Labels
    rates: Floats
    shrinks: Floats


@dataclass(frozen=True, eq=False)
class Timetable:
    """A block of rows, seen by every slot. A step is W <- a W - rate / size * sum(slopes x').

    So after s steps the weights are a^s W, and a row whose batch stepped u-th (from 0) has
    brought in -rate / size * a^(s - u - 1) times its slopes.

    Attributes
    ----------
    shrunk : per micro-batch a^s (k * slots,) float32, with s the steps before it.
    corrections : per micro-batch what the earlier rows (r, k * slots) of the block have brought
        in before it, float32; None where no row has brought in anything.
    bias_steps : per micro-batch -rate / size (slots,) float32 where a batch ends with it, else 0;
        None where none does.
    closing : what each row (rows, k * slots) brings in by the end of the batch that is open
        last, float32.
    total : a^s (slots,), with s the steps by the end of that batch.
    finished : (slots,), whether that batch ends with the block.
    """

    shrunk: list[Floats]
    corrections: list[Floats | None]
    bias_steps: list[Floats | None]
    closing: Floats
    total: Floats
    finished: Mask

    @classmethod
    def of(
        cls, steps: Steps, *, block: range, rows: int, micro_batch: int, classes: int
    ) -> Timetable:
        """The timetable of the rows `block` of a pass over `rows` rows."""
        at = np.arange(block.start, block.stop)[:, None]
        batch = at // steps.batch_sizes
        size = np.minimum(steps.batch_sizes, rows - batch * steps.batch_sizes)
        ends = batch * steps.batch_sizes + size
        down, before = -steps.rates / size, batch - batch[0]
        after = before[-1] + 1
        firsts = range(0, len(block), micro_batch)
        lasts = [min(first + micro_batch, len(block)) - 1 for first in firsts]

        def brought_in(first: int) -> Floats | None:
            age = before[first] - before[:first] - 1
            factor = np.where(age >= 0, down[:first] * steps.shrinks ** np.maximum(age, 0), 0)
            return _for_classes(factor, classes) if factor.any() else None

        def bias_steps(last: int) -> Floats | None:
            ended = ends[last] == at[last] + 1
            return np.where(ended, down[last], 0).astype(np.float32) if ended.any() else None

        return cls(
            shrunk=[_for_classes(steps.shrinks ** before[first], classes) for first in firsts],
            corrections=[brought_in(first) for first in firsts],
            bias_steps=[bias_steps(last) for last in lasts],
            closing=_for_classes(down * steps.shrinks ** (after - before - 1), classes),
            total=steps.shrinks**after,
            finished=ends[-1] == block.stop,
        )


def _for_classes(numbers: Floats, classes: int) -> Floats:
    """(..., slots) to (..., k * slots) float32: as fast as it gets to multiply with."""
    return np.concatenate([numbers.astype(np.float32)] * classes, axis=-1)

"""Room to work on a block of rows for all slots of a stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sweep_model.arrays import Floats


@dataclass(frozen=True, eq=False)
class Part:
    """The views of one micro-batch, m rows after r rows of its block.

    Attributes
    ----------
    scores, signs : (m, k * slots); `by_class` shows the scores as (k, m, slots).
    targets : (k, m, slots).
    space : (k, m, slots) without gaps, for the loss to work in.
    evens, odds : (m, r), the products of its rows' halves with those of the r rows.
    earlier, signs_before : (r, k * slots), slopes and signs of the r rows.
    """

    scores: Floats
    by_class: Floats
    signs: Floats
    targets: Floats
    space: Floats
    evens: Floats
    odds: Floats
    earlier: Floats
    signs_before: Floats


class Block:
    """Arrays for `rows` rows of d features, of which the first `evens` are even, and all slots.

    Attributes
    ----------
    rows : (rows, d), with the views `even` and `odd`.
    scores : (rows, k * slots), class-major; in the end the slopes.
    flips, signs : -1 where a slot sees an image mirrored, (rows, slots) and (rows, k * slots).
    targets : what the loss wants to know of the labels, (rows, k * slots).
    work : (rows, k * slots), free.
    even_products, odd_products : (rows, rows), x_i . x_j where j is in an earlier micro-batch.
    parts : its micro-batches.
    """

    def __init__(
        self, rows: int, micro_batch: int, *, features: int, evens: int, classes: int, slots: int
    ) -> None:
        def wide() -> Floats:
            return np.empty((rows, classes * slots), dtype=np.float32)

        self.rows: Floats = np.empty((rows, features), dtype=np.float32)
        self.even, self.odd = self.rows[:, :evens], self.rows[:, evens:]
        self.scores, self.signs, self.targets, self.work = wide(), wide(), wide(), wide()
        self._space: Floats = np.empty(micro_batch * classes * slots, dtype=np.float32)
        self.flips: Floats = np.empty((rows, slots), dtype=np.float32)
        self.even_products: Floats = np.zeros((rows, rows), dtype=np.float32)
        self.odd_products: Floats = np.zeros((rows, rows), dtype=np.float32)
        spans = [slice(at, min(at + micro_batch, rows)) for at in range(0, rows, micro_batch)]
        self.parts = [self._part(span, classes, slots) for span in spans]
        self._pairs = list(_pairs(spans))

    def multiply_rows(self) -> None:
        """Fill the products of every row with the rows of the micro-batches before it."""
        for half, products in ((self.even, self.even_products), (self.odd, self.odd_products)):
            for later, earlier in self._pairs:
                np.matmul(half[later], half[earlier].T, out=products[later, earlier])

    def _part(self, span: slice, classes: int, slots: int) -> Part:
        before = slice(0, span.start)
        scores = self.scores[span]

        def by_class(array: Floats) -> Floats:
            return array.reshape(-1, classes, slots).transpose(1, 0, 2)

        return Part(
            scores=scores,
            by_class=by_class(scores),
            signs=self.signs[span],
            targets=by_class(self.targets[span]),
            space=self._space[: scores.size].reshape(classes, -1, slots),
            evens=self.even_products[span, before],
            odds=self.odd_products[span, before],
            earlier=self.scores[before],
            signs_before=self.signs[before],
        )


def _pairs(spans: list[slice]) -> Iterator[tuple[slice, slice]]:
    """The later half with the earlier one, and so on within both: few products, near square."""
    if len(spans) > 1:
        middle = len(spans) // 2
        yield (
            slice(spans[middle].start, spans[-1].stop),
            slice(spans[0].start, spans[middle].start),
        )
        yield from _pairs(spans[:middle])
        yield from _pairs(spans[middle:])

"""The weights of a stack of trials, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sweep_model.arrays import Floats, Mask

# How far the weights may stray from their numbers as stored: far from where float32 ends.
_SMALLEST, _LARGEST = 2.0**-20, 2.0**20


class StackedWeights:
    """W and b of every slot, in the mirror basis.

    The weights of slot t are scale[t] * columns[:, t], so shrinking them, which l2 does in every
    step, takes one multiplication and not d * k of them.

    Attributes
    ----------
    stored : (d, k * slots) float32. The columns are class-major: class c of slot t is in column
        c * slots + t. This way round the products with rows (m, d) are fastest.
    columns : the same numbers as (d, k, slots).
    bias : (k, slots) float32, not scaled.
    scale : (slots,) float64.
    """

    def __init__(self, features: int, classes: int, slots: int) -> None:
        self.stored: Floats = np.zeros((features, classes * slots), dtype=np.float32)
        self.columns = self.stored.reshape(features, classes, slots)
        self.bias: Floats = np.zeros((classes, slots), dtype=np.float32)
        self.scale: Floats = np.ones(slots)

    def put(self, slot: int, weights: Floats | float, bias: Floats | float = 0) -> None:
        """Begin with weights (k, d) and bias (k,)."""
        self.columns[:, :, slot] = np.transpose(weights)
        self.bias[:, slot] = bias
        self.scale[slot] = 1

    def get(self, slot: int) -> Floats:
        """The stored weights (k, d) of a slot; call `settle` before."""
        return self.columns[:, :, slot].T

    def shrink(self, total: Floats, slots: Mask) -> Floats:
        """Set the scale of some slots, or multiply their weights where it would stray too far.

        Returns
        -------
        The scale of each slot if `slots` is all, what the others' will be when their time comes.
        """
        size = np.abs(total)
        near = (size >= _SMALLEST) & (size <= _LARGEST)  # 0, NaN and infinities are not
        scale = np.where(near, total, 1)
        if not near.all() and (slots & ~near).any():
            self._multiply(np.where(slots & ~near, total, 1))
        self.scale = np.where(slots, scale, self.scale)
        return scale

    def for_columns(self, numbers: Floats) -> Floats:
        """One number per slot (slots,) as one per column, (k * slots,) float32."""
        return np.tile(numbers.astype(np.float32), len(self.bias))

    def settle(self) -> None:
        """Multiply the weights by their scale, which is 1 from then on."""
        self._multiply(self.scale)
        self.scale[:] = 1

    def sum_of_squares(self) -> Floats:
        """sum(W^2) of every slot, (slots,) float64; call `settle` before."""
        squares = np.square(self.stored, dtype=np.float64).sum(axis=0)
        total: Floats = squares.reshape(self.bias.shape).sum(axis=0)
        return total

    def _multiply(self, factors: Floats) -> None:
        """Multiply every slot's weights by its factor."""
        self.stored *= self.for_columns(factors)

"""How many rows a stack takes at a time, so that trials of all batch sizes can share them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

# Longer blocks lose more to the products among their own rows than they win: measured in
# benchmarks/efficiency.py.
_LONGEST = 128


@dataclass(frozen=True)
class Blocking:
    """Blocks of rows for the wide products, cut into micro-batches.

    Attributes
    ----------
    micro_batch : a number of rows that divides every batch size. No trial changes its weights
        inside a micro-batch, and after any of them some trial may.
    block : rows of one pair of products, some micro-batches.

    Raises
    ------
    ValueError
        The block is not made of whole micro-batches.
    """

    micro_batch: int = 25
    block: int = 100

    def __post_init__(self) -> None:
        if self.micro_batch < 1 or self.block < 1 or self.block % self.micro_batch:
            raise ValueError(
                "block must be one or more micro-batches of one or more rows, "
                f"got {self.block!r} and {self.micro_batch!r}"
            )

    @classmethod
    def of(cls, batch_sizes: Collection[int]) -> Blocking:
        """Choose the longest block that suits all these batch sizes."""
        micro_batch = math.gcd(*batch_sizes)
        blocks = (cls(micro_batch, n) for n in range(micro_batch, _LONGEST + 1, micro_batch))
        suitable = [one for one in blocks if all(one.suits(size) for size in batch_sizes)]
        return suitable[-1] if suitable else cls(micro_batch, micro_batch)

    def suits(self, batch_size: int) -> bool:
        """Whether batches are whole micro-batches, and none ends inside a block of another."""
        whole = self.block % batch_size == 0 or batch_size % self.block == 0
        return whole and batch_size % self.micro_batch == 0

    def check(self, batch_size: int) -> None:
        """Refuse a batch size that does not suit, with a ValueError."""
        if not self.suits(batch_size):
            raise ValueError(
                f"batch_size must be a multiple of {self.micro_batch} "
                f"that divides {self.block} or is a multiple of it, got {batch_size!r}"
            )

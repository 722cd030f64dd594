"""Rows that were turned into the mirror basis once, for any number of stacks to read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sweep_model.mirror import from_mirror_basis, to_mirror_basis
from sweep_model.results import check_images

if TYPE_CHECKING:
    from sweep_model.arrays import Floats, ImageShape, Labels
    from sweep_model.results import Rows

_CHUNK = 1_000  # rows turned at a time: beside the rows themselves it takes 25 MB for CIFAR-10


@dataclass(frozen=True)
class MirrorBasis:
    """The basis of `sweep_model.mirror`, with the even part and the odd part side by side.

    A pair of pixels (left, right) that change places when an image is mirrored becomes
    ((left + right) / sqrt 2, (left - right) / sqrt 2). The first, even, number does not notice;
    the second, odd, one changes its sign. So a mirrored image has the scores

        s = W_even x_even - W_odd x_odd + b

    and mirroring costs a change of sign in a few scores, where it would have cost a copy of the
    image. The basis is orthonormal: scores and sum(W^2) are what they were among the pixels.
    Where rows are no images everything is even, and nothing changes.

    Raises
    ------
    ValueError
        The images are not as large as the rows.
    """

    features: int
    image_shape: ImageShape | None = None

    def __post_init__(self) -> None:
        check_images(self.features, 0, self.image_shape)

    @property
    def evens(self) -> int:
        """How many of the features are even; they come first."""
        if self.image_shape is None:
            return self.features
        channels, height, width = self.image_shape
        return channels * height * (width - width // 2)

    def turn(self, rows: Floats) -> Floats:
        """Pixels (n, d) to (n, d), even features first, as a new array."""
        if self.image_shape is None:
            return rows.copy()
        turned = np.empty_like(rows)
        for start in range(0, len(rows), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            even, odd = to_mirror_basis(rows[chunk], self.image_shape)
            turned[chunk, : self.evens], turned[chunk, self.evens :] = even, odd
        return turned

    def turn_back(self, turned: Floats) -> Floats:
        """Undo `turn`, as a new array."""
        if self.image_shape is None:
            return turned.copy()
        return from_mirror_basis(turned[:, : self.evens], turned[:, self.evens :], self.image_shape)


@dataclass(frozen=True, eq=False)
class MirrorRows:
    """Rows (n, d) float32 in the mirror basis with their labels (n,); stacks only read them.

    They are a copy as large as the rows it was made of, 600 MB for CIFAR-10: make it once and
    hand it to every stack.
    """

    rows: Floats
    labels: Labels
    basis: MirrorBasis

    @classmethod
    def of(cls, rows: Rows, image_shape: ImageShape | None) -> MirrorRows:
        """Turn rows of pixels; see `MirrorBasis` for what is refused."""
        basis = MirrorBasis(rows.rows.shape[1], image_shape)
        return cls(basis.turn(rows.rows), rows.labels, basis)

"""Small images of equal size side by side, scaled up, each under its name."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from sweep.figures.lettering import label
from sweep.figures.picture import Picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweep.figures.weight_colours import Pixels

WIDTH: Final = 940  # pixels at most; a browser shows this much without shrinking it
LARGEST_CELL: Final = 256
FULL_ROW: Final = 5  # up to five images stand in one row, ten in two
GAP: Final = 8
NAME_HEIGHT: Final = 22


def mosaic(images: Pixels, names: Sequence[str]) -> Pixels:
    """Images (k, h, w, 3) and their names as one picture on white, uint8 (height, width, 3).

    Each pixel becomes a square of equal pixels (nearest neighbour); images too large for the
    picture lose pixels instead.

    Raises
    ------
    ValueError
        There is not one name for each image.
    """
    if len(images) != len(names):
        raise ValueError(f"{len(images)} images need as many names, got {len(names)}")
    height, width = images.shape[1:3]
    grid = Grid.of(len(images), height, width)
    picture = _names_on_white(grid, tuple(label(name) for name in names)).copy()
    columns = np.arange(grid.cell_width) * width // grid.cell_width
    rows = np.arange(grid.cell_height) * height // grid.cell_height
    wide = images[:, :, columns]
    for first in range(0, len(images), grid.columns):
        _, top = grid.corner(first)
        # put together once for each row of the images, then repeated as a whole: half the time
        strip = np.full((height, picture.shape[1], 3), 255, dtype=np.uint8)
        for i, image in enumerate(wide[first : first + grid.columns], start=first):
            left, _ = grid.corner(i)
            strip[:, left : left + grid.cell_width] = image
        picture[top : top + grid.cell_height] = strip[rows]
    return picture


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Where the cells of a mosaic lie, in pixels from its upper left corner."""

    cells: int
    columns: int
    cell_height: int
    cell_width: int

    @classmethod
    def of(cls, cells: int, height: int, width: int) -> Self:
        """As near to `WIDTH` as whole multiples of images `height` x `width` come."""
        rows = math.ceil(cells / max(FULL_ROW, math.isqrt(cells)))
        columns = math.ceil(cells / rows)
        room = min(LARGEST_CELL, (WIDTH - GAP) // columns - GAP)
        scale = room / max(height, width)
        scale = math.floor(scale) if scale >= 1 else scale
        return cls(
            cells=cells,
            columns=columns,
            cell_height=max(1, round(scale * height)),
            cell_width=max(1, round(scale * width)),
        )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the mosaic."""
        rows = math.ceil(self.cells / self.columns)
        return (
            GAP + self.columns * (self.cell_width + GAP),
            GAP + rows * (NAME_HEIGHT + self.cell_height + GAP),
        )

    def corner(self, i: int) -> tuple[int, int]:
        """Left and top of image i, below its name."""
        row, column = divmod(i, self.columns)
        return (
            GAP + column * (self.cell_width + GAP),
            GAP + row * (NAME_HEIGHT + self.cell_height + GAP) + NAME_HEIGHT,
        )


@lru_cache(maxsize=4)  # a training draws the same names again and again
def _names_on_white(grid: Grid, names: tuple[str, ...]) -> Pixels:
    picture = Picture(*grid.size)
    for i, name in enumerate(names):
        left, top = grid.corner(i)
        picture.write(left, top - 5, name, room=grid.cell_width)
    return picture.pixels()

"""Small images of equal size side by side, scaled up, each under its name."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from PIL import Image

from sweep.figures.lettering import write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweep.figures.weight_colours import Pixels

WIDTH: Final = 940  # pixels at most; a browser shows this much without shrinking it
LARGEST_CELL: Final = 256
FULL_ROW: Final = 5  # up to five images stand in one row, ten in two
GAP: Final = 8
NAME_HEIGHT: Final = 22


def mosaic(images: Pixels, names: Sequence[str]) -> Image.Image:
    """Images (k, h, w, 3) and their names as one RGB picture on white.

    Each pixel becomes a square of equal pixels (nearest neighbour); images too large for the
    picture lose pixels instead.

    Raises
    ------
    ValueError
        There is not one name for each image.
    """
    if len(images) != len(names):
        raise ValueError(f"{len(images)} images need as many names, got {len(names)}")
    grid = Grid.of(*images.shape[:3])
    picture = Image.new("RGB", grid.size, "white")
    for i, (image, name) in enumerate(zip(images, names, strict=True)):
        left, top = grid.corner(i)
        cell = grid.cell_width, grid.cell_height
        picture.paste(Image.fromarray(image).resize(cell, Image.Resampling.NEAREST), (left, top))
        write(picture, left, top - 5, name, room=grid.cell_width)
    return picture


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Where the cells of a mosaic lie, in pixels from its upper left corner."""

    cells: int
    columns: int
    cell_width: int
    cell_height: int

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

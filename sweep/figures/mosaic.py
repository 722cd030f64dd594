"""Small images of equal size in a square, scaled up, each under its name."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Self

from PIL import Image

from sweep.figures.lettering import POINTS_PER_INCH, write
from sweep.figures.style import DPI, SMALL_SIZE
from sweep.figures.weight_colours import palette

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweep.figures.weight_colours import Pixels

SIDE: Final = 700  # pixels of the square; MLflow shows it as a small one until one asks for more
LARGEST_CELL: Final = 256
SMALLEST_CELL: Final = 64  # of very many images the picture grows beyond the square
GAP: Final = 8
NAME_SHARE: Final = 0.15  # of a cell's width, so that a name is read where the picture is small
SMALLEST_LETTERS: Final = SMALL_SIZE * DPI / POINTS_PER_INCH
LINE_SHARE: Final = 1.35  # height of a line in sizes of its font


def mosaic(images: Pixels, names: Sequence[str]) -> Image.Image:
    """Images and their names as one picture on white.

    Each pixel becomes a square of equal pixels (nearest neighbour); images too large for the
    picture lose pixels instead.

    Parameters
    ----------
    images
        (k, height, width, 3) for a picture in RGB, or (k, height, width), places in the palette of
        weights, for a picture that has this palette: its file is written in a sixth of the time.
    names
        One for each image.

    Raises
    ------
    ValueError
        There is not one name for each image.
    """
    if len(images) != len(names):
        raise ValueError(f"{len(images)} images need as many names, got {len(names)}")
    grid = Grid.of(*images.shape[:3])
    mode = "RGB" if images.shape[3:] else "P"
    picture = _names(grid, tuple(names), mode).copy()
    cell = grid.cell_width, grid.cell_height
    for i, image in enumerate(images):
        scaled = Image.fromarray(image).resize(cell, Image.Resampling.NEAREST)
        picture.paste(scaled, grid.corner(i))
    return picture


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Where the cells of a mosaic lie, in pixels from its upper left corner."""

    cells: int
    columns: int
    cell_width: int
    cell_height: int
    letters: float
    """Size of the names' font in pixels."""

    @classmethod
    def of(cls, cells: int, height: int, width: int) -> Self:
        """The largest cells in a square, whole multiples of images `height` x `width`."""

        def fit(columns: int) -> tuple[float, int, int]:
            spare = -cells % columns
            return _largest_scale(cells, columns, height, width), -spare, columns

        largest, _, columns = max(map(fit, range(1, cells + 1)))
        scale = max(largest, SMALLEST_CELL / max(height, width))
        scale = math.floor(scale) if scale >= 1 else scale
        cell_width = max(1, round(scale * width))
        return cls(
            cells=cells,
            columns=columns,
            cell_height=max(1, round(scale * height)),
            cell_width=cell_width,
            letters=max(NAME_SHARE * cell_width, SMALLEST_LETTERS),
        )

    @property
    def line(self) -> int:
        """Height of the line on which a name stands."""
        return round(LINE_SHARE * self.letters)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the mosaic."""
        rows = math.ceil(self.cells / self.columns)
        return (
            GAP + self.columns * (self.cell_width + GAP),
            GAP + rows * (self.line + self.cell_height + GAP),
        )

    def corner(self, i: int) -> tuple[int, int]:
        """Left and top of image i, below its name."""
        row, column = divmod(i, self.columns)
        return (
            GAP + column * (self.cell_width + GAP),
            GAP + row * (self.line + self.cell_height + GAP) + self.line,
        )


def _largest_scale(cells: int, columns: int, height: int, width: int) -> float:
    """How far images can be scaled up until so many, under their names, fill the square."""
    rows = math.ceil(cells / columns)
    across = (SIDE - GAP) / columns - GAP
    down = (SIDE - GAP) / rows - GAP
    return min(
        across / width,
        (down - LINE_SHARE * SMALLEST_LETTERS) / height,
        down / (height + LINE_SHARE * NAME_SHARE * width),
        LARGEST_CELL / max(height, width),
    )


@lru_cache(maxsize=8)
def _names(grid: Grid, names: tuple[str, ...], mode: str) -> Image.Image:
    """The mosaic without its images, which all trainings of a study have in common."""
    picture = Image.new("RGB", grid.size, "white")
    size = grid.letters * POINTS_PER_INCH / DPI
    for i, name in enumerate(names):
        left, top = grid.corner(i)
        write(picture, left, top - 0.3 * grid.letters, name, size=size, room=grid.cell_width)
    if mode == "RGB":
        return picture
    colours = Image.new("P", (1, 1))
    colours.putpalette(palette().tobytes())
    return picture.quantize(palette=colours, dither=Image.Dither.NONE)

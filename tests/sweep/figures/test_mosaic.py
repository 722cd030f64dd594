from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.figures.mosaic import GAP, SIDE, Grid
from sweep.figures.mosaic import mosaic as mosaic_image
from sweep.figures.weight_colours import FULL, palette

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def mosaic(images, names):
    return np.asarray(mosaic_image(images, names))


@pytest.mark.parametrize(
    ("cells", "columns"), [(1, 1), (2, 2), (3, 2), (4, 2), (5, 3), (10, 4), (26, 6), (100, 12)]
)
def test_images_stand_in_a_square_as_large_as_can_be(cells, columns):
    assert Grid.of(cells, 32, 32).columns == columns


def test_wide_images_stand_in_fewer_columns_than_tall_ones():
    assert Grid.of(10, 8, 32).columns < Grid.of(10, 32, 8).columns


@pytest.mark.parametrize("side", [8, 28, 32])
def test_ten_images_nearly_fill_the_square(side):
    assert 0.85 * SIDE < max(Grid.of(10, side, side).size) <= SIDE


@given(st.integers(1, 36), st.integers(1, 90), st.integers(1, 90))
def test_small_images_grow_by_whole_numbers_and_stay_within_the_square(cells, height, width):
    grid = Grid.of(cells, height, width)
    if max(height, width) <= 64:
        assert grid.cell_height % height == 0
        assert grid.cell_height * width == grid.cell_width * height
    assert max(grid.size) <= SIDE


@given(st.integers(1, 400), st.integers(1, 90))
def test_however_many_images_there_are_they_can_be_seen(cells, side):
    assert Grid.of(cells, side, side).cell_width > 32


@given(st.integers(1, 100))
def test_names_are_at_least_a_seventh_as_high_as_their_cells_are_wide(cells):
    grid = Grid.of(cells, 32, 32)
    assert grid.line > grid.letters >= max(12, grid.cell_width / 7)


@given(st.integers(1, 100), st.integers(1, 40), st.integers(1, 40))
def test_cells_lie_within_the_mosaic_and_apart(cells, height, width):
    grid = Grid.of(cells, height, width)
    covered = np.zeros(grid.size[::-1], dtype=int)
    for i in range(cells):
        left, top = grid.corner(i)
        assert left >= GAP
        assert top >= grid.line
        assert left + grid.cell_width + GAP <= grid.size[0]
        assert top + grid.cell_height + GAP <= grid.size[1]
        covered[top - grid.line : top + grid.cell_height, left : left + grid.cell_width] += 1
    assert covered.max() == 1


def test_every_pixel_becomes_a_square_of_its_own_colour():
    image = np.array([[RED, GREEN], [BLUE, WHITE]], dtype=np.uint8)
    picture = mosaic(image[None], ["one"])
    grid = Grid.of(1, 2, 2)
    left, top = grid.corner(0)
    cell = picture[top : top + grid.cell_height, left : left + grid.cell_width]
    half = grid.cell_width // 2
    np.testing.assert_array_equal(cell, image.repeat(half, axis=0).repeat(half, axis=1))


def test_images_stand_in_order_row_by_row():
    images = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    picture = mosaic(images, [str(i) for i in range(10)])
    grid = Grid.of(10, 4, 4)
    corners = [grid.corner(i) for i in range(10)]
    assert [picture[top, left, 0] for left, top in corners] == list(range(10))
    assert len({top for _, top in corners}) == 3


def test_an_image_too_large_is_made_smaller():
    image = np.zeros((1, 2000, 1000, 3), dtype=np.uint8)
    picture = mosaic(image, ["large"])
    assert picture.shape[0] < 400
    assert picture.shape[0] > picture.shape[1]


def test_the_name_is_written_dark_on_white_above_its_image():
    images = np.full((2, 4, 4, 3), 200, dtype=np.uint8)
    picture = mosaic(images, ["cat", ""])
    grid = Grid.of(2, 4, 4)
    (left, top), (other, _) = grid.corner(0), grid.corner(1)
    assert picture[:top, left : left + grid.cell_width].min() < 100
    assert picture[:top, other:].min() == 255


def test_a_long_name_does_not_run_into_the_next_column():
    images = np.full((10, 4, 4, 3), 200, dtype=np.uint8)
    picture = mosaic(images, ["W" * 100] + [""] * 9)
    grid = Grid.of(10, 4, 4)
    _, top = grid.corner(0)
    beyond, _ = grid.corner(1)
    assert picture[:top, beyond:].min() == 255


def test_places_in_the_palette_make_a_picture_with_the_palette(rng):
    images = rng.integers(0, 2 * FULL + 1, size=(3, 4, 4), dtype=np.uint8)
    names = ["ant", "bee", "cat"]
    picture = mosaic_image(images, names)
    assert picture.mode == "P"
    coloured = mosaic(palette()[images], names)
    assert np.abs(np.asarray(picture.convert("RGB")).astype(int) - coloured).max() <= 8  # greys


def test_a_picture_does_not_change_when_the_next_is_drawn():
    dark, light = (np.full((2, 4, 4, 3), value, np.uint8) for value in (0, 255))
    first = mosaic_image(dark, ["a", "b"])
    before = np.asarray(first)
    mosaic_image(light, ["a", "b"])
    np.testing.assert_array_equal(first, before)


def test_a_missing_name_is_refused():
    with pytest.raises(ValueError, match="3 images need as many names, got 2"):
        mosaic(np.zeros((3, 4, 4, 3), dtype=np.uint8), ["a", "b"])

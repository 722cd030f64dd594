from __future__ import annotations

import numpy as np
import pytest

from sweep.figures.picture import Picture, fitted, length
from sweep.figures.style import BLUE, INK

WHITE = 255


def ink(picture):
    """Return the rows and the columns that are not white from end to end."""
    dark = (picture.pixels() < WHITE).any(axis=-1)
    return np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))


def test_paper_is_white_and_of_the_size_asked_for():
    assert (Picture(30, 20).pixels() == WHITE).all()
    assert Picture(30, 20).pixels().shape == (20, 30, 3)


def test_a_line_goes_through_its_points_with_the_origin_in_the_upper_left_corner():
    picture = Picture(40, 20)
    picture.line(np.array([[10.0, 4.0], [30.0, 4.0]]), BLUE, width=0.72)
    rows, columns = ink(picture)
    assert rows.tolist() == [4]
    assert (columns.min(), columns.max()) == (pytest.approx(10, abs=1), pytest.approx(30, abs=1))
    assert picture.pixels()[4, 20].tolist() == [0x00, 0x72, 0xB2]


def test_a_value_that_is_not_a_number_leaves_a_gap():
    picture = Picture(40, 20)
    points = [[2.0, 10.0], [12.0, 10.0], [20.0, np.nan], [28.0, 10.0], [38.0, 10.0]]
    picture.line(np.array(points), BLUE)
    _, columns = ink(picture)
    assert not set(range(15, 26)) & set(columns.tolist())


def test_a_dashed_line_is_broken():
    picture = Picture(100, 10)
    picture.line(np.array([[0.0, 5.0], [100.0, 5.0]]), BLUE, dashes=(3, 3))
    _, columns = ink(picture)
    assert 30 < len(columns) < 80


def test_a_dot_lies_round_its_pixel():
    picture = Picture(40, 20)
    picture.dot(30, 5, BLUE)
    rows, columns = ink(picture)
    assert abs(rows.mean() + 0.5 - 5) < 1
    assert abs(columns.mean() + 0.5 - 30) < 1
    assert picture.pixels()[5, 30].tolist() == [0x00, 0x72, 0xB2]


@pytest.mark.parametrize(("anchor", "side"), [("ls", 0), ("ms", 0.5), ("rs", 1)])
def test_words_are_placed_by_their_anchor(anchor, side):
    picture = Picture(200, 40)
    picture.write(100, 30, "HHHH", anchor=anchor)
    rows, columns = ink(picture)
    wide = length("HHHH")
    assert columns.min() == pytest.approx(100 - side * wide, abs=2)
    assert columns.max() == pytest.approx(100 + (1 - side) * wide, abs=2)
    assert rows.max() == 29  # on the baseline


def test_the_box_of_a_word_holds_its_ink():
    picture = Picture(200, 40)
    picture.write(20, 30, "Quality", size=12, bold=True)
    rows, columns = ink(picture)
    ((left, top, right, bottom),) = picture.boxes()
    assert left - 1 <= columns.min() <= columns.max() <= right + 1
    assert top - 1 <= rows.min() <= rows.max() <= bottom + 1


def test_words_are_written_in_their_colour_over_what_is_pasted():
    picture = Picture(100, 40)
    picture.paste(np.full((40, 100, 3), 200, np.uint8), 0, 0)
    picture.write(10, 30, "HHHH", size=20)
    assert picture.pixels().max() == 200
    assert (picture.pixels() == int(INK[1:3], 16)).all(axis=-1).any()


def test_an_image_is_pasted_pixel_by_pixel_over_the_lines(rng):
    image = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    picture = Picture(40, 20)
    picture.line(np.array([[0.0, 10.0], [40.0, 10.0]]), BLUE)
    picture.paste(image, 3, 8)
    np.testing.assert_array_equal(picture.pixels()[8:13, 3:10], image)


def test_looking_twice_shows_the_same():
    picture = Picture(60, 20)
    picture.line(np.array([[0.0, 10.0], [40.0, 10.0]]), BLUE)
    picture.write(5, 15, "twice")
    np.testing.assert_array_equal(picture.pixels(), picture.pixels())


@pytest.mark.parametrize("room", [30, 60, 150])
def test_a_fitted_text_is_at_most_as_long_as_there_is_room(room):
    text = fitted("a rather long name of a class", room)
    assert length(text) <= room
    assert text.endswith("\N{HORIZONTAL ELLIPSIS}")


def test_a_text_that_fits_is_left_alone_and_one_that_never_could_keeps_a_character():
    assert fitted("cat", 100) == "cat"
    assert fitted("wide", 0) == "w\N{HORIZONTAL ELLIPSIS}"


def test_bold_and_large_words_are_longer():
    assert length("words") < length("words", bold=True) < length("words", bold=True, size=20)

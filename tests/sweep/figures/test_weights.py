from __future__ import annotations

import numpy as np
import pytest

from sweep.figures.lettering import label
from sweep.figures.mosaic import Grid
from sweep.figures.weights import weights_figure, weights_montage

NAMES = [str(i) for i in range(10)]


def weights(classes, image_shape):
    return np.random.default_rng(0).standard_normal((classes, int(np.prod(image_shape))))


@pytest.mark.parametrize("image_shape", [(3, 32, 32), (1, 8, 8)])
def test_the_montage_of_ten_classes_is_an_rgb_image_and_nearly_square(image_shape):
    montage = weights_montage(weights(10, image_shape), NAMES, image_shape)
    height, width, channels = montage.shape
    assert (montage.dtype, channels) == (np.uint8, 3)
    assert 1 <= width / height < 1.2


def test_a_red_class_and_a_blue_class_are_seen_red_and_blue():
    pattern = np.zeros((2, 3, 8, 8), dtype=np.float32)
    pattern[0, 0], pattern[1, 2] = 1, 1
    montage = weights_montage(pattern.reshape(2, -1), ["red", "blue"], (3, 8, 8))
    (left, top), (right, _) = (Grid.of(2, 8, 8).corner(i) for i in range(2))
    assert montage[top, left].tolist() == [255, 128, 128]
    assert montage[top, right].tolist() == [128, 128, 255]


def test_the_pixel_order_is_channel_row_column():
    pattern = np.zeros((1, 3, 2, 4))
    pattern[0, 1, 1, 3] = 1  # green, last row, last column
    montage = weights_montage(pattern.reshape(1, -1), ["corner"], (3, 2, 4))
    grid = Grid.of(1, 2, 4)
    left, top = grid.corner(0)
    last = montage[top + grid.cell_height - 1, left + grid.cell_width - 1]
    assert last.tolist() == [128, 255, 128]
    assert montage[top, left].tolist() == [128, 128, 128]


@pytest.mark.parametrize(
    ("classes", "image_shape"),
    [(2, (1, 8, 8)), (3, (3, 5, 7)), (7, (2, 9, 3)), (10, (1, 1, 1)), (100, (3, 32, 32))],
)
def test_any_number_of_classes_and_any_image_shape_make_a_montage(classes, image_shape):
    names = [f"class {i}" for i in range(classes)]
    montage = weights_montage(weights(classes, image_shape), names, image_shape)
    assert montage.ndim == 3
    assert max(montage.shape) <= 1000
    assert len(np.unique(montage)) > 2


def test_weights_that_are_all_zero_make_a_grey_montage():
    montage = weights_montage(np.zeros((10, 192)), NAMES, (3, 8, 8))
    left, top = Grid.of(10, 8, 8).corner(0)
    assert (montage[top : top + 100, left : left + 100] == 128).all()


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_a_limit_that_is_given_decides_the_colours(channels):
    shape = (channels, 8, 8)
    values = weights(10, shape)
    pale, same = (
        weights_montage(scale * values, NAMES, shape, limit=scale * 9) for scale in (1, 3)
    )
    np.testing.assert_array_equal(pale, same)
    left, top = Grid.of(10, 8, 8).corner(0)
    area = np.s_[top : top + 100, left : left + 100]
    assert pale[area].std() < weights_montage(values, NAMES, shape)[area].std()


def test_one_name_too_few_is_refused():
    with pytest.raises(ValueError, match="10 images need as many names, got 9"):
        weights_montage(np.zeros((10, 192)), NAMES[:9], (3, 8, 8))


def test_the_figure_shows_the_montage_pixel_by_pixel():
    values = weights(10, (3, 32, 32))
    montage = weights_montage(values, NAMES, (3, 32, 32))
    drawn = weights_figure(values, NAMES, (3, 32, 32), title="weights")
    height, width = montage.shape[:2]
    np.testing.assert_array_equal(drawn[40 : 40 + height, :width], montage)
    assert drawn.shape == (40 + height + 28, width, 3)


def test_one_channel_has_a_colour_bar_that_is_symmetric_about_zero():
    values = weights(10, (1, 8, 8))
    montage = weights_montage(values, NAMES, (1, 8, 8))
    drawn = weights_figure(values, NAMES, (1, 8, 8), title="digits").astype(int)
    left, top, bottom = montage.shape[1] + 16, 40 + 16, 40 + montage.shape[0] - 16
    red, blue = drawn[top, left], drawn[bottom - 1, left]
    assert red[0] > red[2]
    assert blue[2] > blue[0]
    middle = drawn[(top + bottom) // 2, left]
    assert middle.max() - middle.min() < 8  # light grey


def test_the_colour_bar_names_its_ends_and_its_middle():
    drawn = weights_figure(weights(10, (1, 8, 8)), NAMES, (1, 8, 8), title="digits")
    bar = weights_montage(weights(10, (1, 8, 8)), NAMES, (1, 8, 8)).shape[1] + 8 + 16
    written = np.flatnonzero((drawn[40:-28, bar:] < 128).any(axis=(1, 2)))
    lines = np.split(written, np.flatnonzero(np.diff(written) > 1) + 1)
    middles = [(line[0] + line[-1]) / 2 for line in lines]
    top, bottom = 16, len(drawn) - 40 - 28 - 16
    assert middles == pytest.approx([top, (top + bottom) / 2, bottom], abs=3)


@pytest.mark.parametrize(
    ("limit", "scale"), [(None, "0.25, for all classes"), (0.5, "0.5, for all classes and epochs")]
)
def test_three_channels_have_no_colour_bar_but_a_caption_with_the_scale(monkeypatch, limit, scale):
    written = []
    monkeypatch.setattr("sweep.figures.weights.write", lambda *given, **_: written.append(given[3]))
    weights_figure(np.full((10, 192), 0.25), NAMES, (3, 8, 8), title="trial 7", limit=limit)
    caption = f"weight 0 is mid grey, full colour from \N{PLUS-MINUS SIGN}{scale}"
    assert written == ["trial 7: weights of each class", caption]


@pytest.mark.parametrize("image_shape", [(1, 8, 8), (3, 8, 8)])
def test_the_longest_caption_is_written_in_full(monkeypatch, image_shape):
    written = []
    monkeypatch.setattr(
        "sweep.figures.weights.write", lambda *given, **_: written.append(label(given[3]))
    )
    weights_figure(weights(10, image_shape), NAMES, image_shape, title="t", limit=1.23e-05)
    assert written[1].endswith("and epochs")


@pytest.mark.parametrize(
    ("classes", "image_shape", "title"),
    [
        (1, (1, 1, 8), "one"),
        (2, (1, 8, 8), "a title that is far too long " * 5),
        (10, (3, 5, 7), r"$\frac{1$"),
    ],
)
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_nothing_touches_the_edge(classes, image_shape, title, scale):
    names = [r"$\frac{1$"] * classes
    values = scale * weights(classes, image_shape)
    figure = weights_figure(values, names, image_shape, title=title)
    for edge in (figure[:2], figure[-2:], figure[:, :2], figure[:, -2:]):
        assert (edge == 255).all()


def test_the_same_weights_give_the_same_pixels_whatever_was_drawn_between():
    values = weights(10, (1, 8, 8))
    first = weights_figure(values, NAMES, (1, 8, 8), title="digits")
    weights_figure(weights(3, (3, 4, 4)), NAMES[:3], (3, 4, 4), title="another")
    again = weights_figure(values, NAMES, (1, 8, 8), title="digits")
    np.testing.assert_array_equal(first, again)

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.figures.weight_colours import (
    FULL,
    GREYS,
    colour_limit,
    coloured,
    palette,
    weight_values,
)

MID = 128  # 0.5 of 255, rounded to even
LIGHT_GREY = (221, 220, 219)


def weight_images(weights, image_shape):
    """Return the colours (k, height, width, 3) on the scale that suits the weights, and it."""
    values = weight_values(weights, image_shape)
    limit = colour_limit(values)
    colours = coloured(values / limit)
    return (colours if image_shape[0] == 3 else palette()[colours]), limit


def test_three_channels_of_weight_zero_are_mid_grey():
    images, limit = weight_images(np.zeros((2, 12)), (3, 2, 2))
    assert limit == 1.0
    np.testing.assert_array_equal(images, np.full((2, 2, 2, 3), MID))


def test_each_channel_is_half_plus_weight_over_twice_the_limit():
    weights = np.zeros((1, 3, 2, 2))
    weights[0, 0, 0, 1] = 1.0  # red, upper right
    weights[0, 1, 1, 0] = -1.0  # green, lower left
    weights[0, 2, 1, 1] = 0.5  # blue, lower right
    ((upper, lower),), limit = weight_images(weights.reshape(1, -1), (3, 2, 2))
    assert limit == pytest.approx(1.0)
    np.testing.assert_array_equal(upper, [[MID, MID, MID], [255, MID, MID]])
    np.testing.assert_array_equal(lower, [[MID, 0, MID], [MID, MID, 191]])


def test_one_channel_is_blue_below_zero_grey_at_zero_and_red_above():
    ((row,),), _ = weight_images(np.array([[-1.0, 0.0, 1.0]]), (1, 1, 3))
    low, zero, high = row.tolist()
    assert low[2] > low[0] + 100
    assert tuple(zero) == LIGHT_GREY
    assert high[0] > high[2] + 100


@pytest.mark.parametrize("channels", [2, 4, 5])
def test_other_channel_counts_show_the_mean_over_channels(channels):
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((4, channels, 3, 5))
    images, limit = weight_images(weights.reshape(4, -1), (channels, 3, 5))
    expected, same = weight_images(weights.mean(axis=1).reshape(4, -1), (1, 3, 5))
    np.testing.assert_array_equal(images, expected)
    assert limit == same


def test_all_classes_share_one_scale():
    weights = np.array([[1.0] * 3, [0.5] * 3])
    (strong, weak), _ = weight_images(weights, (3, 1, 1))
    assert (strong == 255).all()
    assert (weak == 191).all()


def test_one_extreme_weight_does_not_grey_out_the_others():
    weights = np.ones((1, 3000))
    weights[0, 0] = 1e6
    assert colour_limit(weights) == 1.0


def test_weights_that_are_nearly_all_zero_are_scaled_by_their_maximum():
    weights = np.zeros((1, 3000))
    weights[0, :2] = 0.25, -0.5
    assert colour_limit(weights) == 0.5


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_weights_that_are_not_finite_still_have_colours(channels):
    weights = np.ones((2, channels * 4), dtype=np.float32)
    weights[0, ::2] = np.nan
    weights[1, :3] = np.inf, -np.inf, 1e-45
    images, limit = weight_images(weights, (channels, 2, 2))
    assert images.shape == (2, 2, 2, 3)
    assert limit == 1.0


@given(st.floats(1e-6, 1e6))
def test_colours_do_not_depend_on_the_unit_of_the_weights(factor):
    weights = np.random.default_rng(1).standard_normal((3, 12))
    images, limit = weight_images(weights, (3, 2, 2))
    scaled, scaled_limit = weight_images(factor * weights, (3, 2, 2))
    assert np.abs(images.astype(int) - scaled).max() <= 1
    assert scaled_limit == pytest.approx(factor * limit)


def test_turning_the_signs_turns_the_colours():
    weights = np.random.default_rng(2).standard_normal((3, 12))
    images, _ = weight_images(weights, (3, 2, 2))
    turned, _ = weight_images(-weights, (3, 2, 2))
    assert np.abs(images.astype(int) + turned - 255).max() <= 1


def test_what_lies_beyond_the_limit_gets_its_colour():
    inside = coloured(np.array([[[-1.0, 1.0]]]))
    np.testing.assert_array_equal(coloured(np.array([[[-7.0, np.inf]]])), inside)
    np.testing.assert_array_equal(inside, [[[0, 2 * FULL]]])


def test_the_palette_of_256_colours_ends_in_greys_from_black_to_white():
    colours = palette()
    assert (colours.shape, colours.dtype) == ((256, 3), np.uint8)
    greys = colours[-GREYS:]
    assert (greys == greys[:, :1]).all()
    assert (greys[0, 0], greys[-1, 0]) == (0, 255)
    assert tuple(colours[FULL]) == LIGHT_GREY


def test_the_weights_are_left_as_they_were():
    weights = np.random.default_rng(3).standard_normal((3, 12))
    before = weights.copy()
    weight_images(weights, (3, 2, 2))
    np.testing.assert_array_equal(weights, before)


@pytest.mark.parametrize("weights", [np.zeros((2, 11)), np.zeros(12), np.zeros((2, 3, 2, 2))])
def test_weights_of_another_shape_are_refused(weights):
    with pytest.raises(ValueError, match=r"weights must be \(k, d\).*image_shape=\(3, 2, 2\)"):
        weight_images(weights, (3, 2, 2))

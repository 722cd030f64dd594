import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep_model.mirror import mirror
from sweep_model.mirror_rows import MirrorBasis, MirrorRows
from sweep_model.results import Rows

SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 7))


def pixels_of(shape, n=4):
    return np.random.default_rng(n).normal(size=(n, math.prod(shape))).astype(np.float32)


@given(SHAPES)
def test_a_mirrored_row_differs_in_the_sign_of_its_odd_part_only(shape):
    basis, pixels = MirrorBasis(math.prod(shape), shape), pixels_of(shape)
    there, back = basis.turn(pixels), basis.turn(mirror(pixels, shape))
    np.testing.assert_array_equal(back[:, : basis.evens], there[:, : basis.evens])
    np.testing.assert_array_equal(back[:, basis.evens :], -there[:, basis.evens :])


@given(SHAPES)
def test_turning_back_gives_the_pixels(shape):
    basis, pixels = MirrorBasis(math.prod(shape), shape), pixels_of(shape)
    np.testing.assert_allclose(basis.turn_back(basis.turn(pixels)), pixels, rtol=1e-5, atol=1e-6)


def test_many_rows_are_turned_as_one_would_be():
    basis, pixels = MirrorBasis(6, (1, 2, 3)), pixels_of((1, 2, 3), n=2_500)
    one_by_one = np.concatenate([basis.turn(pixels[i : i + 1]) for i in range(len(pixels))])
    np.testing.assert_array_equal(basis.turn(pixels), one_by_one)


def test_rows_that_are_no_images_are_all_even_and_stay_as_they_are():
    basis, pixels = MirrorBasis(5), pixels_of((1, 1, 5))
    assert basis.evens == 5
    for turned in (basis.turn(pixels), basis.turn_back(pixels)):
        np.testing.assert_array_equal(turned, pixels)
        assert not np.shares_memory(turned, pixels)


def test_mirror_rows_keep_the_labels_and_leave_the_pixels():
    pixels, labels = pixels_of((1, 2, 2)), np.arange(4)
    pixels.flags.writeable = labels.flags.writeable = False
    turned = MirrorRows.of(Rows(pixels, labels), (1, 2, 2))
    np.testing.assert_array_equal(turned.rows, turned.basis.turn(pixels))
    np.testing.assert_array_equal(turned.labels, labels)
    assert turned.rows.dtype == np.float32
    assert turned.rows.flags.c_contiguous


def test_images_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"image_shape must hold 5 features, got \(1, 2, 2\)"):
        MirrorRows.of(Rows(pixels_of((1, 1, 5)), np.arange(4)), (1, 2, 2))

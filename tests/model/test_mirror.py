import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sweep_model.mirror import from_mirror_basis, mirror, to_mirror_basis

SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 7))


@st.composite
def images(draw, dtype=np.float64):
    """Rows with their image shape."""
    shape = draw(SHAPES)
    rows = draw(st.integers(0, 4))
    elements = st.floats(-100, 100, width=32)
    return draw(arrays(dtype, (rows, math.prod(shape)), elements=elements)), shape


def test_left_and_right_change_places_in_every_line_of_every_channel():
    rows = np.array([[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]])
    assert mirror(rows, (2, 2, 3)).tolist() == [[3, 2, 1, 6, 5, 4, 9, 8, 7, 12, 11, 10]]


@given(images())
def test_mirroring_twice_is_the_identity(case):
    rows, shape = case
    np.testing.assert_array_equal(mirror(mirror(rows, shape), shape), rows)


@given(images())
def test_the_mirror_image_is_the_callers_own(case):
    rows, shape = case
    assert not np.shares_memory(mirror(rows, shape), rows)


@given(images())
def test_the_way_to_the_mirror_basis_and_back_is_a_round_trip(case):
    rows, shape = case
    there = to_mirror_basis(rows, shape)
    np.testing.assert_allclose(from_mirror_basis(*there, shape), rows, rtol=1e-14, atol=1e-13)


@given(SHAPES)
def test_the_mirror_basis_is_orthonormal(shape):
    size = math.prod(shape)
    basis = np.concatenate(to_mirror_basis(np.eye(size), shape), axis=1)
    np.testing.assert_allclose(basis @ basis.T, np.eye(size), atol=1e-15)


@given(images())
def test_a_flip_is_a_sign_of_the_odd_half(case):
    rows, shape = case
    even, odd = to_mirror_basis(rows, shape)
    flipped_even, flipped_odd = to_mirror_basis(mirror(rows, shape), shape)
    np.testing.assert_array_equal(flipped_even, even)
    np.testing.assert_array_equal(flipped_odd, -odd)


@given(images(), st.integers(0, 1000))
def test_scores_and_sums_of_squares_are_the_same_in_both_bases(case, seed):
    rows, shape = case
    weights = np.random.default_rng(seed).normal(size=(2, rows.shape[1]))
    even, odd = to_mirror_basis(rows, shape)
    weights_even, weights_odd = to_mirror_basis(weights, shape)
    scores = even @ weights_even.T + odd @ weights_odd.T
    np.testing.assert_allclose(scores, rows @ weights.T, atol=1e-10)
    squares = (weights_even**2).sum() + (weights_odd**2).sum()
    assert squares == pytest.approx((weights**2).sum(), rel=1e-13)


def test_the_middle_column_of_an_odd_width_is_even_and_unscaled():
    even, odd = to_mirror_basis(np.array([[3.0, 7.0, 1.0]]), (1, 1, 3))
    np.testing.assert_allclose(even, [[4 / math.sqrt(2), 7]])
    np.testing.assert_allclose(odd, [[2 / math.sqrt(2)]])


def test_the_halves_keep_channels_and_lines_in_order():
    even, odd = to_mirror_basis(np.arange(12.0)[None], (2, 1, 6))
    np.testing.assert_allclose(even * math.sqrt(2), [[5, 5, 5, 17, 17, 17]])
    np.testing.assert_allclose(odd * math.sqrt(2), [[-5, -3, -1, -5, -3, -1]])


@given(images(dtype=np.float32))
def test_float32_stays_float32_and_rows_stay_as_they_were(case):
    rows, shape = case
    rows.flags.writeable = False
    even, odd = to_mirror_basis(rows, shape)
    even.flags.writeable = odd.flags.writeable = False
    back = from_mirror_basis(even, odd, shape)
    assert {even.dtype, odd.dtype, back.dtype, mirror(rows, shape).dtype} == {rows.dtype}


@pytest.mark.parametrize("function", [mirror, to_mirror_basis])
def test_rows_of_another_length_than_the_images_are_refused(function):
    with pytest.raises(ValueError, match=r"rows of shape \(2, 13\) are not images .*\(1, 3, 4\)"):
        function(np.zeros((2, 13)), (1, 3, 4))


def test_halves_of_another_length_than_the_images_are_refused():
    even, odd = to_mirror_basis(np.zeros((2, 12)), (1, 3, 4))
    with pytest.raises(ValueError, match="are not images of shape"):
        from_mirror_basis(even, odd[:, 1:], (1, 3, 4))

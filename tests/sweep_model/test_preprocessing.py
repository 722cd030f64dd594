import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.preprocessing import StandardScaler, normalize

from sweep_model.preprocessing import (
    CHUNK,
    MirrorBasis,
    MirrorRows,
    Standardiser,
    check_images,
    from_mirror_basis,
    largest_eigenvalue,
    mirror,
    to_mirror_basis,
)
from sweep_model.training import Rows

SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 7))


@given(arrays(np.uint8, (7, 3), elements=st.integers(0, 255)))
def test_standardised_rows_are_those_of_scikit_learn(rows):
    expected = StandardScaler().fit_transform(rows.astype(np.float64))
    standardised = Standardiser.fit(rows).apply(rows)
    np.testing.assert_allclose(standardised, expected, rtol=1e-4, atol=1e-5)


def test_standardised_rows_are_new_and_float32_and_the_rows_stay_as_they_were():
    for dtype in (np.uint8, np.int64, np.float32, np.float64):
        rows = np.array([[1, 2], [3, 5]], dtype=dtype)
        rows.flags.writeable = False
        standardiser = Standardiser.fit(rows)
        standardised = standardiser.apply(rows)
        assert standardised.dtype == np.float32
        assert standardiser.mean.dtype == standardiser.factor.dtype == np.float64
        assert standardised.tolist() == [[-1, -1], [1, 1]]


def test_a_constant_feature_is_zero_in_every_row():
    for constant in (0.0, 0.1, 1e30):
        standardiser = Standardiser.fit(np.full((3_001, 1), constant))
        assert standardiser.factor == [0]
        unseen = np.array([[constant], [constant + 1], [-5]])
        assert not standardiser.apply(unseen).any()


def test_a_rare_value_does_not_make_a_feature_constant():
    rows = np.zeros((CHUNK + 1, 1), dtype=np.uint8)
    rows[-1] = 1
    assert Standardiser.fit(rows).factor > 0


def test_the_statistics_are_summed_in_float64():
    # Float32 cannot hold the sum: a thousand such rows pass 2^24, where it skips whole numbers.
    rows = np.array([[0], [1]] * CHUNK, dtype=np.float32) + 2**20
    standardiser = Standardiser.fit(rows)
    assert (standardiser.mean, standardiser.factor) == (2**20 + 0.5, 2)


def test_other_rows_are_measured_by_the_fitted_ones():
    standardiser = Standardiser.fit(np.array([[0.0], [2.0]]))
    assert standardiser.apply(np.array([[10.0]])) == [[9]]


def test_neither_offset_nor_size_is_lost_before_rows_are_narrowed(rng):
    plain = rng.normal(size=(50, 3))
    expected = Standardiser.fit(plain).apply(plain)
    for rows in (plain + 1e9, plain * 1e-40 - 1e-35, plain * 1e-200, plain * 1e200 + 1e203):
        np.testing.assert_allclose(Standardiser.fit(rows).apply(rows), expected, atol=1e-5)


def test_a_standardiser_knows_which_rows_must_not_be_narrowed_beforehand(rng):
    plain = np.column_stack([rng.normal(size=(50, 2)), np.ones(50)])
    for rows in (plain, plain + 1e3, plain * 255):
        assert Standardiser.fit(rows).fits_float32
    for rows in (plain + 1e9, plain * 1e-40, plain * 1e40):
        assert not Standardiser.fit(rows).fits_float32


def test_bytes_are_standardised_in_float32():
    # The bits of every study of images rest on it.
    rows = np.random.default_rng(3).integers(0, 256, (2 * CHUNK + 1, 4), dtype=np.uint8)
    mean = rows.mean(axis=0, dtype=np.float64)
    deviation = np.sqrt(np.square(rows - mean).mean(axis=0))
    expected = (rows - mean.astype(np.float32)) * (1 / deviation).astype(np.float32)
    standardised = Standardiser.fit(rows).apply(rows)
    np.testing.assert_allclose(standardised, expected, rtol=3e-7)
    stored = Standardiser(mean.astype(np.float32), (1 / deviation).astype(np.float32))
    np.testing.assert_array_equal(stored.apply(rows), expected)


def test_a_feature_that_cannot_be_standardised_is_refused_by_its_number():
    rows = np.ones((4, 3))
    for broken in (np.nan, np.inf, -np.inf, 1e-310):
        rows[:, 2] = 0
        rows[1, 2] = broken
        with pytest.raises(ValueError, match="feature 2 cannot be standardised: its mean is"):
            Standardiser.fit(rows)


def test_rows_of_one_length_are_those_of_scikit_learn():
    rows = np.random.default_rng(2).normal(size=(2 * CHUNK + 1, 9)) * 30
    rows[4] = 0
    expected = normalize(rows) * 3  # the length of standardised rows: the root of 9
    np.testing.assert_allclose(Standardiser.unfitted(9, unit=True).apply(rows), expected, rtol=1e-6)
    pixels = rows.clip(0, 255).astype(np.uint8)
    for stored in (pixels, pixels.astype(np.float16)):
        unit = Standardiser.unfitted(9, unit=True).apply(stored)
        np.testing.assert_allclose(unit, normalize(pixels.astype(float)) * 3, rtol=1e-6)
        assert np.array_equal(Standardiser.unfitted(9, unit=False).apply(stored), pixels)


def test_rows_that_are_no_table_are_refused():
    for shape in ((0, 3), (3,), (2, 2, 2)):
        with pytest.raises(ValueError, match="rows must be"):
            Standardiser.fit(np.zeros(shape))


def test_fitting_needs_little_memory_beside_the_rows():
    rows = np.zeros((20_000, 500), dtype=np.uint8)  # 10 MB; 80 MB in float64
    tracemalloc.start()
    Standardiser.fit(rows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6


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


def test_rows_of_another_length_than_the_images_are_refused():
    message = r"rows of shape \(2, 13\) are not images .*\(1, 3, 4\)"
    for function in (mirror, to_mirror_basis):
        with pytest.raises(ValueError, match=message):
            function(np.zeros((2, 13)), (1, 3, 4))
    even, odd = to_mirror_basis(np.zeros((2, 12)), (1, 3, 4))
    with pytest.raises(ValueError, match="are not images of shape"):
        from_mirror_basis(even, odd[:, 1:], (1, 3, 4))


def pixels_of(shape, n=4):
    return np.random.default_rng(n).normal(size=(n, math.prod(shape))).astype(np.float32)


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


def test_images_of_another_size_and_flips_without_images_are_refused():
    with pytest.raises(ValueError, match=r"image_shape must hold 5 features, got \(1, 2, 2\)"):
        MirrorRows.of(Rows(pixels_of((1, 1, 5)), np.arange(4)), (1, 2, 2))
    with pytest.raises(ValueError, match=r"flip_probability must be 0 .* image_shape, got 0\.4"):
        check_images(5, 0.4, None)
    check_images(4, 0.4, (1, 2, 2))


@pytest.mark.parametrize("shape", [(200, 7), (30, 80), (1, 5), (50, 1)])
def test_the_largest_eigenvalue_of_the_covariance_is_found(shape):
    draws = np.random.default_rng(1)
    rows = draws.standard_normal(shape) @ np.diag(draws.uniform(0.1, 4, shape[1]))
    exact = np.linalg.eigvalsh(rows.T @ rows / len(rows))[-1]
    for dtype in (np.float32, np.float64):
        assert largest_eigenvalue(rows.astype(dtype)) == pytest.approx(exact, rel=0.02)
    images = pixels_of((1, 2, 4), n=40)
    turned = MirrorBasis(8, (1, 2, 4)).turn(images)
    assert largest_eigenvalue(turned) == pytest.approx(largest_eigenvalue(images), rel=0.01)
    assert largest_eigenvalue(np.zeros((4, 3), np.float32)) == 0

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.preprocessing import StandardScaler

from sweep_model.standardise import CHUNK, Standardiser


@given(arrays(np.uint8, (7, 3), elements=st.integers(0, 255)))
def test_it_agrees_with_scikit_learn(rows):
    expected = StandardScaler().fit_transform(rows.astype(np.float64))
    standardised = Standardiser.fit(rows).apply(rows)
    np.testing.assert_allclose(standardised, expected, rtol=1e-4, atol=1e-5)


def test_fitted_rows_have_mean_zero_and_deviation_one(rng):
    rows = rng.normal(5, 3, (2 * CHUNK + 1, 4)).astype(np.float32)
    standardised = Standardiser.fit(rows).apply(rows)
    np.testing.assert_allclose(standardised.mean(axis=0, dtype=np.float64), 0, atol=1e-6)
    np.testing.assert_allclose(standardised.std(axis=0, dtype=np.float64), 1, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
def test_the_result_is_new_and_float32_and_the_rows_stay_as_they_were(dtype):
    rows = np.array([[1, 2], [3, 5]], dtype=dtype)
    rows.flags.writeable = False
    standardiser = Standardiser.fit(rows)
    standardised = standardiser.apply(rows)
    assert standardised.dtype == standardiser.mean.dtype == standardiser.factor.dtype == np.float32
    assert standardised.tolist() == [[-1, -1], [1, 1]]


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e30])
def test_a_constant_feature_is_zero_in_every_row(constant):
    rows = np.full((3_001, 1), constant)
    standardiser = Standardiser.fit(rows)
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


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf, 1e300])
def test_a_feature_that_float32_cannot_hold_is_refused_by_its_number(broken):
    rows = np.ones((4, 3))
    rows[1, 2] = broken
    with pytest.raises(ValueError, match="feature 2 cannot be standardised in float32"):
        Standardiser.fit(rows)


def test_a_spread_too_small_for_float32_is_refused():
    with pytest.raises(ValueError, match="its standard deviation 5e-41"):
        Standardiser.fit(np.array([[0], [1e-40]]))


@pytest.mark.parametrize("shape", [(0, 3), (3,), (2, 2, 2)])
def test_rows_that_are_no_table_are_refused(shape):
    with pytest.raises(ValueError, match="rows must be"):
        Standardiser.fit(np.zeros(shape))


def test_fitting_needs_little_memory_beside_the_rows():
    rows = np.zeros((20_000, 500), dtype=np.uint8)  # 10 MB; 80 MB in float64
    tracemalloc.start()
    Standardiser.fit(rows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6

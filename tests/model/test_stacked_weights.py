import numpy as np
import pytest

from sweep_model.stacked_weights import StackedWeights


@pytest.fixture
def weights(rng):
    """Two slots of (5, 3) weights."""
    stack = StackedWeights(5, 3, 2)
    for slot in range(2):
        stack.put(slot, rng.normal(size=(3, 5)).astype(np.float32))
    return stack


def test_columns_are_class_major(weights):
    for slot in range(2):
        for k in range(3):
            np.testing.assert_array_equal(weights.stored[:, 2 * k + slot], weights.get(slot)[k])


@pytest.mark.parametrize("total", [0.5, -0.5, 1e-9, -1e9, 0.0])
def test_shrinking_is_multiplying_and_touches_no_other_slot(weights, total):
    before = [weights.get(slot).copy() for slot in range(2)]
    weights.shrink(np.array([total, 7.0]), np.array([True, False]))
    assert 2.0**-20 <= abs(weights.scale[0]) <= 2.0**20
    weights.settle()
    np.testing.assert_allclose(weights.get(0), np.float32(total) * before[0], rtol=1e-6)
    assert weights.get(1).tobytes() == before[1].tobytes()


def test_a_scale_that_is_not_finite_spoils_its_own_slot_only(weights):
    before = weights.get(1).copy()
    weights.shrink(np.array([np.inf, 1.0]), np.array([True, True]))
    assert not np.isfinite(weights.get(0)).any()
    assert weights.get(1).tobytes() == before.tobytes()


def test_a_slot_begins_afresh_whatever_was_in_it(weights):
    weights.stored[:] = weights.bias[:] = np.nan
    weights.shrink(np.array([0.5, 0.5]), np.array([True, True]))
    weights.put(0, np.ones((3, 5), np.float32))
    weights.settle()
    assert (weights.get(0) == 1).all()
    assert (weights.bias[:, 0] == 0).all()


def test_the_sum_of_squares_is_of_each_slot_in_float64(weights):
    weights.put(1, np.full((3, 5), 1e30, np.float32))  # its square is no float32
    expected = [np.square(weights.get(slot).astype(np.float64)).sum() for slot in range(2)]
    np.testing.assert_allclose(weights.sum_of_squares(), expected, rtol=1e-14)

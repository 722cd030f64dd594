import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep_model.rng import flips, initial_weights, row_order

N = 1_000
SMALL = st.integers(0, 50)


def same(first, second):
    return bool(np.array_equal(first, second))


@given(SMALL, SMALL, st.integers(1, 200))
def test_an_order_is_a_permutation(seed, pass_number, n):
    assert sorted(row_order(seed, pass_number, n)) == list(range(n))


@given(st.tuples(SMALL, SMALL), st.tuples(SMALL, SMALL))
def test_the_order_depends_on_the_seed_and_the_pass_only(one, other):
    assert same(row_order(*one, N), row_order(*other, N)) == (one == other)


@given(st.tuples(SMALL, SMALL, SMALL), st.tuples(SMALL, SMALL, SMALL))
def test_flips_depend_on_seed_number_and_epoch_only(one, other):
    assert same(flips(*one, N, 0.5), flips(*other, N, 0.5)) == (one == other)


@given(SMALL, SMALL)
def test_initial_weights_depend_on_the_seed_only(one, other):
    assert same(initial_weights(one, 3, 4), initial_weights(other, 3, 4)) == (one == other)


def test_no_two_streams_start_alike(monkeypatch):
    # NumPy pads seeds with zeros, so that [2, 1, 0] would start the same stream as [2, 1, 0, 0].
    seeds, start = set(), np.random.default_rng

    def remember(seed):
        seeds.add(tuple(np.random.SeedSequence(seed).generate_state(4)))
        return start(seed)

    monkeypatch.setattr(np.random, "default_rng", remember)
    for seed in range(3):
        initial_weights(seed, 1, 1)
        for epoch in range(3):
            row_order(seed, epoch, 1)
            for number in range(3):
                flips(seed, number, epoch, 1, 0.5)
    assert len(seeds) == 3 + 3 * 3 + 3 * 3 * 3


def test_initial_weights_are_float32_of_deviation_one_hundredth():
    weights = initial_weights(1, 10, 3072)
    assert weights.dtype == np.float32
    assert weights.shape == (10, 3072)
    assert weights.mean() == pytest.approx(0, abs=3e-4)
    assert weights.std() == pytest.approx(0.01, rel=0.02)


def test_flips_come_as_often_as_asked():
    for probability in (0.0, 0.2, 0.5, 1.0):
        mirrored = flips(1, 0, 0, 40_000, probability)
        assert mirrored.dtype == np.bool_
        # Five standard errors, and exact at the ends.
        slack = 5 * (probability * (1 - probability) / 40_000) ** 0.5
        assert mirrored.mean() == pytest.approx(probability, abs=slack)


@given(SMALL, SMALL, SMALL, st.floats(0, 1), st.floats(0, 1))
def test_rows_flipped_with_a_smaller_probability_are_flipped_with_a_larger(
    seed, number, epoch, one, other
):
    rarely, often = (flips(seed, number, epoch, N, p) for p in sorted((one, other)))
    assert not (rarely & ~often).any()


def test_numbers_that_would_not_fit_one_word_are_refused():
    for value in (-1, 2**32):
        for name, draw in (
            ("seed", lambda value: initial_weights(value, 3, 4)),
            ("seed", lambda value: row_order(value, 0, N)),
            ("pass_number", lambda value: row_order(0, value, N)),
            ("seed", lambda value: flips(value, 0, 0, N, 0.5)),
            ("number", lambda value: flips(0, value, 0, N, 0.5)),
            ("epoch", lambda value: flips(0, 0, value, N, 0.5)),
        ):
            message = rf"{name} must be from 0 to 2\^32 - 1, got {value}"
            with pytest.raises(ValueError, match=message):
                draw(value)

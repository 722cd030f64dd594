import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep_model.draws import Draws

N = 1_000
SMALL = st.integers(0, 50)
draws = st.builds(Draws, seed=SMALL, first_pass=SMALL, slot=SMALL)


def same(first, second):
    return bool(np.array_equal(first, second))


@given(draws, SMALL, st.integers(1, 200))
def test_an_order_is_a_permutation(draws, epoch, n):
    assert sorted(draws.order(epoch, n)) == list(range(n))


@given(draws, draws, SMALL, SMALL)
def test_the_order_depends_on_the_seed_and_the_pass_only(one, other, epoch, other_epoch):
    alike = (one.seed, one.first_pass + epoch) == (other.seed, other.first_pass + other_epoch)
    assert same(one.order(epoch, N), other.order(other_epoch, N)) == alike


@given(draws, SMALL, SMALL, SMALL)
def test_the_order_of_a_pass_is_shared_by_trials_that_started_apart(draws, later, slot, epoch):
    neighbour = Draws(draws.seed, first_pass=draws.first_pass + later, slot=slot)
    assert same(draws.order(later + epoch, N), neighbour.order(epoch, N))


@given(draws, draws, SMALL, SMALL)
def test_flips_depend_on_seed_pass_and_slot_only(one, other, epoch, other_epoch):
    alike = (one.seed, one.first_pass + epoch, one.slot) == (
        other.seed,
        other.first_pass + other_epoch,
        other.slot,
    )
    assert same(one.flips(epoch, N, 0.5), other.flips(other_epoch, N, 0.5)) == alike


@given(draws, SMALL, SMALL)
def test_flips_of_a_pass_and_slot_do_not_depend_on_when_the_trial_started(draws, later, epoch):
    refilled = Draws(draws.seed, first_pass=draws.first_pass + later, slot=draws.slot)
    assert same(draws.flips(later + epoch, N, 0.3), refilled.flips(epoch, N, 0.3))


@given(draws, draws)
def test_initial_weights_depend_on_the_seed_only(one, other):
    alike = one.seed == other.seed
    assert same(one.initial_weights(3, 4), other.initial_weights(3, 4)) == alike


def test_no_two_streams_start_alike(monkeypatch):
    # NumPy pads seeds with zeros, so that [2, 1, 0] would start the same stream as [2, 1, 0, 0].
    seeds, start = set(), np.random.default_rng

    def remember(seed):
        seeds.add(tuple(np.random.SeedSequence(seed).generate_state(4)))
        return start(seed)

    monkeypatch.setattr(np.random, "default_rng", remember)
    for seed in range(3):
        Draws(seed).initial_weights(1, 1)
        for epoch in range(3):
            Draws(seed).order(epoch, 1)
            for slot in range(3):
                Draws(seed, slot=slot).flips(epoch, 1, 0.5)
    assert len(seeds) == 3 + 3 * 3 + 3 * 3 * 3


def test_asking_twice_draws_the_same_and_keeps_no_state():
    draws = Draws(seed=1)
    first = draws.flips(0, N, 0.5)
    draws.order(0, N)
    assert same(draws.flips(0, N, 0.5), first)


def test_initial_weights_are_float32_of_deviation_one_hundredth():
    weights = Draws(seed=1).initial_weights(10, 3072)
    assert weights.dtype == np.float32
    assert weights.shape == (10, 3072)
    assert weights.mean() == pytest.approx(0, abs=3e-4)
    assert weights.std() == pytest.approx(0.01, rel=0.02)


@pytest.mark.parametrize("probability", [0.0, 0.2, 0.5, 1.0])
def test_flips_come_as_often_as_asked(probability):
    flips = Draws(seed=1).flips(0, 40_000, probability)
    assert flips.dtype == np.bool_
    # Five standard errors, and exact at the ends.
    slack = 5 * (probability * (1 - probability) / 40_000) ** 0.5
    assert flips.mean() == pytest.approx(probability, abs=slack)


@given(draws, st.floats(0, 1), st.floats(0, 1))
def test_rows_flipped_with_a_smaller_probability_are_flipped_with_a_larger(draws, one, other):
    rarely, often = (draws.flips(0, N, probability) for probability in sorted((one, other)))
    assert not (rarely & ~often).any()


@pytest.mark.parametrize("name", ["seed", "first_pass", "slot"])
@pytest.mark.parametrize("value", [-1, 2**32])
def test_numbers_that_would_not_fit_one_word_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"{name} must be from 0 to 2\^32 - 1, got {value}"):
        Draws(**({"seed": 1} | {name: value}))

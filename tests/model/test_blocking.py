import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep_model.blocking import Blocking

SIZES = st.lists(st.integers(1, 500), min_size=1, max_size=6)


@given(SIZES)
def test_a_chosen_blocking_suits_all_batch_sizes_it_was_chosen_for(sizes):
    blocking = Blocking.of(sizes)
    assert blocking.micro_batch == math.gcd(*sizes)
    for size in sizes:
        blocking.check(size)


@pytest.mark.parametrize(
    ("sizes", "blocking"),
    [
        ((25, 50, 100, 200, 400), Blocking(25, 100)),
        ((32, 64, 128, 256), Blocking(32, 128)),
        ((50,), Blocking(50, 100)),
        ((1000,), Blocking(1000, 1000)),
        ((30, 50), Blocking(10, 10)),
        ((40, 60), Blocking(20, 120)),
        ((7, 400), Blocking(1, 1)),
    ],
)
def test_the_longest_block_that_suits_is_chosen(sizes, blocking):
    assert Blocking.of(sizes) == blocking


@given(SIZES, st.integers(1, 500))
def test_in_a_block_that_suits_batches_end_with_micro_batches_and_none_is_cut(sizes, size):
    blocking = Blocking.of(sizes)
    if blocking.suits(size):
        assert size % blocking.micro_batch == 0
        ends = set(range(0, 4000, size))
        cut = [at for at in range(0, 2000, blocking.block) if at not in ends]
        assert not cut or size > blocking.block


@pytest.mark.parametrize(("micro_batch", "block"), [(0, 10), (10, 0), (10, 25), (20, 10), (-5, 10)])
def test_a_block_of_no_whole_micro_batches_is_refused(micro_batch, block):
    with pytest.raises(ValueError, match=rf"block must be .* got {block} and {micro_batch}"):
        Blocking(micro_batch, block)


@pytest.mark.parametrize("size", [30, 75, 150, 99])
def test_a_batch_size_that_does_not_suit_is_refused_with_the_rule(size):
    rule = f"a multiple of 25 that divides 100 or is a multiple of it, got {size}"
    with pytest.raises(ValueError, match=rule):
        Blocking(25, 100).check(size)

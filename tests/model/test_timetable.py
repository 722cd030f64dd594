import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sweep_model.timetable import Steps, Timetable

MICRO_BATCH, BLOCK = 2, 8
BATCH_SIZES = (2, 4, 8, 16, 24)
RATES = 0.1 * np.arange(1, 6)
SHRINKS = np.array([0.9, 0.0, -2.0, 1.0, 0.5])
STEPS = Steps(np.array(BATCH_SIZES), RATES, SHRINKS)


def descend(slot, rows, upto):
    """What W = 1 and the slope 1 of each row become before row `upto`, as factors per row."""
    size, begun = BATCH_SIZES[slot], 1.0
    factors = np.zeros(rows)
    for first in range(0, rows, size):
        last = min(first + size, rows)
        if last <= upto:
            begun, factors = SHRINKS[slot] * begun, SHRINKS[slot] * factors
            factors[first:last] -= RATES[slot] / (last - first)
    return begun, factors


def table(rows, start):
    block = range(start, min(start + BLOCK, rows))
    return block, Timetable.of(STEPS, block=block, rows=rows, micro_batch=MICRO_BATCH, classes=1)


@given(st.integers(1, 60), st.data())
def test_a_timetable_says_what_descending_step_by_step_would(rows, data):
    block, found = table(rows, data.draw(st.sampled_from(range(0, rows, BLOCK))))
    for slot, size in enumerate(BATCH_SIZES):
        for i, first in enumerate(range(block.start, block.stop, MICRO_BATCH)):
            # Of the batches that began in earlier blocks none ends inside this one.
            earlier = descend(slot, rows, block.start)
            if earlier[0] != 0:
                shrunk = descend(slot, rows, first)[0] / earlier[0]
                np.testing.assert_allclose(found.shrunk[i][slot], shrunk, rtol=1e-6)
            correction = found.corrections[i]
            expected = descend(slot, rows, first)[1][block.start : first]
            given_ = np.zeros(first - block.start) if correction is None else correction[:, slot]
            np.testing.assert_allclose(given_, expected, rtol=1e-6)
            stop = min(first + MICRO_BATCH, rows)
            length = min(size, rows - (stop - 1) // size * size)
            ends = stop % size == 0 or stop == rows
            steps = found.bias_steps[i]
            step = 0 if steps is None else steps[slot]
            assert step == np.float32(-RATES[slot] / length if ends else 0)


@given(st.integers(1, 60), st.data())
def test_a_finished_batch_closes_with_all_its_rows(rows, data):
    block, found = table(rows, data.draw(st.sampled_from(range(0, rows, BLOCK))))
    for slot, size in enumerate(BATCH_SIZES):
        stop = min(-(-block.stop // size) * size, rows)
        assert found.finished[slot] == (stop == block.stop)
        expected = descend(slot, rows, stop)[1][block.start : block.stop]
        np.testing.assert_allclose(found.closing[:, slot], expected, rtol=1e-6)


def test_where_no_batch_ends_inside_a_block_nothing_is_corrected():
    steps = Steps(np.array([8, 16]), np.ones(2), np.ones(2))
    found = Timetable.of(steps, block=range(8), rows=80, micro_batch=2, classes=3)
    assert found.corrections == [None] * 4


def test_an_empty_slot_brings_in_nothing():
    steps = Steps(np.array([2, 2]), np.array([0.5, 0]), np.array([0.9, 1]))
    found = Timetable.of(steps, block=range(8), rows=80, micro_batch=2, classes=1)
    assert not found.closing[:, 1].any()
    assert not any(table[:, 1].any() for table in found.corrections[1:])
    assert (found.total[1], found.bias_steps[3][1]) == (1, 0)

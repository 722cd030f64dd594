import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.cli.sparkline import BLOCKS, Scale, shared_scale, sparkline

UNIT = Scale(0.0, 1.0)


def test_the_ends_of_the_scale_are_the_lowest_and_the_highest_block():
    assert [UNIT.block(value) for value in (0.0, 0.49, 0.5, 1.0)] == ["▁", "▄", "▅", "█"]


def test_what_lies_beyond_the_scale_is_drawn_at_its_ends():
    assert (UNIT.block(-5.0), UNIT.block(1e100)) == ("▁", "█")


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, 1e300])
def test_what_is_no_number_leaves_a_gap(value):
    assert UNIT.block(value) == " "
    assert sparkline([0.0, value, 1.0], UNIT, epochs=3, width=3) == "▁ █"


def test_equal_values_are_drawn_in_the_middle():
    assert sparkline([0.3] * 3, shared_scale([[0.3] * 3]), epochs=3, width=9) == "▅▅▅"


def test_all_curves_share_one_scale():
    assert shared_scale([[0.1, 0.2], [0.5]]) == Scale(0.1, 0.5)
    assert shared_scale([[0.4]]) == Scale(0.4, 0.4)
    assert shared_scale([[], [math.nan]]) == Scale(0.0, 0.0)


def test_one_outlier_does_not_flatten_the_others():
    curves = [[0.40 + 0.01 * step for step in range(10)], [1e6]]
    assert shared_scale(curves) == Scale(pytest.approx(0.40), pytest.approx(0.49))


def test_two_groups_are_no_outliers_of_each_other():
    assert shared_scale([[0.1] * 10, [0.9] * 10]) == Scale(0.1, 0.9)


def test_a_pruned_trial_has_a_shorter_curve_on_the_same_axis():
    full, pruned = [0.0] * 50, [0.0] * 25
    assert len(sparkline(full, UNIT, epochs=50, width=10)) == 10
    assert len(sparkline(pruned, UNIT, epochs=50, width=10)) == 5


def test_the_last_block_is_the_last_epoch():
    curve = [0.0] * 49 + [1.0]
    assert sparkline(curve, UNIT, epochs=50, width=7) == "▁▁▁▁▁▁█"
    assert sparkline([0.0, 1.0], UNIT, epochs=50, width=7) == "█"


@given(
    curve=st.lists(st.floats() | st.none(), max_size=60),
    more=st.integers(0, 60),
    width=st.integers(1, 50),
)
def test_no_curve_is_wider_than_it_may_be_and_none_vanishes(curve, more, width):
    epochs = max(1, len(curve) + more)
    drawn = sparkline(curve, shared_scale([curve]), epochs=epochs, width=width)
    assert len(drawn) <= min(width, epochs)
    assert bool(drawn) == bool(curve)
    assert set(drawn) <= {*BLOCKS, " "}

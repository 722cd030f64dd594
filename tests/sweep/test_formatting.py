import math

import pytest

from sweep.formatting import (
    between,
    counted,
    fixed,
    listed,
    number,
    p_value,
    percent,
    plain_name,
)


def test_a_number_has_three_digits_and_can_be_typed():
    for value, text in (
        (1.756e-5, "1.76e-5"),
        (0.02394, "0.0239"),
        (50, "50"),
        (1234567.0, "1.23e6"),
        (-0.001, "-0.001"),
        (0, "0"),
    ):
        assert number(value) == text
        assert float(text) == pytest.approx(value, rel=5e-3)
    assert number(0.123456789, 6) == "0.123457"
    assert number(1234567) == "1234567"  # a whole number


def test_what_is_not_known_is_a_dash():
    for value in (None, math.nan, math.inf):
        assert number(value) == fixed(value, 1) == percent(value, unit="%") == "-"


def test_a_column_of_fixed_numbers_has_its_points_in_line_and_no_minus_zero():
    texts = [fixed(value, 2) for value in (1, 0.128, -0.5, -0.001)]
    assert texts == ["1.00", "0.13", "-0.50", "0.00"]
    assert [fixed(value, 1, "+") for value in (1, -1, 0)] == ["+1.0", "-1.0", "+0.0"]


def test_a_share_is_written_in_percent():
    assert percent(0.41289) == "41.3"
    assert percent(0.41289, unit=" %") == "41.3 %"
    assert percent(0.41289, 2) == "41.29"
    assert between(0.383, 0.444) == "[38.3, 44.4]"
    assert between(-0.001, None, 2) == "[-0.10, -]"


def test_a_p_value_has_two_digits_and_a_tiny_one_is_bounded():
    assert [p_value(p) for p in (0.3, 0.0386, 1e-9)] == ["0.3", "0.039", "< 0.0001"]
    assert [p_value(p, equals="= ") for p in (0.3, 1e-9)] == ["= 0.3", "< 0.0001"]


def test_one_thing_is_singular_and_a_list_ends_with_and():
    counts = [counted(count, "trial") for count in (0, 1, 1200)]
    assert counts == ["0 trials", "1 trial", "1,200 trials"]
    lists = [listed(names) for names in (["a"], ["a", "b"], ["a", "b", "c"])]
    assert lists == ["a", "a and b", "a, b and c"]
    assert plain_name("learning_rate") == "learning rate"

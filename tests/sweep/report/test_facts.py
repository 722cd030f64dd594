import math

import pytest

from sweep.report.facts import (
    Measure,
    between,
    counted,
    fixed,
    listed,
    number,
    percent,
    plain_name,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.756e-5, "1.76e-5"),
        (0.02394, "0.0239"),
        (50, "50"),
        (1234567.0, "1.23e6"),
        (-0.001, "-0.001"),
        (0, "0"),
        (None, "\N{EN DASH}"),
        (math.nan, "\N{EN DASH}"),
    ],
)
def test_a_number_has_three_digits_and_can_be_typed(value, text):
    assert number(value) == text
    if value is not None and math.isfinite(value):
        assert float(text) == pytest.approx(value, rel=5e-3)


def test_more_digits_can_be_asked_for():
    assert number(0.123456789, 6) == "0.123457"


def test_a_column_of_fixed_numbers_has_its_points_in_line():
    assert [fixed(value, 2) for value in (1, 0.128, -0.5)] == ["1.00", "0.13", "\N{MINUS SIGN}0.50"]


def test_nothing_is_minus_zero():
    assert fixed(-0.001, 1) == "0.0"


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_what_is_not_known_is_a_dash(value):
    assert fixed(value, 1) == percent(value) == "\N{EN DASH}"


def test_a_share_is_written_in_percent_without_the_sign():
    assert percent(0.41289) == "41.3"
    assert percent(0.41289, 2) == "41.29"
    assert between(0.383, 0.444) == "[38.3, 44.4]"
    assert between(-0.001, None, 2) == "[\N{MINUS SIGN}0.10, \N{EN DASH}]"


def test_one_thing_is_singular():
    assert [counted(count, "trial") for count in (0, 1, 1200)] == [
        "0 trials",
        "1 trial",
        "1,200 trials",
    ]


def test_a_list_ends_with_and():
    assert [listed(names) for names in (["a"], ["a", "b"], ["a", "b", "c"])] == [
        "a",
        "a and b",
        "a, b and c",
    ]


def test_names_are_words():
    assert plain_name("learning_rate") == "learning rate"


ACCURACY, LOSS = Measure("val/accuracy"), Measure("val/loss")


def test_accuracies_are_percent_and_their_differences_points():
    assert (ACCURACY.noun, ACCURACY.unit, ACCURACY.gap_unit) == (
        "validation accuracy",
        "%",
        "points",
    )
    assert ACCURACY.value(0.41289) == "41.3"
    assert ACCURACY.spoken(0.41289) == "41.3 %"
    assert ACCURACY.gap(0.00312) == "0.31"


def test_losses_and_their_differences_are_nats():
    assert (LOSS.noun, LOSS.unit, LOSS.gap_unit) == ("validation loss", "nats", "nats")
    assert LOSS.spoken(1.23456) == "1.2346 nats"
    assert LOSS.gap(0.0001) == "0.0001"


def test_a_mean_has_one_digit_more_and_its_standard_error():
    assert ACCURACY.mean(0.41289, 0.00051) == "41.29 ± 0.05 %"
    assert LOSS.mean(1.5, 0.01) == "1.5000 ± 0.0100 nats"


def test_a_mean_without_an_error_stands_alone():
    assert ACCURACY.mean(0.5, math.nan) == "50.00 %"

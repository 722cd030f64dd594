import math

from sweep.report.measure import Measure

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

import pytest

from sweep.space import Choices, Range
from sweep.statistics.place import place_of


def test_a_place_is_told_on_the_scale_of_its_axis():
    for axis, value, unit in (
        (Range(name="l2", low=1e-4, high=1, log=True), 1e-3, 0.25),
        (Range(name="decay_period", low=2, high=12), 7, 0.5),
        (Range(name="l2", low=0, high=1), 0, 0),
        (Choices(name="batch_size", values=(100, 25, 50)), 100, 1),
        (Choices(name="batch_size", values=(100, 25, 50)), 50, 0.5),
        (Choices(name="batch_size", values=(25,)), 25, 0),
    ):
        place = place_of(axis, value)
        assert place.unit == pytest.approx(unit), axis
        assert (place.name, place.value) == (axis.name, value)


def test_choices_stand_in_ascending_order():
    place = place_of(Choices(name="batch_size", values=(100, 25, 50)), 25)
    assert (place.choices, place.low, place.high) == ([25, 50, 100], 25, 100)

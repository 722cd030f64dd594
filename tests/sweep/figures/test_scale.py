from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from sweep.figures.scale import Scale, plain


def labels(distribution):
    return [words for _, words in Scale.of(distribution).ticks()]


def test_a_log_range_has_ticks_at_powers_of_ten_with_both_ends():
    log = FloatDistribution(1e-5, 1.0, log=True)
    assert labels(log) == ["1e-5", "1e-4", "1e-3", "0.01", "0.1", "1"]


def test_a_log_range_of_one_decade_has_ticks_between():
    assert labels(FloatDistribution(0.01, 0.1, log=True)) == ["0.01", "0.02", "0.05", "0.1"]


def test_a_range_without_a_round_number_has_ticks_at_its_ends():
    assert labels(FloatDistribution(0.001, 0.0012, log=True)) == ["1e-3", "1.2e-3"]


def test_long_labels_are_fewer():
    assert labels(FloatDistribution(0.0011, 0.0012, log=True)) == ["1.1e-3", "1.14e-3", "1.18e-3"]


def test_a_range_of_whole_numbers_has_whole_ticks():
    assert labels(IntDistribution(1, 3)) == ["1", "2", "3"]


def test_choices_are_ticks_in_their_own_order():
    assert labels(CategoricalDistribution([400, 25, None, "x\ny"])) == ["400", "25", "None", "x y"]


def test_of_many_choices_some_are_labelled_at_their_own_places():
    ticks = Scale.of(CategoricalDistribution(list(range(30)))).ticks()
    assert 6 <= len(ticks) <= 12
    assert all(words == str(position) for position, words in ticks)


def test_choices_have_equal_steps_from_end_to_end():
    scale = Scale.of(CategoricalDistribution([25, 50, 400]))
    assert [scale.unit(position) for position in (0, 1, 2)] == [0, 0.5, 1]


def test_the_middle_of_a_log_range_is_the_geometric_mean():
    scale = Scale.of(FloatDistribution(1e-4, 1.0, log=True))
    assert scale.unit(1e-2) == pytest.approx(0.5)
    assert scale.between(0.5) == pytest.approx(1e-2)


@given(st.booleans(), st.floats(1e-6, 1.0), st.floats(1.5, 1e6), st.floats(-0.1, 1.1))
def test_position_and_unit_are_each_others_inverse(log, low, factor, unit):
    scale = Scale(low=low, high=factor * low, log=log)
    assert scale.unit(scale.between(unit)) == pytest.approx(unit, abs=1e-9)


@given(st.booleans(), st.floats(1e-6, 1.0), st.floats(1.01, 1e6))
def test_every_axis_has_two_to_a_dozen_ticks_and_none_beyond_its_ends(log, low, factor):
    scale = Scale(low=low, high=factor * low, log=log)
    units = [scale.unit(position) for position, _ in scale.ticks()]
    assert 2 <= len(units) <= 12
    assert min(units) >= -1e-8
    assert max(units) <= 1 + 1e-8


def test_the_axis_around_values_ends_at_the_smallest_and_the_largest():
    scale = Scale.around([0.3, 0.1, 0.2])
    assert (scale.low, scale.high) == (0.1, 0.3)


@pytest.mark.parametrize("value", [0.0, 0.4, -3.0, 1e300])
def test_the_axis_around_one_value_has_it_in_the_middle(value):
    assert Scale.around([value]).unit(value) == pytest.approx(0.5)


def test_a_distribution_of_another_kind_is_refused():
    class Odd(BaseDistribution):
        def to_internal_repr(self, value):
            return value

        def single(self):
            return False

        def _contains(self, _):
            return True

        def __repr__(self):
            return "Odd()"

    with pytest.raises(TypeError, match=r"no axis for Odd\(\)"):
        Scale.of(Odd())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.01, "0.01"),
        (25, "25"),
        (99999, "99999"),
        (1e5, "1e5"),
        (2.5e-3, "2.5e-3"),
        (-1e-4, "-1e-4"),
        (1e-12, "1e-12"),
    ],
)
def test_a_number_is_written_as_one_types_it(value, text):
    assert plain(value) == text
    assert float(text) == value

import json

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import SweepError
from sweep.space import (
    DEFAULT_SPACES,
    NAMES,
    RULES,
    Choices,
    Range,
    Space,
    read_space,
    space_from_record,
)


def ends(name):
    rule = RULES[name]
    low = rule.low if rule.low_allowed else 1e-6
    return st.integers(int(low), int(rule.high)) if rule.integer else st.floats(low, rule.high)


def some_range(name):
    return st.builds(
        lambda values, log: Range(
            name=name, low=min(values), high=max(values), log=log and min(values) > 0
        ),
        st.lists(ends(name), min_size=2, max_size=2, unique=True),
        st.booleans(),
    )


def some_choices(name):
    return st.lists(ends(name), min_size=1, max_size=4, unique=True).map(
        lambda values: Choices(name=name, values=tuple(values))
    )


spaces = st.tuples(*(some_range(name) | some_choices(name) for name in NAMES)).map(
    lambda axes: Space(dict(zip(NAMES, axes, strict=True)))
)
settings = st.fixed_dictionaries({name: ends(name) for name in NAMES})


def holds(axis, value):
    if isinstance(axis, Range):
        return axis.low <= value <= axis.high
    return value in axis.values


@given(spaces)
def test_a_record_that_went_through_json_reads_back_as_the_same_space(space):
    assert space_from_record(json.loads(json.dumps(space.record()))) == space


@given(spaces, settings)
def test_a_clipped_setting_lies_in_the_space(space, setting):
    clipped = space.clip(setting)
    assert all(holds(space.axes[name], clipped[name]) for name in NAMES)
    assert space.clip(clipped) == clipped


@given(spaces, spaces)
def test_a_space_differs_from_another_on_the_axes_that_are_not_equal(one, other):
    apart = [name for name in NAMES if one.axes[name] != other.axes[name]]
    assert [phrase.split()[0] for phrase in one.differences(other)] == apart
    assert one.differences(one) == []


def test_a_difference_says_what_it_was_and_what_it_is():
    space = DEFAULT_SPACES["softmax"]
    other = space.replace({"batch_size": Choices(name="batch_size", values=(50,))})
    assert space.differences(other) == ["batch_size 50,100,200,400 -> 50"]


def test_numbers_that_differ_read_differently():
    space = DEFAULT_SPACES["softmax"]
    one, other = (
        space.replace({"l2": Choices(name="l2", values=(value,))})
        for value in (0.1234567, 0.1234568)
    )
    assert one.differences(other) == ["l2 0.1234567 -> 0.1234568"]


def test_the_grid_is_every_combination_of_the_choices_and_of_ends_and_middles():
    one = {name: Choices(name=name, values=(1,)) for name in NAMES}
    space = Space(one).replace(
        {
            "l2": Range(name="l2", low=1e-4, high=1, log=True),
            "batch_size": Choices(name="batch_size", values=(25, 50)),
        }
    )
    grid = space.grid(3)
    assert [(point["l2"], point["batch_size"]) for point in grid] == [
        (pytest.approx(l2), batch_size) for l2 in (1e-4, 1e-2, 1) for batch_size in (25, 50)
    ]
    assert all(tuple(point) == NAMES for point in grid)


def test_every_axis_is_suggested_once_and_in_order():
    trial = optuna.create_study().ask()
    setting = DEFAULT_SPACES["bce"].suggest(trial)
    assert tuple(setting) == NAMES
    assert setting == trial.params


def test_an_axis_with_a_single_value_is_not_searched():
    single = Choices(name="decay_period", values=(10,))
    space = DEFAULT_SPACES["softmax"].replace({"decay_period": single})
    assert space.varied() == ["l2", "learning_rate", "batch_size", "flip_probability"]


def test_replacing_keeps_the_other_axes_and_the_order():
    axis = Choices(name="l2", values=(0.1,))
    space = DEFAULT_SPACES["softmax"].replace({"l2": axis})
    assert space.axes == {**DEFAULT_SPACES["softmax"].axes, "l2": axis}
    assert tuple(space.axes) == NAMES


def test_a_space_must_have_the_five_axes():
    with pytest.raises(ValueError, match=r"^a space has the axes .*: got \('l2',\)$"):
        Space({"l2": Choices(name="l2", values=(1,))})


def test_a_grid_of_too_many_points_is_refused_before_it_is_made():
    choices = ",".join(str(n) for n in range(1, 101))
    space = read_space("softmax", overrides=[f"{name}={choices}" for name in NAMES[:4]])
    with pytest.raises(SweepError, match=r"at most 100,000 points: this space makes 300,000,000"):
        space.grid(3)

from __future__ import annotations

import pytest

from sweep.figures.places import places_figure
from sweep.statistics.place import Place

L2 = Place(name="l2", value=1e-3, low=1e-5, high=10, log=True, choices=None, unit=1 / 3)
BATCH = Place(
    name="batch_size",
    value=50,
    low=25,
    high=400,
    log=False,
    choices=[25, 50, 100, 400],
    unit=1 / 3,
)


def marks(figure):
    """Where the studies' marks stand on their lines, from 0 to 1, from above."""
    lines = [each for each in figure.axes[0].lines if each.get_marker() not in ("|", "None")]
    return [float(each.get_xdata()[0]) for each in lines]


def test_a_mark_stands_where_the_value_lies_in_its_range():
    assert marks(places_figure({"a": [L2, BATCH]})) == pytest.approx([1 / 3, 1 / 3])


def test_ends_values_names_and_studies_are_written(words):
    shown = words(places_figure({"a": [L2], "b": [BATCH]}))
    assert {"l2", "batch_size", "a", "b", "1e-5", "10", "1e-3", "25", "400", "50"} <= set(shown)


def test_one_hyperparameter_of_two_studies_is_named_once(words):
    shown = words(places_figure({"a": [L2], "b": [L2]}))
    assert shown.count("l2") == 1


def test_choices_are_ticked():
    figure = places_figure({"a": [BATCH]})
    ticks = [each for each in figure.axes[0].lines if each.get_marker() == "|"]
    assert [float(each.get_xdata()[0]) for each in ticks] == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_where_nothing_was_searched_it_says_so(words):
    assert "no hyperparameter was searched" in words(places_figure({"a": [], "b": []}))


@pytest.mark.parametrize("name", ["l2", "a parameter with a name that is too long " * 2])
@pytest.mark.parametrize("studies", [1, 2, 5])
@pytest.mark.parametrize("unit", [0, 1])
def test_nothing_is_clipped(name, studies, unit, fits):
    place = Place(
        name=name, value=123456, low=-1e-9, high=1.234e12, log=False, choices=None, unit=unit
    )
    assert fits(places_figure({f"{i} {name}": [place] for i in range(studies)}))

from __future__ import annotations

import pytest

from sweep.figures import side_by_side
from sweep.figures.side_by_side import COLOURS, MARKS, looks
from sweep.figures.style import styled

panels = styled(side_by_side.panels)


def test_each_study_keeps_its_look_in_every_figure():
    assert looks(["a", "b"]) == {name: looks(["a", "b", "c"])[name] for name in ("a", "b")}


def test_a_dozen_studies_are_told_apart_by_colour_or_mark():
    found = looks(f"study {i}" for i in range(12))
    assert len(set(found.values())) == 12
    assert {look.colour for look in found.values()} == set(COLOURS)
    assert {look.mark for look in found.values()} == set(MARKS)


@pytest.mark.parametrize(("count", "places"), [(1, 1), (3, 3), (4, 6), (7, 9)])
def test_panels_stand_three_in_a_row_and_spare_places_are_blank(count, places):
    figure, grid = panels([f"title {i}" for i in range(count)], height=200)
    assert [axes.get_title(loc="left") for axes in grid] == [f"title {i}" for i in range(count)]
    assert len(figure.axes) == places
    assert sum(axes.axison for axes in figure.axes) == count


def test_a_long_title_is_shortened_to_its_panel(fits):
    figure, grid = panels(["a study with a name that is far too long " * 2] * 3, height=200)
    assert fits(figure)
    assert all(axes.get_title(loc="left").endswith("…") for axes in grid)

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.figures.panel import Panel, around, decimal, percent, ticks
from sweep.figures.picture import Picture


@pytest.fixture
def panel():
    return Panel(
        picture=Picture(200, 160),
        left=40,
        right=180,
        top=30,
        bottom=110,
        xs=(0.0, 10.0),
        ys=(1.0, 3.0),
    )


def test_the_ends_of_the_ranges_lie_in_the_corners(panel):
    np.testing.assert_allclose(panel.at([0, 10], [1, 3]), [[40, 110], [180, 30]])


def test_what_is_not_a_number_lies_nowhere(panel):
    across, up = panel.at(5, np.nan)
    assert across == 110
    assert np.isnan(up)


def test_a_dressed_panel_has_its_title_its_ticks_and_its_axis_named(panel):
    panel.dress(title="Loss", word=decimal)
    words = [word.text for word in panel.picture.words]
    assert words[-2:] == ["Loss", "epoch"]
    assert {"0", "2", "10", "1.0", "2.0", "3.0"} <= set(words)
    for word in panel.picture.words:
        if word.anchor == "rm":  # beside the axis
            assert word.y == pytest.approx(panel.at(0, float(word.text))[1], abs=1)


@given(st.floats(-1e9, 1e9), st.floats(1e-3, 1e9))
def test_ticks_lie_between_the_ends_at_equal_steps(low, wide):
    places = np.array(ticks((low, low + wide)))
    assert 1 <= len(places) <= 10
    slack = 1e-6 * wide + 1e-9 * abs(low)
    assert (places >= low - slack).all()
    assert (places <= low + wide + slack).all()
    steps = np.diff(places)
    if len(steps):
        np.testing.assert_allclose(steps, steps[0], rtol=1e-3)


@pytest.mark.parametrize("last", [1.5, 2, 3, 50, 1000])
def test_ticks_of_epochs_are_whole(last):
    places = ticks((0.5, last), whole=True)
    assert places
    assert all(place == int(place) for place in places)


@given(st.lists(st.floats(-1e99, 1e99), min_size=1, max_size=5))
def test_a_range_round_values_shows_them_all_and_is_never_empty(values):
    low, high = around(values)
    assert low <= min(values)
    assert high >= max(values)
    assert low < high


@pytest.mark.parametrize(
    ("value", "step", "words"),
    [
        (2.0, 0.5, "2.0"),
        (0.25, 0.05, "0.25"),
        (3.0, 1.0, "3"),
        (40.0, 20.0, "40"),
        (0.0002, 0.0001, "2e-4"),
        (0.0015, 0.0005, "1.5e-3"),
        (-3e-9, 1e-9, "-3e-9"),
        (0.0, 0.5, "0.0"),
        (250000.0, 50000.0, "2.5e5"),
        (8e99, 1e99, "8e99"),
        (0.0, 1e99, "0"),
    ],
)
def test_a_tick_has_the_decimals_that_tell_it_from_the_next(value, step, words):
    assert decimal(value, step) == words


@pytest.mark.parametrize(
    ("value", "step", "words"), [(0.4, 0.1, "40%"), (0.41, 0.01, "41%"), (0.415, 0.005, "41.5%")]
)
def test_a_fraction_is_told_in_percent(value, step, words):
    assert percent(value, step) == words

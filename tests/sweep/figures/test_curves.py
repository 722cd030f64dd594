from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.figures.curves import (
    BESIDE,
    KINDS,
    PANEL_WIDTH,
    ROOM,
    SIZE,
    _empty,
    curves_figure,
    spread,
)
from sweep.figures.style import BLUE, VERMILLION

EPOCHS = np.arange(1, 11)
CURVES = {
    "train/loss": 2 / EPOCHS,
    "val/loss": 2.2 / EPOCHS,
    "train/cost": 2.5 / EPOCHS,
    "val/cost": 2.7 / EPOCHS,
    "train/accuracy": 0.04 * EPOCHS,
    "val/accuracy": 0.035 * EPOCHS,
}
OTHERS = {
    "nothing": {},
    "one epoch": {key: values[:1] for key, values in CURVES.items()},
    "1,000 epochs": {key: np.resize(values, 1000) for key, values in CURVES.items()},
    "diverged": CURVES | {"train/loss": [2.0, 1e9, np.inf], "train/cost": [2.5, np.nan]},
    "no accuracy": {key: values for key, values in CURVES.items() if "accuracy" not in key},
}


def panels(curves):
    """Return the axes of loss and cost, and those of accuracy, as the figure showed them."""
    curves_figure(curves, title="trial 7")
    losses, accuracies = _empty().axes
    return losses, accuracies


@pytest.fixture
def beside(monkeypatch):
    """Return what is written beside the panels of loss and of accuracy: height and words."""

    def written(curves):
        seen = []
        with monkeypatch.context() as patch:
            patch.setattr("sweep.figures.curves.write", lambda *given, **_: seen.append(given[1:]))
            curves_figure(curves, title="trial 7")
        title, *ends = seen
        assert title[2] == "trial 7"
        middle = SIZE[0] / 2
        return tuple(
            [(y, words) for x, y, words in ends if (x > middle) == right] for right in (False, True)
        )

    return written


def names(ends):
    return [words for _, words in ends]


def test_the_figure_is_an_rgb_image_of_its_size():
    shown = curves_figure(CURVES, title="trial 7")
    assert (shown.shape, shown.dtype) == ((360, 940, 3), np.uint8)
    assert shown.min() < 128


def test_epochs_count_from_one():
    for axes in panels(CURVES):
        for line in axes.lines:
            np.testing.assert_array_equal(line.get_xdata(), EPOCHS)


def test_loss_and_cost_share_one_panel_and_accuracy_in_percent_has_the_other():
    losses, accuracies = panels(CURVES)
    values = list(CURVES.values())
    for line, wanted in zip(losses.lines, values[:4], strict=True):
        np.testing.assert_array_equal(line.get_ydata(), wanted)
    for line, wanted in zip(accuracies.lines, values[4:], strict=True):
        np.testing.assert_allclose(line.get_ydata(), 100 * wanted)


def test_training_is_blue_validation_red_and_cost_dashed():
    lines = [line for axes in panels(CURVES) for line in axes.lines]
    assert [line.get_color() for line in lines] == [BLUE, VERMILLION] * 3
    assert [line.get_linestyle() for line in lines] == ["-", "-", "--", "--", "-", "-"]


def test_the_last_value_of_every_line_stands_beside_it_with_its_name(beside):
    losses, accuracies = beside(CURVES)
    assert names(losses) == [
        "0.2000 training",
        "0.2200 validation",
        "0.2500 training cost",
        "0.2700 validation cost",
    ]
    assert names(accuracies) == ["40.0 training", "35.0 validation"]


def test_a_name_stands_as_high_as_the_last_value_of_its_line(beside):
    _, ((height, _),) = beside({"val/accuracy": [0.1, 0.5]})
    _, axes = _empty().axes
    _, wanted = axes.transData.transform((2, 50.0))
    assert height == pytest.approx(SIZE[1] - wanted, abs=0.5)


def test_names_do_not_overlap_even_where_the_lines_meet(beside):
    same = {key: [3.0, 1.0] for key in ("train/loss", "val/loss", "train/cost", "val/cost")}
    losses, _ = beside(same)
    heights = sorted(height for height, _ in losses)
    assert len(heights) == 4
    assert np.diff(heights).min() >= 15


@pytest.mark.parametrize("epochs", [1, 2, 3, 10])
def test_epoch_ticks_are_whole_numbers(epochs):
    for axes in panels({key: values[:epochs] for key, values in CURVES.items()}):
        low, high = axes.get_xlim()
        ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
        assert ticks
        assert all(tick == int(tick) for tick in ticks)


def test_one_epoch_is_drawn_as_points():
    shown = curves_figure(OTHERS["one epoch"], title="trial 7")
    blue = tuple(int(BLUE[i : i + 2], 16) for i in (1, 3, 5))
    assert (shown[78:298, 58:328] == blue).all(axis=-1).any()


def test_missing_curves_draw_no_line_and_an_empty_panel_says_so():
    losses, accuracies = panels({"val/loss": [2.0, 1.0, 0.5], "train/loss": []})
    assert len(losses.lines) == 1
    assert [text.get_text() for text in accuracies.texts] == ["no values"]
    assert not accuracies.axison


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e308])
def test_a_value_that_is_not_finite_leaves_a_gap_and_no_name(bad, beside):
    curves = {"train/loss": [2.0, bad, 1.5, bad]}
    losses, _ = panels(curves)
    (line,) = losses.lines
    assert np.isnan(line.get_ydata()).tolist() == [False, True, False, True]
    assert line.get_markevery() == [2]
    assert names(beside(curves)[0]) == ["1.500 training"]


@pytest.mark.parametrize(
    ("epochs", "title"), [(1, r"$\frac{1$"), (2, "x" * 200), (10, ""), (10, "W" * 79)]
)
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e90])
def test_nothing_is_clipped_and_the_panels_stay_apart(epochs, title, scale, fits):
    losses = {key: scale * values[:epochs] for key, values in CURVES.items() if "acc" not in key}
    accuracies = {key: values[:epochs] for key, values in CURVES.items() if "acc" in key}
    shown = curves_figure(losses | accuracies, title=title)
    assert fits(_empty())
    left, right = (axes.get_tightbbox() for axes in _empty().axes)
    assert left.x1 < KINDS[0].left + PANEL_WIDTH + BESIDE
    assert KINDS[0].left + PANEL_WIDTH + BESIDE + ROOM < right.x0
    for edge in (shown[:2], shown[-2:], shown[:, :2], shown[:, -2:]):
        assert (edge == 255).all()


@pytest.mark.parametrize("start", [2.3, 2.302585])
def test_values_that_hardly_differ_have_ticks_that_fit(start, fits):
    figure = panels({"train/loss": start + 1e-9 * EPOCHS, "val/accuracy": 0.1 + 1e-9 * EPOCHS})
    for axes in figure:
        shared = axes.yaxis.get_offset_text()
        assert shared.get_text()
        assert axes._left_title.get_window_extent().y0 > shared.get_window_extent().y1
    assert fits(_empty())


@pytest.mark.parametrize("between", OTHERS)
def test_the_same_curves_give_the_same_pixels_whatever_was_drawn_between(between):
    first = curves_figure(CURVES, title="trial 7")
    kept = first.copy()
    other = curves_figure(OTHERS[between], title="another trial " * 9)
    np.testing.assert_array_equal(first, kept)
    assert (other != first).any()
    np.testing.assert_array_equal(curves_figure(CURVES, title="trial 7"), first)


@pytest.mark.parametrize("before", OTHERS)
def test_a_figure_drawn_on_before_looks_like_a_new_one(before):
    curves_figure(OTHERS[before], title="before")
    again = curves_figure(CURVES, title="trial 7")
    _empty.cache_clear()
    np.testing.assert_array_equal(curves_figure(CURVES, title="trial 7"), again)


def test_threads_that_draw_at_once_get_each_its_own_curves():
    wanted = {name: curves_figure(curves, title=name) for name, curves in OTHERS.items()}
    order = [*OTHERS] * 4
    with ThreadPoolExecutor(4) as threads:
        drawn = threads.map(lambda name: curves_figure(OTHERS[name], title=name), order)
        for name, shown in zip(order, drawn, strict=True):
            np.testing.assert_array_equal(shown, wanted[name])


def test_a_figure_made_under_the_users_own_settings_looks_the_same():
    wanted = curves_figure(CURVES, title="trial 7")
    taste = {"font.size": 20, "axes.xmargin": 0.4, "lines.linewidth": 9, "xtick.color": "red"}
    with mpl.rc_context(taste):
        _empty.cache_clear()
        np.testing.assert_array_equal(curves_figure(CURVES, title="trial 7"), wanted)


@given(st.lists(st.floats(-1e3, 1e3), max_size=6), st.floats(0.01, 10))
def test_spread_positions_are_a_gap_apart_and_none_moves_down(positions, gap):
    moved = spread(positions, gap=gap)
    assert all(new >= old for new, old in zip(moved, positions, strict=True))
    assert (np.diff(sorted(moved)) >= gap * (1 - 1e-9) - 1e-9).all()


def test_positions_far_apart_stay_where_they_are():
    assert spread([5.0, 1.0, 3.0], gap=1.0) == [5.0, 1.0, 3.0]

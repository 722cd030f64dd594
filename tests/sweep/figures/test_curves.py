from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex

from sweep.figures.curves import curves_figure, spread
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


def lines(axes):
    return [(line.get_xdata(), line.get_ydata()) for line in axes.lines]


def test_epochs_count_from_one():
    for axes in curves_figure(CURVES, title="trial 7").axes:
        for epochs, _ in lines(axes):
            np.testing.assert_array_equal(epochs, EPOCHS)


def test_loss_and_cost_share_one_panel_and_accuracy_has_the_other():
    losses, accuracies = curves_figure(CURVES, title="trial 7").axes
    drawn = [values for _, values in lines(losses)]
    keys = ("train/loss", "val/loss", "train/cost", "val/cost")
    np.testing.assert_array_equal(drawn, [CURVES[key] for key in keys])
    drawn = [values for _, values in lines(accuracies)]
    np.testing.assert_array_equal(drawn, [CURVES["train/accuracy"], CURVES["val/accuracy"]])


def test_training_is_blue_validation_red_and_cost_dashed():
    losses, accuracies = curves_figure(CURVES, title="trial 7").axes
    colours = [to_hex(line.get_color()).upper() for line in losses.lines]
    assert colours == [BLUE, VERMILLION, BLUE, VERMILLION]
    assert [line.get_linestyle() for line in losses.lines] == ["-", "-", "--", "--"]
    assert [line.get_linestyle() for line in accuracies.lines] == ["-", "-"]


def test_the_last_value_of_every_line_is_written_at_its_end():
    losses, accuracies = curves_figure(CURVES, title="trial 7").axes
    assert [text.get_text() for text in losses.texts] == ["0.2000", "0.2200", "0.2500", "0.2700"]
    assert [text.get_text() for text in accuracies.texts] == ["40.0%", "35.0%"]


def test_end_labels_do_not_overlap_even_where_the_lines_meet(pixels):
    same = {key: [3.0, 1.0] for key in ("train/loss", "val/loss", "train/cost", "val/cost")}
    figure = curves_figure(same, title="trial 7")
    pixels(figure)
    boxes = sorted((text.get_window_extent() for text in figure.axes[0].texts), key=lambda b: b.y0)
    assert len(boxes) == 4
    assert all(upper.y0 >= lower.y1 - 3 for lower, upper in pairwise(boxes))


def test_epoch_ticks_are_whole_numbers(pixels):
    figure = curves_figure({key: values[:3] for key, values in CURVES.items()}, title="trial 7")
    pixels(figure)
    ticks = [axes.get_xticks() for axes in figure.axes]
    assert all((np.asarray(each) == np.round(each)).all() for each in ticks)


def test_one_epoch_is_drawn_as_points(pixels):
    figure = curves_figure({key: values[:1] for key, values in CURVES.items()}, title="trial 7")
    blue = tuple(int(BLUE[i : i + 2], 16) for i in (1, 3, 5))
    assert (pixels(figure)[60:300, :, :3] == blue).all(axis=-1).any()


def test_missing_curves_draw_no_line_and_an_empty_panel_says_so(words):
    figure = curves_figure({"val/loss": [2.0, 1.0], "train/loss": []}, title="trial 7")
    assert [len(axes.lines) for axes in figure.axes] == [1, 0]
    assert words(figure).count("no values") == 1


def test_the_legend_names_only_what_is_drawn():
    figure = curves_figure({"val/cost": [2.0], "val/accuracy": [0.1]}, title="trial 7")
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["validation cost", "validation"]


def test_no_curves_at_all_make_an_empty_figure(words):
    figure = curves_figure({}, title="trial 7")
    assert not figure.legends
    assert words(figure).count("no values") == 2


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e308])
def test_a_value_that_is_not_finite_leaves_a_gap_and_no_label(bad, pixels):
    figure = curves_figure({"train/loss": [2.0, bad, 1.5, bad]}, title="trial 7")
    pixels(figure)
    ((_, values),) = lines(figure.axes[0])
    np.testing.assert_array_equal(values, [2.0, np.nan, 1.5, np.nan])
    (text,) = figure.axes[0].texts
    assert (text.get_text(), text.xy[0]) == ("1.500", 3)


@pytest.mark.parametrize(("epochs", "title"), [(1, r"$\frac{1$"), (2, "x" * 200), (10, "")])
def test_nothing_is_clipped(epochs, title, fits):
    curves = {key: values[:epochs] for key, values in CURVES.items()}
    assert fits(curves_figure(curves, title=title))


@given(st.lists(st.floats(-1e3, 1e3), max_size=6), st.floats(0.01, 10))
def test_spread_positions_are_a_gap_apart_and_none_moves_down(positions, gap):
    moved = spread(positions, gap=gap)
    assert all(new >= old for new, old in zip(moved, positions, strict=True))
    assert (np.diff(sorted(moved)) >= gap * (1 - 1e-9) - 1e-9).all()


def test_positions_far_apart_stay_where_they_are():
    assert spread([5.0, 1.0, 3.0], gap=1.0) == [5.0, 1.0, 3.0]

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.figures.curves import curves_figure, curves_picture, spread
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


def drawn(curves, title="trial 7"):
    return curves_picture(curves, title=title)


def lines(picture):
    """Return the curves: lines through more than the two points of a rule."""
    return [line for line in picture.lines if len(line.points) > 2]


def texts(picture):
    return [word.text for word in picture.words]


def ends(picture):
    """Return the words in the colours of the curves: their last values."""
    return [word for word in picture.words if word.colour in (BLUE, VERMILLION)]


def test_the_figure_is_the_picture_in_pixels():
    shown = curves_figure(CURVES, title="trial 7")
    assert (shown.shape, shown.dtype) == ((400, 900, 3), np.uint8)
    np.testing.assert_array_equal(shown, drawn(CURVES).pixels())


def test_epochs_count_from_one_at_equal_steps_between_the_ticks():
    picture = drawn(CURVES)
    places = {word.text: word.x for word in picture.words if word.y == 339 and word.x < 450}
    for line in lines(picture)[:4]:
        across = line.points[:, 0]
        np.testing.assert_allclose(across[[1, 9]], [places["2"], places["10"]], atol=1)
        np.testing.assert_allclose(np.diff(across), across[1] - across[0])


def test_loss_and_cost_share_one_panel_and_accuracy_has_the_other():
    places = [line.points[:, 0].mean() > 450 for line in lines(drawn(CURVES))]
    assert places == [False, False, False, False, True, True]


def test_a_larger_value_is_drawn_higher():
    for line in lines(drawn(CURVES))[:4]:
        assert (np.diff(line.points[:, 1]) > 0).all()  # losses fall, and y runs down
    for line in lines(drawn(CURVES))[4:]:
        assert (np.diff(line.points[:, 1]) < 0).all()


def test_training_is_blue_validation_red_and_cost_dashed():
    curves = lines(drawn(CURVES))
    assert [line.colour for line in curves] == [BLUE, VERMILLION] * 3
    assert [bool(line.dashes) for line in curves] == [False, False, True, True, False, False]


def test_the_last_value_of_every_line_is_written_at_its_end():
    words = ["0.2000", "0.2200", "0.2500", "0.2700", "40.0%", "35.0%"]
    assert [word.text for word in ends(drawn(CURVES))] == words


def test_end_labels_do_not_overlap_even_where_the_lines_meet():
    same = {key: [3.0, 1.0] for key in ("train/loss", "val/loss", "train/cost", "val/cost")}
    heights = sorted(word.y for word in ends(drawn(same)))
    assert len(heights) == 4
    assert all(lower - upper >= 15 for upper, lower in pairwise(heights))


def test_epoch_ticks_are_whole_numbers():
    picture = drawn({key: values[:3] for key, values in CURVES.items()})
    assert [word.text for word in picture.words if word.y == 339] == ["1", "2", "3"] * 2


def test_one_epoch_is_drawn_as_points():
    shown = curves_figure({key: values[:1] for key, values in CURVES.items()}, title="trial 7")
    blue = tuple(int(BLUE[i : i + 2], 16) for i in (1, 3, 5))
    assert (shown[60:300] == blue).all(axis=-1).any()


def test_missing_curves_draw_no_line_and_an_empty_panel_says_so():
    picture = drawn({"val/loss": [2.0, 1.0, 0.5], "train/loss": []})
    assert len(lines(picture)) == 1
    assert texts(picture).count("no values") == 1


def test_the_legend_names_only_what_is_drawn_and_each_once():
    picture = drawn({"val/cost": [2.0], "val/accuracy": [0.1]})
    assert [word.text for word in picture.words if word.y == 386] == [
        "validation cost",
        "validation",
    ]
    assert len([word for word in drawn(CURVES).words if word.y == 386]) == 4


def test_no_curves_at_all_make_an_empty_figure():
    assert texts(drawn({})) == ["trial 7", "no values", "no values"]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e308])
def test_a_value_that_is_not_finite_leaves_a_gap_and_no_label(bad):
    picture = drawn({"train/loss": [2.0, bad, 1.5, bad]})
    (line,) = lines(picture)
    assert np.isnan(line.points[:, 1]).tolist() == [False, True, False, True]
    (word,) = ends(picture)
    assert word.text == "1.500"
    assert word.x == pytest.approx(line.points[2, 0] + 7)
    assert picture.pixels().min() < 128


@pytest.mark.parametrize(
    ("epochs", "title"), [(1, r"$\frac{1$"), (2, "x" * 200), (10, ""), (10, "W" * 79)]
)
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e90])
def test_nothing_is_clipped(epochs, title, scale):
    losses = {key: scale * values[:epochs] for key, values in CURVES.items() if "acc" not in key}
    accuracies = {key: values[:epochs] for key, values in CURVES.items() if "acc" in key}
    for left, top, right, bottom in drawn(losses | accuracies, title).boxes():
        assert left >= 0
        assert top >= 0
        assert right <= 900
        assert bottom <= 400


@given(st.lists(st.floats(-1e3, 1e3), max_size=6), st.floats(0.01, 10))
def test_spread_positions_are_a_gap_apart_and_none_moves_down(positions, gap):
    moved = spread(positions, gap=gap)
    assert all(new >= old for new, old in zip(moved, positions, strict=True))
    assert (np.diff(sorted(moved)) >= gap * (1 - 1e-9) - 1e-9).all()


def test_positions_far_apart_stay_where_they_are():
    assert spread([5.0, 1.0, 3.0], gap=1.0) == [5.0, 1.0, 3.0]

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.plots import (
    colour_limit,
    curves_figure,
    weight_values,
    weights_figure,
    weights_montage,
)
from sweep.plots.style import BLUE, VERMILLION
from sweep.plots.training import (
    BESIDE,
    GAP,
    PANEL_WIDTH,
    PANELS,
    ROOM,
    SIDE,
    SIZE,
    _lines,
    _named_cells,
    _panels,
    spread,
)

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
OTHERS["folds"] = CURVES | {"val/accuracy_sd": 0.002 * EPOCHS}
NAMES = [str(i) for i in range(10)]
MID = 128  # 0.5 of 255, rounded to even
LIGHT_GREY = (221, 220, 219)


# Learning curves


def panels(curves):
    """Return the axes of loss and cost, and those of accuracy, as the figure showed them."""
    curves_figure(curves, title="trial 7")
    return _panels().axes


def names_beside(curves):
    """Return what is written beside the panels of loss and of accuracy: heights and words."""
    shown = panels({})
    lines = [_lines(axes, kind, curves) for axes, kind in zip(shown, PANELS, strict=True)]
    return [[(height, words) for height, words, _ in each] for each in lines]


def test_loss_and_cost_share_one_panel_and_accuracy_in_percent_has_the_other():
    losses, accuracies = panels(CURVES)
    values = list(CURVES.values())
    for line, wanted in zip(losses.lines, values[:4], strict=True):
        np.testing.assert_array_equal(line.get_xydata(), np.transpose([EPOCHS, wanted]))
    for line, wanted in zip(accuracies.lines, values[4:], strict=True):
        np.testing.assert_allclose(line.get_xydata(), np.transpose([EPOCHS, 100 * wanted]))


def test_training_is_blue_validation_red_and_cost_dashed():
    lines = [line for axes in panels(CURVES) for line in axes.lines]
    assert [line.get_color() for line in lines] == [BLUE, VERMILLION] * 3
    assert [line.get_linestyle() for line in lines] == ["-", "-", "--", "--", "-", "-"]


def test_the_last_value_of_every_line_stands_beside_it_with_its_name():
    losses, accuracies = names_beside(CURVES)
    assert [words for _, words in losses] == [
        "0.2000 training",
        "0.2200 validation",
        "0.2500 training cost",
        "0.2700 validation cost",
    ]
    assert [words for _, words in accuracies] == ["40.0 training", "35.0 validation"]


def test_a_name_stands_as_high_as_the_last_value_of_its_line():
    _, ((height, _),) = names_beside({"val/accuracy": [0.1, 0.5]})
    axes = _panels().axes[1]
    _, wanted = axes.transData.transform((2, 50.0))
    assert height == pytest.approx(wanted - 60, abs=0.5)


@given(st.lists(st.floats(-1e3, 1e3), max_size=6), st.floats(0.01, 10))
def test_spread_positions_are_a_gap_apart_and_none_moves_down(positions, gap):
    moved = spread(positions, gap=gap)
    assert all(new >= old for new, old in zip(moved, positions, strict=True))
    assert (np.diff(sorted(moved)) >= gap * (1 - 1e-9) - 1e-9).all()
    assert spread([5.0, 1.0, 3.0], gap=1.0) == [5.0, 1.0, 3.0]


def test_epoch_ticks_are_whole_numbers():
    for epochs in (1, 2, 3, 10):
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


def test_a_value_that_is_not_finite_leaves_a_gap_and_no_name():
    for bad in (np.nan, np.inf, -np.inf, 1e308):
        curves = {"train/loss": [2.0, bad, 1.5, bad]}
        (line,) = panels(curves)[0].lines
        assert np.isnan(line.get_ydata()).tolist() == [False, True, False, True]
        assert line.get_markevery() == [2]
        assert names_beside(curves)[0][0][1] == "1.500 training"


def test_nothing_is_clipped_and_the_panels_stay_apart(fits):
    for epochs, title in ((1, r"$\frac{1$"), (2, "x" * 200), (10, ""), (10, "W" * 79)):
        for scale in (1e-6, 1.0, 1e90):
            losses = {k: scale * v[:epochs] for k, v in CURVES.items() if "acc" not in k}
            accuracies = {k: v[:epochs] for k, v in CURVES.items() if "acc" in k}
            shown = curves_figure(losses | accuracies, title=title)
            assert (shown.shape, shown.dtype) == ((SIZE[1], SIZE[0], 3), np.uint8)
            assert fits(_panels())
            left, right = (axes.get_tightbbox() for axes in _panels().axes)
            assert left.x1 < PANELS[0].left + PANEL_WIDTH + BESIDE
            assert PANELS[0].left + PANEL_WIDTH + BESIDE + ROOM < right.x0
            for edge in (shown[:2], shown[-2:], shown[:, :2], shown[:, -2:]):
                assert (edge == 255).all()


def test_values_that_hardly_differ_have_ticks_that_fit(fits):
    for start in (2.3, 2.302585):
        curves = {"train/loss": start + 1e-9 * EPOCHS, "val/accuracy": 0.1 + 1e-9 * EPOCHS}
        for axes in panels(curves):
            shared = axes.yaxis.get_offset_text()
            assert shared.get_text()
            assert axes._left_title.get_window_extent().y0 > shared.get_window_extent().y1
        assert fits(_panels())


def test_folds_have_a_band_of_their_spread():
    losses, accuracies = panels(OTHERS["folds"])
    assert len(losses.collections) == 0
    (band,) = accuracies.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((3.3, 37))
    assert not panels(CURVES)[1].collections


def test_the_same_curves_give_the_same_pixels_whatever_was_drawn_before():
    first = curves_figure(CURVES, title="trial 7")
    kept = first.copy()
    for curves in OTHERS.values():
        other = curves_figure(curves, title="another trial " * 9)
        np.testing.assert_array_equal(first, kept)
        assert (other != first).any()
        np.testing.assert_array_equal(curves_figure(CURVES, title="trial 7"), first)
    with mpl.rc_context({"font.size": 20, "axes.xmargin": 0.4, "xtick.color": "red"}):
        _panels.cache_clear()
        np.testing.assert_array_equal(curves_figure(CURVES, title="trial 7"), first)


def test_threads_that_draw_at_once_get_each_its_own_curves():
    wanted = {name: curves_figure(curves, title=name) for name, curves in OTHERS.items()}
    order = [*OTHERS] * 2
    with ThreadPoolExecutor(4) as threads:
        drawn = threads.map(lambda name: curves_figure(OTHERS[name], title=name), order)
        for name, shown in zip(order, drawn, strict=True):
            np.testing.assert_array_equal(shown, wanted[name])


# Weights as colours


def colours_of(weights, image_shape):
    """Return the colour (height, width, 3) of each weight on the scale that suits them."""
    values = weight_values(weights, image_shape)
    names = [""] * len(values)
    picture = np.asarray(weights_montage(values, names, limit=colour_limit(values)).convert("RGB"))
    height, width = values.shape[1:3]
    mode = "RGB" if values.ndim > 3 else "P"
    _, cell, corners = _named_cells(tuple(names), height, width, mode)
    step_x, step_y = cell[0] // width, cell[1] // height
    return np.array(
        [
            picture[top : top + cell[1] : step_y, left : left + cell[0] : step_x]
            for left, top in corners
        ]
    )


def random_weights(classes, image_shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((classes, int(np.prod(image_shape))))


def test_each_channel_is_half_plus_weight_over_twice_the_limit_in_channel_row_column_order():
    weights = np.zeros((1, 3, 2, 2))
    weights[0, 0, 0, 1] = 1.0  # red, upper right
    weights[0, 1, 1, 0] = -1.0  # green, lower left
    weights[0, 2, 1, 1] = 0.5  # blue, lower right
    ((upper, lower),) = colours_of(weights.reshape(1, -1), (3, 2, 2))
    np.testing.assert_array_equal(upper, [[MID, MID, MID], [255, MID, MID]])
    np.testing.assert_array_equal(lower, [[MID, 0, MID], [MID, MID, 191]])
    assert (colours_of(np.zeros((2, 12)), (3, 2, 2)) == MID).all()


def test_one_channel_is_blue_below_zero_grey_at_zero_and_red_above():
    ((row,),) = colours_of(np.array([[-1.0, 0.0, 1.0]]), (1, 1, 3))
    low, zero, high = row.astype(int).tolist()
    assert low[2] > low[0] + 100
    assert tuple(zero) == LIGHT_GREY
    assert high[0] > high[2] + 100


def test_other_channel_counts_show_the_mean_over_channels():
    for channels in (2, 4, 5):
        weights = random_weights(4, (channels, 3, 5)).reshape(4, channels, 15)
        shown = weight_values(weights.reshape(4, -1), (channels, 3, 5))
        np.testing.assert_array_equal(shown, weights.mean(axis=1).reshape(4, 3, 5))


def test_all_classes_share_one_scale():
    strong, weak = colours_of(np.array([[1.0] * 3, [0.5] * 3]), (3, 1, 1))
    assert (strong == 255).all()
    assert (weak == 191).all()


def test_the_limit_is_the_size_that_nearly_all_weights_keep_to():
    extreme = np.ones((1, 3000))
    extreme[0, 0] = 1e6
    nearly_all_zero = np.zeros((1, 3000))
    nearly_all_zero[0, :2] = 0.25, -0.5
    broken = np.array([[np.nan, np.inf, -np.inf, 1.0]])
    for weights, limit in ((extreme, 1), (nearly_all_zero, 0.5), (broken, 1), (np.zeros(3), 1)):
        assert colour_limit(weights) == limit


def test_weights_that_are_not_finite_still_have_colours():
    for channels in (1, 2, 3):
        weights = np.ones((2, channels * 4), dtype=np.float32)
        weights[0, ::2] = np.nan
        weights[1, :3] = np.inf, -np.inf, 1e-45
        assert colours_of(weights, (channels, 2, 2)).shape == (2, 2, 2, 3)
    ((row,),) = colours_of(np.array([[np.nan, 1.0, np.inf]]), (1, 1, 3))
    assert tuple(row[0]) == LIGHT_GREY
    assert tuple(row[1]) == tuple(row[2])


@given(st.floats(1e-6, 1e6))
def test_colours_do_not_depend_on_the_unit_of_the_weights_and_turn_with_their_signs(factor):
    weights = random_weights(3, (3, 2, 2), seed=1)
    colours = colours_of(weights, (3, 2, 2)).astype(int)
    assert np.abs(colours - colours_of(factor * weights, (3, 2, 2))).max() <= 1
    assert np.abs(colours + colours_of(-weights, (3, 2, 2)) - 255).max() <= 1


def test_weights_or_names_that_do_not_match_are_refused():
    for weights in (np.zeros((2, 11)), np.zeros(12), np.zeros((2, 3, 2, 2))):
        with pytest.raises(ValueError, match=r"weights must be \(k, d\).*image_shape=\(3, 2, 2\)"):
            weight_values(weights, (3, 2, 2))
    with pytest.raises(ValueError, match="10 classes need as many names, got 9"):
        weights_figure(np.zeros((10, 192)), NAMES[:9], (3, 8, 8), title="weights")


# The montage


@given(st.integers(1, 60), st.integers(1, 90), st.integers(1, 90))
def test_cells_lie_within_the_montage_and_apart(count, height, width):
    picture, cell, corners = _named_cells(("",) * count, height, width, "RGB")
    covered = np.zeros(picture.size[::-1], dtype=int)
    line = corners[0][1] - GAP
    assert line >= 16  # a name can be read
    for left, top in corners:
        assert left >= GAP
        assert left + cell[0] + GAP <= picture.width
        assert top + cell[1] + GAP <= picture.height
        covered[top - line : top + cell[1], left : left + cell[0]] += 1
    assert covered.max() == 1
    if max(height, width) <= 64:  # small images grow by whole numbers
        assert (cell[0] % width, cell[1] % height) == (0, 0)


def test_images_fill_a_square_as_large_as_can_be():
    for side in (8, 28, 32):
        picture, _, _ = _named_cells(("",) * 10, side, side, "RGB")
        assert 0.85 * SIDE < max(picture.size) <= SIDE
    for count in (100, 400):  # and may go beyond it, so that they are seen
        _, cell, _ = _named_cells(("",) * count, 32, 32, "RGB")
        assert cell[0] > 32
    _, cell, _ = _named_cells(("",), 2000, 1000, "RGB")
    assert cell == (128, 256)


def montage(values, names=NAMES, **options):
    options = {"limit": 1.0} | options
    return np.asarray(weights_montage(values, names[: len(values)], **options).convert("RGB"))


def test_images_stand_in_order_row_by_row():
    values = np.linspace(-1, 1, 10)[:, None, None, None] * np.ones((1, 4, 4, 3))
    picture = montage(values)
    _, _, corners = _named_cells(tuple(NAMES), 4, 4, "RGB")
    shades = [picture[top, left, 0] for left, top in corners]
    assert shades == sorted(set(shades))
    assert len({top for _, top in corners}) == 3


def test_the_name_is_written_dark_on_white_above_its_image_and_keeps_to_its_column():
    values = np.full((10, 4, 4, 3), 0.5)
    for name in ("cat", "W" * 100):
        names = [name, *[""] * 9]
        picture = montage(values, names)
        _, cell, corners = _named_cells(tuple(names), 4, 4, "RGB")
        (left, top), (beyond, _) = corners[:2]
        assert picture[:top, left : left + cell[0]].min() < 100
        assert picture[:top, beyond:].min() == 255


def test_a_picture_does_not_change_when_the_next_is_drawn():
    first = weights_montage(np.zeros((2, 4, 4)), ["a", "b"], limit=1.0)
    before = np.asarray(first)
    weights_montage(np.ones((2, 4, 4)), ["a", "b"], limit=1.0)
    np.testing.assert_array_equal(first, before)


def test_the_figure_shows_the_montage_pixel_by_pixel():
    weights = random_weights(10, (3, 32, 32))
    values = weight_values(weights, (3, 32, 32))
    wanted = montage(values, limit=colour_limit(values))
    figure = weights_figure(weights, NAMES, (3, 32, 32), title="weights")
    height, width = wanted.shape[:2]
    np.testing.assert_array_equal(figure[40 : 40 + height, :width], wanted)
    assert figure.shape == (40 + height + 28, width, 3)


def test_a_limit_that_is_given_decides_the_colours_and_is_told():
    weights = random_weights(10, (1, 8, 8))
    own, pale = (
        weights_figure(weights, NAMES, (1, 8, 8), title="t", limit=limit) for limit in (None, 9.0)
    )
    assert pale[90:150, 20:100].std() < own[90:150, 20:100].std()
    assert (pale[-28:] != own[-28:]).any()


def test_one_channel_has_a_colour_bar_that_is_symmetric_about_zero():
    weights = random_weights(10, (1, 8, 8))
    width, height = _named_cells(tuple(NAMES), 8, 8, "P")[0].size
    figure = weights_figure(weights, NAMES, (1, 8, 8), title="digits").astype(int)
    left, top, bottom = width + 16, 40 + 16, 40 + height - 16
    red, blue, middle = (figure[y, left] for y in (top, bottom - 1, (top + bottom) // 2))
    assert red[0] > red[2]
    assert blue[2] > blue[0]
    assert middle.max() - middle.min() < 8  # light grey
    written = np.flatnonzero((figure[40:-28, width + 24 :] < 128).any(axis=(1, 2)))
    lines = np.split(written, np.flatnonzero(np.diff(written) > 1) + 1)
    middles = [(line[0] + line[-1]) / 2 + 40 for line in lines]
    assert middles == pytest.approx([top, (top + bottom) / 2, bottom], abs=3)


def test_nothing_touches_the_edge():
    for classes, shape, title in (
        (1, (1, 1, 8), "one"),
        (2, (1, 8, 8), "a title that is far too long " * 5),
        (10, (3, 5, 7), r"$\frac{1$"),
    ):
        for scale in (1e-9, 1.0, 1e9):
            values = scale * random_weights(classes, shape)
            figure = weights_figure(values, [r"$\frac{1$"] * classes, shape, title=title)
            for edge in (figure[:2], figure[-2:], figure[:, :2], figure[:, -2:]):
                assert (edge == 255).all()

from __future__ import annotations

import itertools

import pytest

from sweep.figures.importance import importance_figure

SHARES = {"l2": 0.2, "learning_rate": 0.7, "batch_size": 0.1}
INTERVALS = {"l2": (0.05, 0.5), "learning_rate": (0.4, 0.9), "batch_size": (0.0, 0.3)}


def bars(figure):
    (axes,) = figure.axes
    names = [text.get_text() for text in axes.get_yticklabels()]
    return {name: bar.get_width() for name, bar in zip(names, axes.patches, strict=True)}


def lines(figure):
    """Return the lines within the axes and those beside it, as lists of (xs, ys)."""
    (axes,) = figure.axes
    within, beside = [], []
    for line in axes.lines:
        drawn = within if line.get_transform() == axes.transData else beside
        drawn.append((list(line.get_xdata()), list(line.get_ydata())))
    return within, beside


def test_each_parameter_has_a_bar_of_its_share():
    assert bars(importance_figure(SHARES, objective="val/accuracy")) == SHARES


def test_the_largest_share_is_on_top():
    drawn = bars(importance_figure(SHARES, objective="val/accuracy"))
    assert list(drawn) == ["batch_size", "l2", "learning_rate"]  # from below


def test_the_share_is_written_beside_its_bar(words):
    shown = words(importance_figure(SHARES, objective="val/accuracy"))
    assert {"0.10", "0.20", "0.70"} <= set(shown)


def test_an_interval_is_a_line_over_its_bar_and_is_written_beside_it(words):
    figure = importance_figure(SHARES, objective="val/accuracy", intervals=INTERVALS)
    within, _ = lines(figure)
    assert within == [([0.0, 0.3], [0, 0]), ([0.05, 0.5], [1, 1]), ([0.4, 0.9], [2, 2])]
    assert {"0.10  [0.00, 0.30]", "0.20  [0.05, 0.50]", "0.70  [0.40, 0.90]"} <= set(words(figure))


def test_the_caption_speaks_of_intervals_where_there_are_some(words):
    plain = words(importance_figure(SHARES, objective="val/accuracy"))
    full = words(importance_figure(SHARES, objective="val/accuracy", intervals=INTERVALS))
    assert "PED-ANOVA of the better half of the trials" in plain
    assert "PED-ANOVA of the better half of the trials, with 95 % intervals by bootstrap" in full


def test_trials_that_are_compared_early_are_said_to_be(words):
    figure = importance_figure(SHARES, objective="val/accuracy", epoch=2)
    assert "Importance for val/accuracy after epoch 2" in words(figure)


def test_every_interval_is_seen_whole():
    intervals = {"l2": (0.9, 1.0), "batch_size": (0.0, 0.2)}  # beyond its share, as may happen
    shares = {"l2": 0.8, "batch_size": 0.2}
    (axes,) = importance_figure(shares, objective="val/loss", intervals=intervals).axes
    low, high = axes.get_xlim()
    assert low == 0
    assert high > 1.0


def test_a_bracket_joins_neighbours_that_are_not_distinguishable(words):
    figure = importance_figure(
        SHARES, objective="val/accuracy", intervals=INTERVALS, alike=[("l2", "batch_size")]
    )
    _, ((xs, ys),) = lines(figure)
    assert xs == [1, 1]
    assert 0 < ys[0] < ys[1] < 1  # from the lowest line to the next
    assert words(figure).count("not distinguishable") == 1


@pytest.mark.parametrize("density", [1, 2])
def test_a_bracket_stands_to_the_right_of_the_numbers(density):
    figure = importance_figure(
        SHARES, objective="val/accuracy", intervals=INTERVALS, alike=[("l2", "batch_size")]
    )
    figure.set_dpi(density * figure.dpi)
    figure.canvas.draw()
    (axes,) = figure.axes
    numbers = max(t.get_window_extent().x1 for t in axes.texts if "[" in t.get_text())
    (bracket,) = (line for line in axes.lines if line.get_transform() != axes.transData)
    (words,) = (t for t in axes.texts if t.get_text() == "not distinguishable")
    assert numbers < bracket.get_window_extent().x0 < words.get_window_extent().x0


@pytest.mark.parametrize("alike", [[], [("learning_rate", "batch_size")], [("l2", "unknown")]])
def test_nothing_joins_what_are_no_neighbours(alike, words):
    figure = importance_figure(SHARES, objective="val/accuracy", alike=alike)
    assert "not distinguishable" not in words(figure)
    assert lines(figure) == ([], [])


def test_no_importances_leave_the_reason(words):
    figure = importance_figure({}, objective="val/accuracy", reason="4 complete trials, 5 needed")
    assert words(figure) == ["Importance for val/accuracy", "4 complete trials, 5 needed"]


def test_a_share_that_is_not_a_number_has_no_bar():
    figure = importance_figure(
        {"l2": float("nan"), "batch_size": 1.0}, objective="val/accuracy", intervals=INTERVALS
    )
    assert bars(figure) == {"batch_size": 1.0}
    assert lines(figure)[0] == [([0.0, 0.3], [0, 0])]


def test_shares_that_are_all_zero_are_drawn(fits):
    assert fits(importance_figure({"l2": 0.0, "batch_size": 0.0}, objective="val/accuracy"))


@pytest.mark.parametrize("name", [r"$\frac{1$", "a parameter with a name that is too long " * 3])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_nothing_is_clipped(name, count, fits):
    shares = {f"{i} {name}": 1 / (i + 1) for i in range(count)}
    names = list(shares)
    figure = importance_figure(
        shares,
        objective=name,
        intervals=dict.fromkeys(names, (0.0, 1.0)),
        alike=list(itertools.pairwise(names)),
        reason=name,
    )
    assert fits(figure)

from __future__ import annotations

import pytest

from sweep.figures.importance import importance_figure

SHARES = {"l2": 0.2, "learning_rate": 0.7, "batch_size": 0.1}


def bars(figure):
    (axes,) = figure.axes
    names = [text.get_text() for text in axes.get_yticklabels()]
    return {name: bar.get_width() for name, bar in zip(names, axes.patches, strict=True)}


def test_each_parameter_has_a_bar_of_its_share():
    assert bars(importance_figure(SHARES, objective="val/accuracy")) == SHARES


def test_the_largest_share_is_on_top():
    drawn = bars(importance_figure(SHARES, objective="val/accuracy"))
    assert list(drawn) == ["batch_size", "l2", "learning_rate"]  # from below


def test_the_share_is_written_beside_its_bar(words):
    shown = words(importance_figure(SHARES, objective="val/accuracy"))
    assert {"0.10", "0.20", "0.70"} <= set(shown)


def test_no_importances_leave_the_reason(words):
    figure = importance_figure({}, objective="val/accuracy", reason="4 complete trials, 5 needed")
    assert words(figure) == ["Importance for val/accuracy", "4 complete trials, 5 needed"]


def test_a_share_that_is_not_a_number_has_no_bar():
    figure = importance_figure({"l2": float("nan"), "batch_size": 1.0}, objective="val/accuracy")
    assert bars(figure) == {"batch_size": 1.0}


def test_shares_that_are_all_zero_are_drawn(fits):
    assert fits(importance_figure({"l2": 0.0, "batch_size": 0.0}, objective="val/accuracy"))


@pytest.mark.parametrize("name", [r"$\frac{1$", "a parameter with a name that is too long " * 3])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_nothing_is_clipped(name, count, fits):
    shares = {f"{i} {name}": 1 / (i + 1) for i in range(count)}
    assert fits(importance_figure(shares, objective=name, reason=name))

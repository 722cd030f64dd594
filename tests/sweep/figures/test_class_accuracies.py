from __future__ import annotations

import pytest

from sweep.figures.class_accuracies import MOST_CLASSES, class_accuracies_figure
from sweep.statistics.intervals import Share

SHARES = {
    "softmax": [Share.of(30, 40), Share.of(10, 50), None],
    "bce": [Share.of(20, 40), Share.of(12, 50), None],
}
NAMES = ("cat", "dog", "owl")


def dots(figure):
    """Each study's points (accuracy, line of the class), by its name in the legend."""
    (axes,) = figure.axes
    handles, names = axes.get_legend_handles_labels()
    return {
        name: [(x, round(y)) for x, y in handle.lines[0].get_xydata()]
        for name, handle in zip(names, handles, strict=True)
    }


def class_names(figure):
    return [text.get_text() for text in figure.axes[0].get_yticklabels()]


def test_each_study_has_a_dot_for_each_class_with_rows():
    figure = class_accuracies_figure(SHARES, NAMES)
    assert dots(figure) == {"softmax": [(0.75, 0), (0.2, 1)], "bce": [(0.5, 0), (0.24, 1)]}
    assert class_names(figure) == list(NAMES)


def test_the_bars_end_where_the_intervals_do():
    figure = class_accuracies_figure({"softmax": [Share.of(30, 40)]}, ["cat"])
    (bars,) = figure.axes[0].collections
    ((left, _), (right, _)) = bars.get_segments()[0]
    assert (left, right) == pytest.approx((Share.of(30, 40).low, Share.of(30, 40).high))


def test_the_first_class_is_on_top():
    bottom, top = class_accuracies_figure(SHARES, NAMES).axes[0].get_ylim()
    assert bottom > top


def test_of_too_many_classes_those_that_differ_most_are_shown(words):
    classes = MOST_CLASSES + 2
    same = [Share.of(1, 2)] * classes
    other = [Share.of(i not in (0, classes - 1), 1) for i in range(classes)]
    other[0] = other[-1] = Share.of(1, 2)
    figure = class_accuracies_figure(
        {"a": same, "b": other}, [f"class {i}" for i in range(classes)]
    )
    assert class_names(figure) == [f"class {i}" for i in range(1, classes - 1)]
    assert any(f"the {MOST_CLASSES} of {classes} classes" in text for text in words(figure))


@pytest.mark.parametrize("studies", [1, 2, 5])
@pytest.mark.parametrize("name", ["cat", r"$\frac{1$", "a class with a long name " * 4])
def test_nothing_is_clipped(studies, name, fits):
    shares = {f"{i} {name}": [Share.of(i, 9), None] for i in range(studies)}
    assert fits(class_accuracies_figure(shares, [name, "dog"]))

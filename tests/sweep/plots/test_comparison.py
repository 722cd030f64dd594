from __future__ import annotations

import numpy as np
import pytest

from sweep.plots import (
    best_of_figure,
    class_accuracies_figure,
    confusion_figure,
    truth_histograms_figure,
)
from sweep.plots.comparison import COLOURS, MARKS, MOST_CLASSES, MOST_NAMES, MOST_NUMBERS, looks
from sweep.statistics import Share, best_of, outputs_of
from sweep_model.losses import BCE, SOFTMAX

LONG = "a study with a name that is far too long " * 2
SHARES = {
    "softmax": [Share.of(30, 40), Share.of(10, 50), None],
    "bce": [Share.of(20, 40), Share.of(12, 50), None],
}
NAMES = ("cat", "dog", "owl")
COUNTS = [[8, 2, 0], [0, 5, 5], [0, 0, 0]]
VALUES = [i / 100 for i in range(11, 31)]


def tick_names(axis):
    return [text.get_text() for text in axis.get_ticklabels()]


def test_a_dozen_studies_are_told_apart_and_each_keeps_its_look_in_every_figure():
    dozen = looks(f"study {i}" for i in range(12))
    assert len(set(dozen.values())) == 12
    assert {look.colour for look in dozen.values()} == set(COLOURS)
    assert {look.mark for look in dozen.values()} == set(MARKS)
    assert looks(["a", "b"]) == {name: looks(["a", "b", "c"])[name] for name in ("a", "b")}


# Accuracy on each class


def test_each_study_has_a_dot_and_an_interval_for_each_class_with_rows():
    (axes,) = class_accuracies_figure(SHARES, NAMES).axes
    handles, names = axes.get_legend_handles_labels()
    dots = {
        name: [(x, round(y)) for x, y in handle.lines[0].get_xydata()]
        for name, handle in zip(names, handles, strict=True)
    }
    assert dots == {"softmax": [(0.75, 0), (0.2, 1)], "bce": [(0.5, 0), (0.24, 1)]}
    assert tick_names(axes.yaxis) == list(NAMES)
    bottom, top = axes.get_ylim()
    assert bottom > top  # the first class is on top
    ((left, _), (right, _)) = axes.collections[0].get_segments()[0]
    assert (left, right) == pytest.approx((Share.of(30, 40).low, Share.of(30, 40).high))


def test_of_too_many_classes_those_that_differ_most_are_shown(words):
    classes = MOST_CLASSES + 2
    same = [Share.of(1, 2)] * classes
    other = [Share.of(i not in (0, classes - 1), 1) for i in range(classes)]
    other[0] = other[-1] = Share.of(1, 2)
    names = [f"class {i}" for i in range(classes)]
    figure = class_accuracies_figure({"a": same, "b": other}, names)
    assert tick_names(figure.axes[0].yaxis) == names[1:-1]
    assert any(f"the {MOST_CLASSES} of {classes} classes" in text for text in words(figure))


# Confusion


def test_each_row_is_the_share_of_its_class_in_colour_and_in_percent():
    (axes, *_) = confusion_figure({"a": COUNTS, "b": COUNTS}, NAMES).axes
    (image,) = axes.get_images()
    shares = [[0.8, 0.2, 0], [0, 0.5, 0.5], [0, 0, 0]]
    np.testing.assert_allclose(np.asarray(image.get_array()), shares)
    percents = {text.get_position(): text.get_text() for text in axes.texts}
    assert percents == {(0, 0): "80", (1, 0): "20", (1, 1): "50", (2, 1): "50"}
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true class")
    assert tick_names(axes.xaxis) == tick_names(axes.yaxis) == list(NAMES)


def test_many_classes_have_no_numbers_and_not_every_name():
    classes = MOST_NAMES + 1
    figure = confusion_figure({"a": np.eye(classes).tolist()}, [f"c{i}" for i in range(classes)])
    assert not figure.axes[0].texts
    assert len(tick_names(figure.axes[0].yaxis)) <= MOST_NAMES


# How sure of the truth


@pytest.fixture(scope="module")
def outputs():
    rng = np.random.default_rng(3)
    scores, labels = 2 * rng.normal(size=(300, 3)), rng.integers(0, 3, 300)
    (softmax,) = outputs_of(scores, labels, SOFTMAX)
    sigmoid, normalised = outputs_of(scores, labels, BCE)
    return {"a": softmax, "b": sigmoid, "c": normalised, "d": softmax}


def test_each_panel_has_its_two_histograms_on_the_same_axes(outputs):
    figure = truth_histograms_figure(outputs)
    shown = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title(loc="left") for axes in shown] == list(outputs)
    for axes, each in zip(shown, outputs.values(), strict=True):
        filled, _, line = (stairs.get_data().values.tolist() for stairs in axes.patches)
        assert (filled, line) == (each.right, each.wrong)
        assert [text.get_text() for text in axes.get_legend().get_texts()] == [
            f"predicted rightly ({sum(each.right):,} rows)",
            f"predicted wrongly ({sum(each.wrong):,} rows)",
        ]
    assert len({(*axes.get_xlim(), *axes.get_ylim()) for axes in shown}) == 1


# The best of k


def curves(figure):
    return {line.get_label(): line.get_ydata().tolist() for line in figure.axes[0].lines}


def test_the_line_is_the_expected_best_over_a_logarithmic_axis_with_whole_ticks():
    curve = best_of(VALUES)
    figure = best_of_figure({"a": curve, "b": best_of([], without=3)}, objective="val/loss")
    assert curves(figure) == {"a": curve.expected}  # a study without a result is left out
    assert figure.axes[0].get_xscale() == "log"
    assert figure.axes[0].get_xticks().tolist() == [1, 2, 5, 10, 20]


def test_no_results_at_all_leave_the_reason_and_the_note_ends_the_caption(words):
    empty = best_of_figure({"a": best_of([])}, objective="val/accuracy")
    assert "no study has a complete trial that its sampler drew" in words(empty)
    figure = best_of_figure({"a": best_of(VALUES)}, objective="val/accuracy", note="a guide")
    assert any(text.endswith("; a guide") for text in words(figure))


# All of them


def test_nothing_is_clipped(outputs, fits):
    for name in ("cat", r"$\frac{1$", "a class with a long name " * 4):
        for studies in (1, 2, 5):
            shares = {f"{i} {name}": [Share.of(i, 9), None] for i in range(studies)}
            assert fits(class_accuracies_figure(shares, [name, "dog"]))
    squares = np.full((MOST_NUMBERS, MOST_NUMBERS), 3).tolist()
    for studies in (1, 2, 3):
        names = [f"{i} {LONG}" for i in range(MOST_NUMBERS)]
        assert fits(confusion_figure(dict.fromkeys(names[:studies], squares), names))
        titles = {f"{i} {LONG}": outputs["a"] for i in range(studies)}
        assert fits(truth_histograms_figure(titles))
    right = outputs_of(np.eye(2) * 50, np.array([0, 1]), BCE)
    assert fits(truth_histograms_figure({each.name: each for each in right}))
    for values in ([0.4], [0.4, 0.4], VALUES):
        many = {f"{i} {LONG}": best_of(values) for i in range(7)}
        assert fits(best_of_figure(many, objective="val/accuracy"))

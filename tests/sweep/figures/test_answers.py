"""The figures of what probabilities said: histograms and reliability diagrams."""

from __future__ import annotations

import numpy as np
import pytest

from sweep.figures.reliability import reliability_figure
from sweep.figures.truth_histograms import truth_histograms_figure
from sweep.statistics.outputs import outputs_of
from sweep_model.losses import BCE, SOFTMAX

LONG = "a study with a name that is far too long " * 2


@pytest.fixture(scope="module")
def outputs():
    rng = np.random.default_rng(3)
    scores, labels = 2 * rng.normal(size=(300, 3)), rng.integers(0, 3, 300)
    (softmax,) = outputs_of(scores, labels, SOFTMAX)
    sigmoid, normalised = outputs_of(scores, labels, BCE)
    return {"a": softmax, "b": sigmoid, "c": normalised}


def test_each_panel_has_its_two_histograms(outputs):
    figure = truth_histograms_figure(outputs)
    for axes, each in zip(figure.axes, outputs.values(), strict=True):
        filled, _, line = (stairs.get_data().values.tolist() for stairs in axes.patches)
        assert (filled, line) == (each.right, each.wrong)


def test_how_many_rows_are_right_and_wrong_stands_in_the_legend(outputs):
    legend = truth_histograms_figure(outputs).axes[0].get_legend()
    right, wrong = sum(outputs["a"].right), sum(outputs["a"].wrong)
    assert [text.get_text() for text in legend.get_texts()] == [
        f"predicted rightly ({right:,} rows)",
        f"predicted wrongly ({wrong:,} rows)",
    ]


def test_all_histograms_share_their_axes(outputs):
    limits = {
        (*axes.get_xlim(), *axes.get_ylim()) for axes in truth_histograms_figure(outputs).axes
    }
    assert len(limits) == 1


def test_each_bin_with_rows_has_a_dot_at_confidence_and_accuracy(outputs):
    figure = reliability_figure(outputs)
    for axes, each in zip(figure.axes, outputs.values(), strict=True):
        (dots,) = axes.collections
        known = [
            (x, y)
            for x, y in zip(each.confidence, each.accuracy, strict=True)
            if x is not None and y is not None
        ]
        np.testing.assert_allclose(dots.get_offsets(), known)


def test_the_calibration_error_stands_under_the_title_of_each_panel(outputs):
    figure = reliability_figure(outputs)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        f"{title}\nECE {each.calibration_error:.3f}" for title, each in outputs.items()
    ]


def test_the_strip_shows_how_many_rows_each_bin_has(outputs):
    (strip,) = reliability_figure({"a": outputs["a"]}).axes[0].patches
    heights, counts = strip.get_data().values, np.array(outputs["a"].counts)
    np.testing.assert_allclose(heights / heights.max(), counts / counts.max())


@pytest.mark.parametrize("draw", [truth_histograms_figure, reliability_figure])
@pytest.mark.parametrize("count", [1, 3])
def test_nothing_is_clipped(draw, count, outputs, fits):
    assert fits(draw({f"{i} {LONG}": outputs["a"] for i in range(count)}))


@pytest.mark.parametrize("draw", [truth_histograms_figure, reliability_figure])
def test_rows_that_are_all_right_are_drawn(draw, fits):
    found = outputs_of(np.eye(2) * 50, np.array([0, 1]), BCE)
    assert fits(draw({each.name: each for each in found}))

from __future__ import annotations

import numpy as np
import pytest

from sweep.figures.best_of import best_of_figure
from sweep.statistics.best_of import best_of

VALUES = [i / 100 for i in range(11, 31)]
LONG = "a study with a name that is far too long " * 2


def draw(curves, **options):
    return best_of_figure(curves, **{"objective": "val/accuracy", "maximise": True} | options)


def line(figure, name):
    (found,) = (each for each in figure.axes[0].lines if each.get_label() == name)
    return found.get_ydata()


def test_the_line_is_the_median_and_the_legend_says_of_how_many():
    curve = best_of(VALUES)
    np.testing.assert_array_equal(line(draw({"a": curve}), "a (20 drawn)"), curve.median)


def test_a_median_that_is_no_value_leaves_a_gap():
    curve = best_of(VALUES[:4], without=4)
    assert np.isnan(line(draw({"a": curve}), "a (8 drawn)")[0])


def test_the_band_is_open_towards_what_is_not_bounded():
    curve = best_of(VALUES)
    figure = draw({"a": curve})
    low, high = figure.axes[0].get_ylim()
    heights = figure.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    assert curve.best[-1] is None
    assert heights.max() == pytest.approx(high)
    assert low < min(curve.expected) < max(curve.expected) < high


def test_a_loss_is_unbounded_towards_less():
    figure = draw({"a": best_of(VALUES, direction="minimize")}, maximise=False)
    heights = figure.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    assert heights.min() == pytest.approx(figure.axes[0].get_ylim()[0])


def test_trials_stand_on_a_logarithmic_axis_with_whole_ticks():
    (axes,) = draw({"a": best_of(VALUES)}).axes
    assert axes.get_xscale() == "log"
    assert axes.get_xticks().tolist() == [1, 2, 5, 10, 20]


def test_a_study_without_a_result_is_left_out():
    figure = draw({"a": best_of([], without=3), "b": best_of(VALUES)})
    legend = figure.axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["b (20 drawn)"]


def test_no_results_at_all_leave_the_reason(words):
    shown = words(draw({"a": best_of([])}))
    assert "no study has a complete trial that its sampler drew" in shown


def test_the_note_ends_the_caption(words):
    assert any(
        text.endswith("; a guide") for text in words(draw({"a": best_of(VALUES)}, note="a guide"))
    )


@pytest.mark.parametrize("values", [[0.4], [0.4, 0.4], VALUES])
@pytest.mark.parametrize("studies", [1, 2, 7])
def test_nothing_is_clipped(values, studies, fits):
    curves = {f"{i} {LONG}": best_of(values) for i in range(studies)}
    assert fits(draw(curves, objective=LONG))

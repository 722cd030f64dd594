from __future__ import annotations

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest

from sweep.figures.curves import curves_figure
from sweep.figures.importance import importance_figure
from sweep.figures.style import FAMILIES, drawn, dress, new_figure, result_colours

DRAW_ALL = """
import sys
import numpy as np
from optuna.distributions import FloatDistribution
from optuna.trial import create_trial
from sweep import figures

weights, names, shape = np.ones((2, 12)), ["cat", "dog"], (3, 2, 2)
trials = [
    create_trial(value=v, params={"l2": v}, distributions={"l2": FloatDistribution(0.0, 1.0)})
    for v in (0.1, 0.2)
]
study = {"direction": "maximize", "objective": "accuracy"}
figures.weights_montage(weights, names, shape)
figures.curves_figure({"val/loss": [1.0]}, title="curves")
figures.weights_figure(weights, names, shape, title="weights")
for figure in (
    figures.importance_figure({"l2": 1.0}, objective="accuracy"),
    figures.history_figure(trials, **study),
    figures.parallel_figure(trials, **study),
    figures.slice_figure(trials, **study),
):
    figure.canvas.draw()
assert "matplotlib.pyplot" not in sys.modules
print("drawn")
"""


@pytest.mark.slow
def test_drawing_every_figure_never_imports_pyplot():
    run = subprocess.run(
        [sys.executable, "-c", DRAW_ALL], capture_output=True, text=True, check=False
    )
    assert (run.stdout, run.returncode) == ("drawn\n", 0), run.stderr


@pytest.mark.parametrize("width", [57, 700, 848, 900])
def test_a_figure_has_exactly_the_pixels_asked_for(pixels, width):
    assert pixels(new_figure(width, 114)).shape == (114, width, 4)


def test_what_is_drawn_stays_when_the_figure_changes():
    figure = new_figure(60, 40)
    white = drawn(figure)
    figure.set_facecolor("black")
    assert (white.shape, white.dtype) == ((40, 60, 3), np.uint8)
    assert (white == 255).all()
    assert (drawn(figure) == 0).all()


def drawings(pixels):
    """One figure that is drawn on again and again, one that is new each time."""
    curves = {"train/loss": [2.0, 1.5], "val/accuracy": [0.3, 0.4]}
    return (
        curves_figure(curves, title="curves"),
        pixels(importance_figure({"l2": 0.7, "epochs": 0.3}, objective="val/loss")),
    )


def test_the_users_own_matplotlib_settings_change_no_pixel(pixels):
    ours = drawings(pixels)
    taste = {
        "axes.facecolor": "black",
        "axes.grid": False,
        "font.size": 20,
        "lines.linewidth": 9,
        "path.simplify": False,
        "text.color": "white",
        "xtick.color": "red",
        "xtick.direction": "in",
        "ytick.labelsize": 20,
    }
    with mpl.rc_context(taste):
        theirs = drawings(pixels)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


def test_drawing_leaves_the_users_own_matplotlib_settings_as_they_were(pixels):
    with mpl.rc_context({"font.size": 20}):
        drawings(pixels)
        assert mpl.rcParams["font.size"] == 20


def test_dressed_axes_have_no_frame_above_and_to_the_right():
    axes = new_figure(200, 200).subplots()
    dress(axes)
    assert [side for side, spine in axes.spines.items() if spine.get_visible()] == [
        "left",
        "bottom",
    ]


def test_the_best_result_is_the_darkest_and_the_worst_is_not_lost_on_white():
    for family in range(len(FAMILIES)):
        shades = [sum(mpl.colors.to_rgb(shade)) for shade in result_colours(5, family=family)]
        assert shades == sorted(shades)
        assert shades[-1] < 2.4


def test_families_of_results_have_different_hues_and_take_turns():
    best = [result_colours(3, family=turn)[0] for turn in range(len(FAMILIES) + 1)]
    assert len(set(best)) == len(FAMILIES)
    assert best[-1] == best[0]


def test_no_results_have_no_colours():
    assert result_colours(0) == []

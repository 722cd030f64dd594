from __future__ import annotations

import subprocess
import sys
import unicodedata

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sweep.plots import curves_figure, importance_figure, result_colours
from sweep.plots.style import (
    FAMILIES,
    INK,
    dress,
    headline,
    label,
    new_figure,
    pixels_of,
    say_instead,
    styled,
    with_unit,
    write,
)

DRAW = """
import sys
import numpy as np
from optuna.distributions import FloatDistribution
from optuna.trial import create_trial
from sweep import plots

trials = [
    create_trial(value=v, params={"l2": v}, distributions={"l2": FloatDistribution(0.0, 1.0)})
    for v in (0.1, 0.2)
]
study = {"direction": "maximize", "objective": "accuracy"}
plots.curves_figure({"val/loss": [1.0]}, title="curves")
plots.weights_figure(np.ones((2, 12)), ["cat", "dog"], (3, 2, 2), title="weights")
plots.slice_figure(trials, **study).canvas.draw()
plots.best_of_figure({}, objective="accuracy").canvas.draw()
assert "matplotlib.pyplot" not in sys.modules
print("drawn")
"""


@pytest.mark.slow
def test_drawing_never_imports_pyplot():
    run = subprocess.run([sys.executable, "-c", DRAW], capture_output=True, text=True, check=False)
    assert (run.stdout, run.returncode) == ("drawn\n", 0), run.stderr


def test_what_is_drawn_has_the_pixels_asked_for_and_stays_when_the_figure_changes():
    figure = new_figure(57, 40)
    white = pixels_of(figure)
    figure.set_facecolor("black")
    assert (white.shape, white.dtype) == ((40, 57, 3), np.uint8)
    assert (white == 255).all()
    assert (pixels_of(figure) == 0).all()


def test_the_users_own_matplotlib_settings_change_no_pixel_and_are_left_as_they_were():
    def drawings():
        """One figure that is drawn on again and again, one that is new each time."""
        curves = {"train/loss": [2.0, 1.5], "val/accuracy": [0.3, 0.4]}
        bars = importance_figure({"l2": 0.7, "epochs": 0.3}, objective="val/loss")
        return curves_figure(curves, title="curves"), pixels_of(bars)

    ours = drawings()
    taste = {
        "axes.facecolor": "black",
        "axes.grid": False,
        "font.size": 20,
        "lines.linewidth": 9,
        "path.simplify": False,
        "text.color": "white",
        "xtick.direction": "in",
        "ytick.labelsize": 20,
    }
    with mpl.rc_context(taste):
        theirs = drawings()
        assert mpl.rcParams["font.size"] == 20
    for our, their in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(our, their)


def test_dressed_axes_have_no_frame_above_and_to_the_right():
    axes = new_figure(200, 200).subplots()
    dress(axes)
    visible = [side for side, spine in axes.spines.items() if spine.get_visible()]
    assert visible == ["left", "bottom"]


def test_the_best_result_is_the_darkest_and_the_worst_is_not_lost_on_white():
    for family in range(len(FAMILIES)):
        shades = [sum(mpl.colors.to_rgb(shade)) for shade in result_colours(5, family=family)]
        assert shades == sorted(shades)
        assert shades[-1] < 2.4
    assert result_colours(0) == []


def test_families_of_results_have_different_hues_and_take_turns():
    best = [result_colours(3, family=turn)[0] for turn in range(len(FAMILIES) + 1)]
    assert len(set(best)) == len(FAMILIES)
    assert best[-1] == best[0]


def test_a_label_is_one_short_line_that_the_font_can_draw():
    for text, line in (
        ("two\nlines\tand \x07bell \u202eturned", "two lines and bell turned"),
        ("x" * 80, "x" * 80),
        ("x" * 81, "x" * 79 + "\N{HORIZONTAL ELLIPSIS}"),
        ("\N{GREEK SMALL LETTER LAMDA} \U0001f680", "\N{GREEK SMALL LETTER LAMDA} ?"),
        (25, "25"),
        (None, "None"),
    ):
        assert label(text) == line
    assert label("a long name", 6) == "a lon\N{HORIZONTAL ELLIPSIS}"


@given(st.text())
def test_every_label_is_short_and_drawable(text):
    line = label(text)
    assert len(line) <= 80
    assert not any(unicodedata.category(sign).startswith("C") for sign in line)


def test_a_metric_is_named_with_its_unit_where_that_is_known():
    assert with_unit("val/accuracy") == "val/accuracy (fraction of rows)"
    assert with_unit("val/loss") == "val/loss (nats)"
    assert with_unit("trial") == "trial"


def test_a_name_that_looks_like_mathematics_is_drawn_as_it_is():
    @styled
    def figure(name):
        figure = new_figure(400, 200)
        headline(figure, name, label(name))
        say_instead(figure.subplots(), label(name))
        return figure

    for name in (r"$\frac{1$", "$$", "a_b^{", "100 %", "\\", "$x$ and $"):
        assert (pixels_of(figure(name)) < 128).any()


def ink(text, **look):
    """Return the rows and the columns of a picture on which `text` is written at (20, 30)."""
    picture = Image.new("RGB", (200, 40), "white")
    write(picture, 20, 30, text, **{"room": 150} | look)
    dark = (np.asarray(picture) < 255).any(axis=-1)
    return np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))


def test_written_words_begin_at_their_x_and_stand_on_their_baseline_or_about_their_middle():
    rows, columns = ink("HHHH")
    assert rows.max() == 29
    assert columns.min() == pytest.approx(20, abs=2)
    rows, _ = ink("HHHH", anchor="lm")
    assert (rows.min() + rows.max()) / 2 == pytest.approx(29.5, abs=1.5)


def test_written_words_keep_to_their_room():
    _, columns = ink("a rather long name of a class", room=60)
    assert 60 < columns.max() <= 80
    _, columns = ink("wide", room=0)
    assert len(columns)  # the first character stays


def test_bold_and_large_words_are_wider():
    widths = [len(ink("words", **look)[1]) for look in ({}, {"bold": True}, {"size": 20.0})]
    assert widths == sorted(set(widths))


def test_words_are_written_in_ink_over_what_is_there():
    picture = Image.new("RGB", (100, 40), (200, 200, 200))
    write(picture, 10, 30, "HHHH", room=90, size=20)
    assert picture.getextrema() == ((int(INK[1:3], 16), 200),) * 3

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sweep.figures.lettering import (
    fit,
    fit_ticks,
    headline,
    label,
    say_instead,
    shortened,
    with_unit,
    write,
)
from sweep.figures.style import INK, new_figure, styled


def test_a_label_is_one_line_without_control_characters():
    assert label("two\nlines\tand \x07bell \u202eturned") == "two lines and bell turned"


def test_a_label_of_81_characters_is_cut_at_80():
    assert label("x" * 80) == "x" * 80
    assert label("x" * 81) == "x" * 79 + "\N{HORIZONTAL ELLIPSIS}"


def test_a_character_that_the_font_lacks_becomes_a_question_mark():
    assert label("\N{GREEK SMALL LETTER LAMDA} \U0001f680") == "\N{GREEK SMALL LETTER LAMDA} ?"


def test_a_label_may_be_of_anything():
    assert [label(thing) for thing in (25, None, True, 0.5)] == ["25", "None", "True", "0.5"]


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("val/accuracy", "val/accuracy (fraction of rows)"),
        ("val/loss", "val/loss (nats)"),
        ("trial", "trial"),
    ],
)
def test_a_metric_is_told_with_its_unit_where_that_is_known(metric, words):
    assert with_unit(metric) == words


@given(st.text())
def test_every_label_is_short_and_drawable(text):
    drawn = label(text)
    assert len(drawn) <= 80
    assert not any(unicodedata.category(sign).startswith("C") for sign in drawn)


@pytest.mark.parametrize("name", [r"$\frac{1$", "$$", "a_b^{", "100 %", "\\", "$x$ and $"])
def test_a_name_that_looks_like_mathematics_is_drawn_as_it_stands(name, pixels):
    @styled
    def figure():
        made = new_figure(400, 200)
        headline(made, name, label(name))
        say_instead(made.subplots(), label(name))
        return made

    assert (pixels(figure())[..., :3] < 128).any()


@pytest.mark.parametrize("width", [30, 60, 150])
def test_a_fitted_text_is_at_most_as_wide_as_asked(width):
    text = new_figure(400, 100).text(0, 0, "a rather long name of a class")
    fit(text, width)
    assert text.get_window_extent().width <= width
    assert text.get_text().endswith("\N{HORIZONTAL ELLIPSIS}")


def test_an_upright_text_is_fitted_by_its_height():
    text = new_figure(400, 400).text(0, 0, "a rather long name of a class", rotation=90)
    fit(text, 100)
    assert 80 < text.get_window_extent().height <= 100


def test_a_text_that_fits_already_is_left_alone():
    text = new_figure(400, 100).text(0, 0, "cat")
    fit(text, 100)
    assert text.get_text() == "cat"


def test_fitting_ends_even_where_no_text_could_fit():
    text = new_figure(400, 100).text(0, 0, "wide")
    fit(text, 0)
    assert text.get_text() == "w\N{HORIZONTAL ELLIPSIS}"


def test_fitted_tick_labels_are_still_short_when_they_are_drawn():
    figure = new_figure(400, 100)
    axes = figure.subplots()
    axes.set_xticks([0, 1], ["a rather long name", "b"])
    fit_ticks(axes.xaxis, 60)
    figure.canvas.draw()
    long, short = axes.get_xticklabels()
    assert long.get_window_extent().width <= 60
    assert (long.get_text()[0], short.get_text()) == ("a", "b")


@pytest.mark.parametrize("length", [3, 10, 29])
def test_a_shortened_text_is_at_most_as_long_as_asked(length):
    text = shortened("a rather long name of a class", length, len)
    assert len(text) <= length
    assert text.endswith("\N{HORIZONTAL ELLIPSIS}") == (length < 29)


def ink(text, **look):
    """Return the rows and the columns of a picture on which `text` is written at (20, 30)."""
    picture = Image.new("RGB", (200, 40), "white")
    write(picture, 20, 30, text, **{"room": 150} | look)
    dark = (np.asarray(picture) < 255).any(axis=-1)
    return np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))


def test_written_words_begin_at_their_place_and_stand_on_their_baseline():
    rows, columns = ink("HHHH")
    assert rows.max() == 29
    assert columns.min() == pytest.approx(20, abs=2)


def test_words_anchored_by_their_middle_lie_about_it():
    rows, _ = ink("HHHH", anchor="lm")
    assert (rows.min() + rows.max()) / 2 == pytest.approx(29.5, abs=1.5)


def test_written_words_keep_to_their_room():
    _, columns = ink("a rather long name of a class", room=60)
    assert 60 < columns.max() <= 80


def test_bold_and_large_words_are_wider():
    widths = [len(ink("words", **look)[1]) for look in ({}, {"bold": True}, {"size": 20.0})]
    assert widths == sorted(set(widths))


def test_words_are_written_in_ink_over_what_is_there():
    picture = Image.new("RGB", (100, 40), (200, 200, 200))
    write(picture, 10, 30, "HHHH", room=90, size=20)
    assert picture.getextrema() == ((int(INK[1:3], 16), 200),) * 3

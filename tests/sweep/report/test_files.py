import io
import re

import numpy as np
import pytest
from PIL import Image

from sweep.figures.style import new_figure, styled
from sweep.report.files import picture

WORDS = {"name": "figure", "caption": "How to read it.", "alt": "What it shows."}


@styled
def line_figure():
    figure = new_figure(300, 200)
    figure.subplots().plot([0, 1], [0, 1])
    return figure


@styled
def crowd_figure():
    figure = new_figure(300, 200)
    draws = np.random.default_rng(3).normal(size=(2, 4000))
    figure.subplots().scatter(*draws, s=1)
    return figure


def test_pixels_come_back_as_they_were(rng):
    pixels = rng.integers(0, 256, size=(20, 30, 3), dtype=np.uint8)
    shown = picture(pixels, **WORDS)
    assert (shown.kind, shown.width, shown.height) == ("png", 30, 20)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(shown.content))), pixels)


def test_a_bitmap_is_twice_as_dense_as_the_page():
    shown = picture(crowd_figure(), **WORDS)
    assert (shown.kind, shown.width, shown.height) == ("png", 300, 200)
    assert Image.open(io.BytesIO(shown.content)).size == (600, 400)


def test_a_palette_moves_no_colour_far():
    figure = crowd_figure()
    shown = Image.open(io.BytesIO(picture(figure, **WORDS).content)).convert("RGB")
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=200)
    exact = Image.open(file).convert("RGB")
    apart = np.abs(np.asarray(shown, dtype=int) - np.asarray(exact, dtype=int))
    assert apart.mean() < 1
    assert apart.max() < 32


@pytest.fixture
def vectors(monkeypatch):
    """Return the picture of a figure whose bitmap is out of the question."""
    monkeypatch.setattr("sweep.report.files._bitmap", lambda _: b"x" * 10**6)
    return picture(line_figure(), **WORDS)


def test_of_a_bitmap_and_vectors_the_smaller_is_taken(vectors):
    assert vectors.kind == "svg"
    assert len(vectors.content) < 10**6


def test_vectors_name_no_address_but_those_of_their_own_language(vectors):
    text = vectors.content.decode()
    assert text.startswith("<svg ")
    assert set(re.findall(r"https?://[^\"'<> ]+", text)) == {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert "<script" not in text


def test_vectors_carry_their_letters_as_shapes(vectors):
    assert b"<text" not in vectors.content


def test_a_figure_is_the_same_file_every_time(vectors):
    assert picture(line_figure(), **WORDS) == vectors


def test_a_file_can_travel_within_a_page(rng):
    shown = picture(rng.integers(0, 256, size=(2, 2, 3), dtype=np.uint8), **WORDS)
    assert shown.data_uri.startswith("data:image/png;base64,iVBORw0KGgo")
    assert shown.file_name == "figure.png"

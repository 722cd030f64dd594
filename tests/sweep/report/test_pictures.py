import io
import math
import re

import numpy as np
import pytest
from PIL import Image

from sweep.analysis.confirmation import BASELINE, Confirmation, Confirmed
from sweep.analysis.importance import Importance, Importances
from sweep.comparison import comparison_figures
from sweep.figures.style import new_figure, styled
from sweep.report.pictures import (
    COMPARISON_CAPTIONS,
    OVERVIEW_CAPTIONS,
    _bitmap,
    _vectors,
    comparison_pictures,
    picture,
    study_pictures,
)
from sweep.search.record import CONFIRMATION

NONE = Importances(ranked=[], alike=[], reason="too few trials")
SOME = Importances(
    ranked=[
        Importance(name="l2", share=0.6, low=0.4, high=0.8),
        Importance(name="learning_rate", share=0.4, low=0.2, high=0.6),
    ],
    alike=[],
)


class NoStore:
    """A tracker of a store that has no runs."""

    def runs(self, **_):
        return []


@pytest.fixture
def searched(make_study, make_config, make_trial):
    """Return a study of two complete trials and one that was pruned, on record."""
    trials = [
        make_trial(0, [0.5, 0.6]),
        make_trial(1, [0.5, 0.8], params={"l2": 0.01}),
        make_trial(2, [0.4], params={"l2": 0.1}, status="pruned"),
    ]
    return make_study(make_config(epochs=2), trials)


def test_a_study_without_trials_has_no_pictures(make_study):
    assert study_pictures(make_study(), NoStore(), NONE) == []


def test_the_search_and_the_selected_trial_are_drawn_each_with_a_caption(searched):
    shown = {
        each.name.removeprefix("tiny-softmax-"): each
        for each in study_pictures(searched, NoStore(), SOME)
    }
    overview = {name.replace("_", "-") for name in OVERVIEW_CAPTIONS}
    assert set(shown) == overview | {"curves"}
    assert shown["history"].alt == (
        "tiny-softmax, 3 finished trials: the selected trial 1 has the validation accuracy 80.0 %."
    )
    assert shown["importance"].alt == (
        "Importance of the hyperparameters in tiny-softmax: l2 60 % and learning rate 40 %."
    )
    assert "after epoch 1" in shown["slice"].caption


def test_the_top_trials_on_fresh_seeds_are_drawn_with_the_winner_in_words(searched):
    confirmation = Confirmation(
        metric="val/accuracy",
        direction="maximize",
        epochs=2,
        seeds=[1, 2],
        finished=3,
        trials=[
            Confirmed(trial=2, search=math.nan, values=[0.79, 0.81]),
            Confirmed(trial=1, search=0.8, values=[0.7, 0.7]),
        ],
        baseline=Confirmed(trial=BASELINE, search=math.nan, values=[0.5, 0.5]),
    )
    searched.set_attribute(CONFIRMATION, confirmation.record())
    shown = {each.name: each for each in study_pictures(searched, NoStore(), NONE)}
    assert shown["tiny-softmax-confirmation"].alt == (
        "2 settings of tiny-softmax on fresh seeds: trial 2 has the best mean, 80.00 ± 1.00 %."
    )
    assert "the selected trial 2 was pruned at epoch 1" in shown["tiny-softmax-history"].alt
    assert "tiny-softmax-importance" not in shown  # it cannot be told


def test_a_comparison_has_its_figures_and_its_sentence_in_each(comparison):
    shown = comparison_pictures(comparison)
    assert [each.name for each in shown] == [
        f"comparison-{name.replace('_', '-')}" for name in comparison_figures(comparison)
    ]
    assert len(shown) == len(COMPARISON_CAPTIONS)
    assert all(each.alt.endswith(comparison.sentence) for each in shown)


WORDS = {"name": "figure", "caption": "How to read it.", "alt": "What it shows."}


@styled
def line_figure():
    figure = new_figure(300, 200)
    figure.subplots().plot([0, 1], [0, 1])
    return figure


@styled
def lettered_figure():
    figure = new_figure(1200, 900)
    figure.text(0.5, 0.5, "a")
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


def test_of_a_bitmap_and_vectors_the_smaller_is_taken():
    kinds = set()
    for figure in (line_figure(), crowd_figure(), lettered_figure()):
        shown = picture(figure, **WORDS)
        sizes = {"png": len(_bitmap(figure)), "svg": len(_vectors(figure))}
        assert len(shown.content) == min(sizes.values())
        assert shown.kind == min(sizes, key=sizes.__getitem__)
        kinds.add(shown.kind)
    assert kinds == {"png", "svg"}


@pytest.fixture(scope="module")
def vectors():
    return _vectors(lettered_figure())


def test_vectors_name_no_address_but_those_of_their_own_language(vectors):
    text = vectors.decode()
    assert text.startswith("<svg ")
    assert set(re.findall(r"https?://[^\"'<> ]+", text)) == {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert "<script" not in text


def test_vectors_carry_their_letters_as_shapes(vectors):
    assert b"<text" not in vectors


def test_a_figure_is_the_same_file_every_time(vectors):
    assert _vectors(lettered_figure()) == vectors


def test_a_file_can_travel_within_a_page(rng):
    shown = picture(rng.integers(0, 256, size=(2, 2, 3), dtype=np.uint8), **WORDS)
    assert shown.data_uri.startswith("data:image/png;base64,iVBORw0KGgo")
    assert shown.file_name == "figure.png"

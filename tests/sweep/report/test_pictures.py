import pytest

from sweep.comparison.figures import FIGURES
from sweep.report import pictures
from sweep.report.pictures import COMPARISON_CAPTIONS, OVERVIEW_CAPTIONS, study_pictures
from sweep.study.importance import Importances
from sweep.study.passes import Budget
from sweep.study.study_run import OVERVIEW

NONE = Importances(ranked=[], alike=[], reason="too few trials")


def test_every_figure_of_a_study_and_of_a_comparison_has_a_caption():
    assert OVERVIEW_CAPTIONS.keys() == OVERVIEW.keys()
    assert COMPARISON_CAPTIONS.keys() == FIGURES.keys()


@pytest.fixture
def loop(tiny_study, no_figures):
    del no_figures
    return tiny_study()


def test_a_study_without_trials_has_no_pictures(loop):
    assert study_pictures(loop.study, loop.tracker, NONE) == []


def test_the_trials_and_the_chosen_one_are_drawn(loop):
    loop.run(Budget(2))
    found = study_pictures(loop.study, loop.tracker, NONE)
    assert [each.name for each in found] == [
        *("tiny-softmax-history", "tiny-softmax-parallel-coordinates", "tiny-softmax-slice"),
        "tiny-softmax-curves",
    ]
    best = max(loop.study.trials(), key=lambda trial: trial.value)
    assert found[0].alt == (
        f"tiny-softmax, 2 finished trials: the chosen trial {best.number} has the validation "
        f"accuracy {100 * best.value:.1f} %."
    )


def test_importances_are_drawn_with_their_shares_in_words(loop, study):
    shown = pictures.importance_picture(loop.study, study.importances)
    assert shown.name == "tiny-softmax-importance"
    assert shown.alt == (
        "Importance of the hyperparameters in tiny-softmax: l2 60 % and learning rate 40 %."
    )


def test_the_top_trials_on_fresh_seeds_are_drawn_with_the_winner_in_words(
    loop, confirmation, monkeypatch
):
    loop.run(Budget(1))
    monkeypatch.setattr(pictures, "confirmation_of", lambda _: confirmation)
    monkeypatch.setattr(pictures, "overview_pictures", lambda _: [])
    shown, _ = study_pictures(loop.study, loop.tracker, NONE)
    assert shown.name == "tiny-softmax-confirmation"
    assert shown.alt == (
        "2 settings of tiny-softmax on fresh seeds: trial 2 has the best mean, 88.80 ± 0.37 %."
    )


def test_a_comparison_has_its_figures_and_its_sentence_in_each(comparison, monkeypatch, rng):
    drawn = rng.integers(0, 256, size=(4, 4, 3)).astype("uint8")
    monkeypatch.setattr(pictures, "FIGURES", {"best_of": lambda _: drawn})
    (shown,) = pictures.comparison_pictures(comparison)
    assert shown.name == "comparison-best-of"
    assert shown.alt.endswith(comparison.sentence)

from dataclasses import replace
from math import nan
from types import SimpleNamespace

import pytest
from optuna.trial import TrialState, create_trial

from sweep.comparison.checks import cautions, check_comparable
from sweep.errors import SweepError
from sweep.statistics.share import Share


@pytest.fixture
def study(make_settings):
    """Return a function that makes a study of some settings with so many finished trials."""

    def make(name, trials=0, **changes):
        settings = make_settings(study=name, **changes)
        done = [create_trial(state=TrialState.COMPLETE, value=0.5) for _ in range(trials)]
        return SimpleNamespace(name=name, settings=settings, trials=lambda: done)

    return make


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    """Let edges and confirmations have nothing to say unless a test lets them."""
    monkeypatch.setattr("sweep.comparison.checks.edges_of", lambda *_: [])
    monkeypatch.setattr("sweep.comparison.checks.confirmation_of", lambda _: None)
    monkeypatch.setattr("sweep.comparison.checks.find_chosen", lambda _: None)


def answers(*seeds, right=(700, 700)):
    return [
        SimpleNamespace(study=name, seeds=each, test=Share.of(count, 1000))
        for name, each, count in zip("ab", seeds, right, strict=True)
    ]


def test_studies_that_differ_in_all_but_their_rows_may_be_compared(study):
    check_comparable([study("a"), study("b", loss="bce", epochs=9, seed=4, objective="val-loss")])


@pytest.mark.parametrize("names", [["a"], ["a", "a"], ["a", "b", "a"]])
def test_it_takes_two_different_studies(study, names):
    with pytest.raises(SweepError, match=f"two or more different studies: got {', '.join(names)};"):
        check_comparable([study(name) for name in names])


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"data_digest": "e" * 64}, "data digest dddddddddddd -> eeeeeeeeeeee"),
        ({"split_digest": "6" * 64}, "split digest 555555555555 -> 666666666666"),
        ({"name": "huge"}, "name tiny -> huge"),
    ],
)
def test_studies_of_different_rows_are_refused_with_what_differs(study, changes, difference):
    one = study("a")
    other = study("c", loss="bce", data=replace(one.settings.data, **changes))
    with pytest.raises(SweepError) as refused:
        check_comparable([one, study("b"), other])
    assert str(refused.value) == (
        f"studies 'a' and 'c' are of different rows (a -> c): {difference}; "
        "compare studies of the same data and split"
    )


def test_the_same_rows_in_another_folder_are_the_same(study):
    one = study("a")
    moved = replace(one.settings.data, source="/elsewhere/tiny.npz", directory="/elsewhere")
    check_comparable([one, study("b", data=moved)])


def test_equal_searches_of_confirmed_settings_need_no_caution(study):
    studies = [study("a", 3), study("b", 3, loss="bce", seed=7)]
    assert cautions(studies, answers(10, 10)) == []


def test_searches_that_differ_are_told(study):
    studies = [study("a", 3), study("b", 5, epochs=50, sampler="random")]
    (caution,) = cautions(studies, answers(10, 10))
    assert caution == (
        "the searches differ (a -> b): epochs 6 -> 50; sampler tpe -> random; "
        "finished trials 3 -> 5"
    )


def test_settings_that_were_not_confirmed_are_told(study):
    (caution,) = cautions([study("a"), study("b")], answers(0, 10))
    assert caution.startswith("not confirmed on fresh seeds: a; one training of each")


def test_a_best_trial_at_an_edge_is_told_for_each_study(study, monkeypatch):
    monkeypatch.setattr("sweep.comparison.checks.edges_of", lambda *_: ["l2 at its low end"])
    assert cautions([study("a"), study("b")], answers(1, 1)) == [
        "a: the best lies at an edge of its space, l2 at its low end",
        "b: the best lies at an edge of its space, l2 at its low end",
    ]


@pytest.mark.parametrize(
    ("floors", "told"),
    [((0.012, 0.019), False), ((0.012, 0.021), True), ((nan, nan), False), ((nan, 0.03), True)],
)
def test_a_difference_below_the_larger_noise_floor_is_told(study, monkeypatch, floors, told):
    found = {
        name: SimpleNamespace(noise_floor=floor, metric="val/accuracy")
        for name, floor in zip("ab", floors, strict=True)
    }
    monkeypatch.setattr("sweep.comparison.checks.confirmation_of", lambda one: found[one.name])
    said = cautions([study("a"), study("b")], answers(9, 9, right=(700, 720)))
    assert len(said) == told
    if told:
        assert said[0].startswith("a and b differ by less than the noise floor, ")


def test_the_noise_of_a_loss_says_nothing_of_accuracies(study, monkeypatch):
    found = SimpleNamespace(noise_floor=0.5, metric="val/loss")
    monkeypatch.setattr("sweep.comparison.checks.confirmation_of", lambda _: found)
    (caution,) = cautions([study("a"), study("b")], answers(9, 9))
    assert caution.endswith("how far accuracies differ by the seed alone is not known")

from dataclasses import replace

import pytest
from optuna.trial import TrialState, create_trial

from sweep.comparison.search import common_metric, describe_search, direction_of, place_of
from sweep.curves import METRICS
from sweep.space import Choices, Range
from sweep.study import attributes
from sweep.study.ending import Ending
from sweep.study.importance import Importances

SETTING = {
    "l2": 0.01,
    "learning_rate": 0.01,
    "decay_period": 10,
    "batch_size": 50,
    "flip_probability": 0.1,
}
NOTHING = Importances(ranked=[], alike=[], reason="too few trials")


class Study:
    """A study whose trials were written down, at the positions 0, 1, ..."""

    def __init__(self, settings, *endings):
        self.settings = settings
        self.recorded = [
            recorded(position, ending, accuracy)
            for position, (ending, accuracy) in enumerate(endings)
        ]

    def trials(self):
        return self.recorded


def recorded(position, ending, accuracy):
    curves = {} if accuracy is None else {metric: [accuracy] for metric in METRICS}
    trial = create_trial(
        state=ending.state,
        value=accuracy if ending == Ending.COMPLETE else None,
        user_attrs={
            attributes.POSITION: position,
            attributes.ENDING: str(ending),
            attributes.CURVES: curves,
        },
    )
    trial.number = position
    return trial


@pytest.fixture
def describe(make_settings, monkeypatch):
    monkeypatch.setattr("sweep.comparison.search.importances", lambda _: NOTHING)

    def describe(*endings, metric="val/accuracy", **changes):
        study = Study(make_settings(**changes), *endings)
        chosen = create_trial(state=TrialState.RUNNING, params={}, distributions={})
        chosen.params = SETTING
        return describe_search(study, chosen, metric)

    return describe


def test_the_given_first_trial_is_no_draw(describe):
    found = describe((Ending.COMPLETE, 0.9), (Ending.COMPLETE, 0.4), (Ending.COMPLETE, 0.5))
    assert found.best_of.trials == 2
    assert found.best_of.expected == pytest.approx([0.45, 0.5])


def test_pruned_and_diverged_trials_cost_a_draw_and_never_win(describe):
    found = describe(
        (Ending.COMPLETE, 0.3),
        (Ending.PRUNED, 0.9),
        (Ending.DIVERGED, None),
        (Ending.COMPLETE, 0.5),
    )
    assert (found.complete, found.pruned, found.diverged) == (2, 1, 1)
    assert (found.best_of.trials, found.best_of.results) == (3, 1)
    assert found.best_of.expected == [0.5] * 3


@pytest.mark.parametrize("ending", [Ending.ERROR, Ending.INTERRUPTED])
def test_what_was_broken_from_outside_says_nothing_of_the_search(describe, ending):
    found = describe((Ending.COMPLETE, 0.3), (ending, 0.9), (Ending.COMPLETE, 0.5))
    assert found.best_of.trials == 1
    assert (found.complete, found.pruned, found.diverged) == (2, 0, 0)


def test_of_losses_less_is_better(describe):
    ends = (Ending.COMPLETE, 1.0), (Ending.COMPLETE, 0.5), (Ending.COMPLETE, 0.7)
    assert describe(*ends, metric="val/loss").best_of.expected[-1] == 0.5


@pytest.mark.parametrize(
    ("sampler", "pruner", "independent"),
    [
        ("random", "none", True),
        ("tpe", "none", False),
        ("qmc", "none", False),
        ("random", "median", False),
    ],
)
def test_only_a_random_sampler_without_a_pruner_draws_independently(
    describe, sampler, pruner, independent
):
    found = describe((Ending.COMPLETE, 0.9), sampler=sampler, pruner=pruner)
    assert found.drawn_independently is independent


def test_every_searched_hyperparameter_has_its_place(describe, make_settings):
    space = make_settings().space.replace({"l2": Choices(name="l2", values=(0.01,))})
    found = describe((Ending.COMPLETE, 0.9), space=space)
    assert [place.name for place in found.places] == space.varied()
    assert "l2" not in space.varied()


def test_importances_are_carried_along(describe):
    assert describe((Ending.COMPLETE, 0.9)).importances is NOTHING


@pytest.mark.parametrize(
    ("axis", "value", "unit"),
    [
        (Range(name="l2", low=1e-4, high=1, log=True), 1e-3, 0.25),
        (Range(name="decay_period", low=2, high=12), 7, 0.5),
        (Range(name="l2", low=0, high=1), 0, 0),
        (Choices(name="batch_size", values=(100, 25, 50)), 100, 1),
        (Choices(name="batch_size", values=(100, 25, 50)), 50, 0.5),
        (Choices(name="batch_size", values=(25,)), 25, 0),
    ],
)
def test_a_place_is_told_on_the_scale_of_its_axis(axis, value, unit):
    place = place_of(axis, value)
    assert place.unit == pytest.approx(unit)
    assert (place.name, place.value) == (axis.name, value)


def test_choices_stand_in_ascending_order():
    place = place_of(Choices(name="batch_size", values=(100, 25, 50)), 25)
    assert (place.choices, place.low, place.high) == ([25, 50, 100], 25, 100)


def test_the_objective_is_the_metric_where_all_studies_share_one_scale(make_settings):
    loss = make_settings(objective="val-loss")
    accuracy, bce = make_settings(), make_settings(objective="val-loss", loss="bce")
    assert common_metric([loss, replace(loss, study="other")]) == "val/loss"
    assert common_metric([loss, accuracy]) == "val/accuracy"
    assert common_metric([loss, bce]) == "val/accuracy"
    assert common_metric([accuracy, accuracy]) == "val/accuracy"


def test_losses_are_to_be_small_and_accuracies_large():
    assert (direction_of("val/loss"), direction_of("val/accuracy")) == ("minimize", "maximize")

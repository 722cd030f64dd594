from __future__ import annotations

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from sweep.figures.trials import best, caption, complete, name_of_best, pruned, varied


def numbers(results):
    return [result.trial.number for result in results]


def test_complete_trials_come_by_number(trial):
    results = complete([trial(2, 0.2), trial(0, 0.4), trial(1, 0.3)])
    assert [(result.trial.number, result.value) for result in results] == [
        (0, 0.4),
        (1, 0.3),
        (2, 0.2),
    ]


@pytest.mark.parametrize("state", [s for s in TrialState if s is not TrialState.COMPLETE])
def test_a_trial_in_any_other_state_is_not_complete(trial, state):
    value = 0.4 if state is TrialState.PRUNED else None
    assert complete([trial(0, value, state)]) == []


@pytest.mark.parametrize("value", [float("inf"), -float("inf")])
def test_an_infinite_objective_is_no_result(trial, value):
    assert numbers(complete([trial(0, value), trial(1, 0.4)])) == [1]


def test_a_pruned_trial_stands_at_the_last_finite_value_it_reported(trial):
    stopped = trial(3, None, TrialState.PRUNED, (0.1, 0.2, float("nan")))
    assert [(r.trial.number, r.value) for r in pruned([stopped])] == [(3, 0.2)]


def test_a_pruned_trial_that_reported_nothing_is_left_out(trial):
    assert pruned([trial(0, None, TrialState.PRUNED)]) == []


def test_a_failed_trial_is_neither_complete_nor_pruned(trial):
    failed = [trial(0, None, TrialState.FAIL, (0.3,))]
    assert (complete(failed), pruned(failed)) == ([], [])


def test_the_best_is_the_highest_or_the_lowest_and_of_equals_the_first(trial):
    values = [0.2, 0.4, 0.1, 0.4, 0.1]
    results = complete([trial(i, value) for i, value in enumerate(values)])
    assert best(results, "maximize").trial.number == 1
    assert best(results, "minimize").trial.number == 2


def test_of_equals_the_chosen_one_is_the_best(trial):
    results = complete([trial(0, 0.4), trial(1, 0.4), trial(2, 0.4)])
    assert best(results, "maximize", selected=2).trial.number == 2


def test_the_caption_counts_the_endings_and_names_the_best(study):
    assert caption(study, "maximize", "val/accuracy").startswith(
        "20 complete, 4 pruned, 1 failed. Best: trial "
    )


def test_the_caption_without_a_complete_trial_only_counts(trial):
    failed = [trial(0, None, TrialState.FAIL)]
    assert caption(failed, "maximize", "val/accuracy") == "0 complete, 0 pruned, 1 failed"


def test_a_parameter_with_one_value_is_not_varied(trial):
    results = complete([trial(0, 0.1, l2=0.1), trial(1, 0.2, l2=0.2)])
    assert list(varied(results)) == ["l2"]


def test_one_trial_varies_whatever_its_space_leaves_open(trial):
    space = {
        "open": FloatDistribution(0.0, 1.0),
        "fixed": IntDistribution(3, 3),
        "only": CategoricalDistribution(["choice"]),
    }
    results = complete([trial(0, 0.1, space=space, open=0.5, fixed=3, only="choice")])
    assert list(varied(results)) == ["open"]


def test_without_trials_nothing_is_varied():
    assert varied([]) == {}


def test_the_position_of_a_choice_is_its_index(trial):
    (result,) = complete([trial(0, 0.1, batch_size=200, l2=0.01)])
    assert result.position("batch_size") == 3
    assert result.position("l2") == 0.01


@pytest.mark.parametrize(
    ("selected", "name"), [(None, "best: trial 1"), (1, "best: trial 1"), (0, "selected: trial 0")]
)
def test_a_chosen_trial_is_called_the_best_only_where_it_is(trial, selected, name):
    results = complete([trial(0, 0.1), trial(1, 0.2)])
    assert name_of_best(results, "maximize", selected) == name
    told = caption([result.trial for result in results], "maximize", "val/accuracy", selected)
    assert f". {name.capitalize()}, val/accuracy 0." in told

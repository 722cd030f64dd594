import itertools
import json

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from sweep.errors import SweepError
from sweep.space import BASELINES, DEFAULT_SPACES
from sweep.study import attributes
from sweep.study.ending import Ending
from sweep.study.opening import begin_study
from sweep.study.results import (
    Tally,
    best_trial,
    chosen_trial,
    describe,
    ending,
    epochs_trained,
    find_trial,
    last_value,
    ranked,
    summarise,
    tally,
)


def complete(accuracy, loss=1.0, value=None):
    """Return a complete trial of two epochs that ends with these validation figures."""
    return ended(Ending.COMPLETE, accuracy, loss, value=accuracy if value is None else value)


def ended(how, accuracy=0.99, loss=0.01, value=None):
    curves = {
        "train/accuracy": [0.1, 0.5],
        "val/accuracy": [0.2, accuracy],
        "val/loss": [9.0, loss],
    }
    return create_trial(
        state=how.state,
        value=value,
        intermediate_values={1: 0.2, 2: accuracy},
        user_attrs={
            attributes.ENDING: str(how),
            attributes.REASON: "" if how == Ending.COMPLETE else f"it was {how}",
            attributes.CURVES: curves,
            attributes.SEAT: {"seed": 17},
            attributes.TRIAL_RUN: "run",
        },
    )


@pytest.fixture
def study_of(make_settings):
    """Return a function that makes a study in memory out of trials."""

    def make(*trials, **changes):
        study = begin_study(make_settings(**changes), optuna.storages.InMemoryStorage())
        study.optuna.add_trials(trials)
        return study

    return make


def best_number(study):
    return chosen_trial(study).number


def test_the_best_trial_has_the_highest_accuracy(study_of):
    assert best_number(study_of(complete(0.5), complete(0.7), complete(0.6))) == 1


def test_the_best_trial_has_the_lowest_loss_where_that_is_the_objective(study_of):
    trials = [complete(0.5, loss, value=loss) for loss in (0.5, 0.3, 0.4)]
    assert best_number(study_of(*trials, objective="val-loss")) == 1


@pytest.mark.parametrize(
    ("losses", "best"), [((0.5, 0.3, 0.4), 1), ((0.5, 0.3, 0.3), 1), ((0.3, 0.3, 0.3), 0)]
)
def test_ties_go_to_the_lower_validation_loss_and_then_to_the_earlier_trial(study_of, losses, best):
    assert best_number(study_of(*(complete(0.5, loss) for loss in losses))) == best


def test_the_order_in_which_ties_are_compared_does_not_matter(make_settings, study_of):
    trials = study_of(complete(0.5, 0.4), complete(0.5, 0.3), complete(0.5, 0.3)).trials()
    chosen = {best_trial(make_settings(), order).number for order in itertools.permutations(trials)}
    assert chosen == {1}


@pytest.mark.parametrize("how", [how for how in Ending if how != Ending.COMPLETE])
def test_what_is_not_complete_is_never_chosen(study_of, how):
    assert best_number(study_of(ended(how), complete(0.1), ended(how))) == 1
    with pytest.raises(SweepError) as refused:
        chosen_trial(study_of(ended(how)))
    assert str(refused.value) == (
        "study 'tiny-softmax' has no complete trial yet; go on with `sweep run` as before"
    )


def test_a_study_without_trials_has_no_best_one(study_of):
    study = study_of()
    assert best_trial(study.settings, study.trials()) is None
    assert ranked(study) == []


def test_every_trial_is_counted_once(study_of):
    waiting = create_trial(state=TrialState.WAITING)
    study = study_of(
        *(complete(0.5), complete(0.6), ended(Ending.PRUNED), waiting),
        *(ended(Ending.DIVERGED), ended(Ending.ERROR), ended(Ending.INTERRUPTED)),
    )
    counts = tally(study.trials())
    assert counts == Tally(complete=2, pruned=1, failed=2, running=1, interrupted=1)
    assert counts.finished == 3
    assert str(counts) == "2 complete, 1 pruned, 2 failed, 1 interrupted, 1 unfinished"
    assert str(tally([])) == "0 complete, 0 pruned, 0 failed"


def test_a_ranking_has_the_complete_trials_first_and_the_best_on_top(study_of):
    study = study_of(
        ended(Ending.PRUNED), complete(0.5), complete(0.9), ended(Ending.DIVERGED), complete(0.7)
    )
    assert [trial.number for trial in ranked(study)] == [2, 4, 1, 0, 3]


def test_a_trial_is_found_by_its_number(study_of):
    study = study_of(complete(0.5), complete(0.6))
    assert find_trial(study, 1).value == 0.6


@pytest.mark.parametrize("number", [-1, 2, 10**9])
def test_a_number_that_no_trial_has_is_refused_in_one_line(study_of, number):
    with pytest.raises(SweepError) as refused:
        find_trial(study_of(complete(0.5), complete(0.6)), number)
    assert str(refused.value) == (
        f"study 'tiny-softmax' has no trial {number}: it has 2 trials, from 0; "
        "`sweep show tiny-softmax` lists them"
    )


def test_the_last_value_is_that_of_the_last_epoch_or_nan():
    assert last_value(complete(0.5, 0.25), "val/loss") == 0.25
    assert str(last_value(complete(0.5), "val/cost")) == "nan"
    assert str(last_value(create_trial(state=TrialState.WAITING), "val/loss")) == "nan"


def test_the_epochs_of_a_trial_are_those_of_its_curves():
    assert epochs_trained(complete(0.5)) == 2
    assert epochs_trained(create_trial(state=TrialState.WAITING)) == 0


def test_a_trial_has_an_ending_only_when_both_records_say_so():
    assert ending(ended(Ending.DIVERGED)) == Ending.DIVERGED
    saved_but_not_told = create_trial(
        state=TrialState.RUNNING, user_attrs={attributes.ENDING: "complete"}
    )
    assert ending(saved_but_not_told) is None
    assert ending(create_trial(value=1.0)) is None


def test_a_description_is_flat_has_stable_names_and_goes_through_json():
    baseline = BASELINES["softmax"]
    study = optuna.create_study()
    study.enqueue_trial(baseline)
    trial = study.ask()
    DEFAULT_SPACES["softmax"].suggest(trial)
    for key, value in ended(Ending.PRUNED, 0.5, 0.25).user_attrs.items():
        trial.set_user_attr(key, value)
    study.tell(trial, state=TrialState.PRUNED)
    description = describe(study.trials[0])
    assert json.loads(json.dumps(description, allow_nan=False)) == {
        "trial": 0,
        "ending": "pruned",
        "reason": "it was pruned",
        "epochs": 2,
        "val/accuracy": 0.5,
        "val/loss": 0.25,
        "train/accuracy": 0.5,
        **baseline,
        "seed": 17,
        "mlflow_run_id": "run",
    }


def test_a_trial_that_has_measured_nothing_has_nulls_instead_of_nans():
    description = describe(create_trial(state=TrialState.WAITING))
    assert description == {
        "trial": -1,
        "ending": "unfinished",
        "reason": "",
        "epochs": 0,
        "val/accuracy": None,
        "val/loss": None,
        "train/accuracy": None,
        "seed": None,
        "mlflow_run_id": None,
    }


def test_a_summary_has_the_counts_and_the_best_result(study_of):
    study = study_of(ended(Ending.PRUNED), complete(0.5, 0.75), ended(Ending.ERROR))
    assert summarise(study) == {
        "study": "tiny-softmax",
        "data": "tiny",
        "loss": "softmax",
        "complete": 1,
        "pruned": 1,
        "failed": 1,
        "best_trial": 1,
        "chosen_trial": 1,
        "confirmed": False,
        "val/accuracy": 0.5,
        "val/loss": 0.75,
    }


def test_a_summary_without_a_best_trial_has_nulls(study_of):
    summary = summarise(study_of(ended(Ending.PRUNED)))
    assert [summary[key] for key in ("best_trial", "val/accuracy", "val/loss")] == [None] * 3

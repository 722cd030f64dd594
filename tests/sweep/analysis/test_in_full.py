from dataclasses import replace

import pytest
from optuna.storages import InMemoryStorage

from sweep.analysis.confirm import Confirming
from sweep.analysis.confirmation import Confirmation, confirmation_of
from sweep.analysis.in_full import (
    in_full,
    in_full_files,
    in_full_state,
    run_key,
    train_in_full,
)
from sweep.analysis.reproduce import reproduce
from sweep.analysis.selection import find_selected, refuse_unfinished
from sweep.analysis.session import sync_study
from sweep.errors import SweepError
from sweep.search.interrupts import Interrupts
from sweep.search.record import CONFIRMATION, CONFIRMING
from sweep.search.study_run import pending_files, trial_key
from sweep.search.trials import Status
from sweep.space import read_space
from sweep.timings import Timings
from sweep.tracking.tracker import Tracker
from sweep_model.classifier import LinearClassifier


@pytest.fixture(scope="module")
def searched(tmp_path_factory, put_on_record, make_config, search, tiny_data):
    """Return a study of eight trials, most of them pruned."""
    space = read_space("softmax", overrides=["batch_size=9,15"])
    config = make_config(epochs=5, space=space, sampler="random", lanes=2)
    study = put_on_record(tmp_path_factory.mktemp("searched"), InMemoryStorage(), config, ())
    return search(study, tiny_data, 8)


@pytest.fixture
def study(make_study, searched):
    return make_study(searched.config, searched.trials())


@pytest.fixture
def pruned(study):
    return next(trial for trial in study.trials() if trial.status == Status.PRUNED)


def finish(study, trial, data):
    train_in_full(study, trial, data, Timings(), Interrupts())
    return in_full(study, trial)


def test_a_pruned_trial_trained_in_full_begins_as_it_did_and_ends_complete(
    study, pruned, tiny_data
):
    full = finish(study, pruned, tiny_data)
    assert (full.status, full.epochs, full.reason) == (Status.COMPLETE, 5, "")
    for metric, curve in pruned.curves.items():
        assert full.curves[metric][: pruned.epochs] == curve
    assert full.weights_digest != pruned.weights_digest
    assert full.metrics["final/train_accuracy"] == full.last("train/accuracy")
    assert study.trial(pruned.number) == pruned  # the search's own record stays as it is


def test_its_classifier_and_figures_wait_for_a_run_of_their_own(study, pruned, tiny_data):
    full = finish(study, pruned, tiny_data)
    state = in_full_state(study, pruned, tiny_data)
    assert state.key == run_key(study, pruned) != trial_key(study, pruned.number)
    assert (state.status, state.complete, state.tags["role"]) == ("FINISHED", True, "in-full")
    assert state.files != pending_files(study, pruned.number)
    kept = LinearClassifier.load(state.files / "classifier" / "classifier.npz")
    assert kept.digest == full.weights_digest
    assert (state.files / "figures" / "curves.png").is_file()


def test_what_mlflow_missed_of_it_is_sent_later_with_the_studys_other_runs(
    study, pruned, tiny_data, workspace
):
    finish(study, pruned, tiny_data)
    tracker = Tracker("tiny", workspace)
    assert sync_study(study, tracker) == len(study.trials()) + 1
    (found,) = tracker.runs(role="in-full", **study.tags)
    assert found.info.status == "FINISHED"
    points = tracker.client.get_metric_history(found.info.run_id, "val/loss")
    assert [point.step for point in points] == [1, 2, 3, 4, 5]
    assert not in_full_files(study, pruned.number).exists()
    assert sync_study(study, tracker) == 0


def test_it_is_trained_once(study, pruned, tiny_data):
    first = finish(study, pruned, tiny_data)
    assert finish(study, pruned, tiny_data) == first


def test_a_pruned_winner_of_a_confirmation_is_selected_as_trained_in_full(study, tiny_data):
    # Better on every fresh seed than anything else: so the confirmation must select it.
    confirming = Confirming(study, tiny_data, top=8, seeds=2, timings=Timings(), workers=1)
    pruned = next(trial for trial in confirming.trials if trial.status == Status.PRUNED)
    values = {str(each.number): 0.1 for each in confirming.settings} | {str(pruned.number): 0.9}
    study.set_attribute(CONFIRMING, {str(seed): values for seed in confirming.seeds})
    found = confirming.run()
    assert found.winner.trial == pruned.number
    selected = find_selected(study)
    assert (selected.number, selected.status, selected.epochs) == (
        pruned.number,
        Status.COMPLETE,
        5,
    )
    refuse_unfinished(study, selected)


def test_the_selected_trial_trained_in_full_comes_out_again(study, pruned, tiny_data, workspace):
    full = finish(study, pruned, tiny_data)
    tracker = Tracker("tiny", workspace)
    verdict = reproduce(study, full, tiny_data, tracker, tolerance=1e-3)
    assert verdict.matches == "bit for bit"
    assert verdict.points == 5 * 6


def test_a_winner_that_was_not_trained_to_its_end_is_refused_with_what_does_it(study, pruned):
    confirmation = {
        "metric": "val/accuracy",
        "direction": "maximize",
        "epochs": 5,
        "seeds": [1],
        "finished": 8,
        "trials": [{"trial": pruned.number, "search": None, "values": [0.9]}],
        "baseline": {"trial": -1, "search": None, "values": [0.1]},
    }
    study.set_attribute(CONFIRMATION, confirmation)
    assert isinstance(confirmation_of(study), Confirmation)
    selected = find_selected(study)
    assert selected == replace(pruned)
    with pytest.raises(SweepError, match=f"pruned it at epoch {pruned.epochs}.*sweep confirm"):
        refuse_unfinished(study, selected)

import json
import math
import signal

import pytest
from optuna.storages import InMemoryStorage
from scipy import stats

from sweep.analysis import (
    Confirmation,
    Confirmed,
    Confirming,
    confirmation_of,
    find_selected,
    grounds,
    pending_files,
    reproduce_trial,
    selected_trial,
    sync_study,
    trial_key,
)
from sweep.analysis.confirm import NO_TRIAL, train_in_full
from sweep.analysis.runs import in_full, in_full_states, run_key
from sweep.engine import LocalEngine
from sweep.errors import SweepError
from sweep.search.lock import InterruptedStudyError, Interrupts, study_lock
from sweep.search.record import BUDGETS, CONFIRMING
from sweep.search.trials import Status, ranked
from sweep.search_space import BASELINES, read_space
from sweep.timings import Timings
from sweep_model.classifier import LinearClassifier
from sweep_model.hyperparameters import Hyperparameters
from sweep_model.training import Training


@pytest.fixture(scope="module")
def searched(tmp_path_factory, put_on_record, make_config, search, tiny_data):
    """Return a study of ten trials, most of them pruned."""
    space = read_space("softmax", overrides=["batch_size=9,15"])
    config = make_config(epochs=4, space=space, sampler="random", lanes=2)
    study = put_on_record(tmp_path_factory.mktemp("searched"), InMemoryStorage(), config, ())
    return search(study, tiny_data, 10)


@pytest.fixture
def study(make_study, searched):
    """Return that study with a record of its own."""
    study = make_study(searched.config, searched.trials())
    study.set_attribute(BUDGETS, searched.attribute(BUDGETS))
    return study


@pytest.fixture
def confirm(study, tiny_data):
    """Return a function that confirms the study."""

    def confirm(top=3, seeds=3, workers=1, **options):
        confirming = Confirming(
            study, tiny_data, top=top, seeds=seeds, workers=workers, timings=Timings()
        )
        return confirming.run(**options)

    return confirm


def values_of(found):
    """Return the values of a confirmation by trial, the baseline among them."""
    return {one.trial: one.values for one in [*found.trials, found.baseline]}


def alone(data, number, params, seed):
    """Train a setting by itself in a panel and return the objective's last value."""
    training = Training(
        hyperparameters=Hyperparameters(**params), epochs=4, seed=seed, number=number
    )
    with LocalEngine(data, loss="softmax", lanes=2, workers=1, timings=Timings()) as engine:
        engine.start(0, training)
        results = [engine.run_pass() for _ in range(training.epochs)]
    return results[-1][0].evaluations["val"].accuracy


def test_the_top_trials_are_ranked_by_what_each_trains_to_alone_on_fresh_seeds(
    study, confirm, tiny_data
):
    found = confirm(top=6, seeds=2)
    top = [trial.number for trial in ranked(study.config, study.trials())[:6]]
    assert sorted(one.trial for one in found.trials) == sorted(top)
    means = [one.mean for one in found.trials]
    assert means == sorted(means, reverse=True)
    assert found.finished == 10
    assert len({*found.seeds, study.config.training_seed}) == 3
    for one in found.trials:
        trial = study.trial(one.trial)
        for seed, value in zip(found.seeds, one.values, strict=True):
            assert value == alone(tiny_data, one.trial, trial.params, seed)
        if trial.status == Status.PRUNED:  # the search has no value of its last epoch
            assert math.isnan(one.search)
        else:
            assert one.search == trial.last("val/accuracy")
    assert {study.trial(one.trial).status for one in found.trials} == {"complete", "pruned"}


def test_the_baseline_trains_along_with_the_flips_of_its_trial_or_of_none(
    study, confirm, tiny_data, make_study, make_config, make_trial
):
    found = confirm(top=1, seeds=1)
    baseline = study.config.space.clip(BASELINES["softmax"])
    (at,) = [trial.number for trial in study.trials() if trial.params == baseline]
    assert (found.baseline.trial, at) == (None, 0)
    assert found.baseline.values == [alone(tiny_data, at, baseline, found.seeds[0])]
    other = make_study(
        make_config(study="other", epochs=1), [make_trial(params={"batch_size": 100})]
    )
    confirming = Confirming(other, tiny_data, top=1, seeds=1, timings=Timings())
    assert list(confirming.settings) == [0, NO_TRIAL]


def test_neither_workers_nor_what_else_is_confirmed_change_a_value(study, confirm):
    first = values_of(confirm(top=2, seeds=2, workers=1))
    more = values_of(confirm(top=6, seeds=4, workers=2))
    assert {trial: values[:2] for trial, values in more.items() if trial in first} == first
    study.set_attribute(CONFIRMING, {})
    assert values_of(confirm(top=6, seeds=4, workers=1)) == more


def test_what_is_done_is_not_trained_again_and_only_what_is_missing_is_added(
    study, confirm, tiny_data
):
    epochs = []

    def passes(top, seeds):
        return Confirming(study, tiny_data, top=top, seeds=seeds, timings=Timings()).passes

    assert passes(3, 2) == 2 * 4
    few = confirm(top=3, seeds=2, on_epoch=epochs.append)
    assert sum(epochs) == 2 * 4
    epochs.clear()
    assert passes(3, 2) == 0
    assert confirm(top=3, seeds=2, on_epoch=epochs.append).record() == few.record()
    assert not epochs
    confirm(top=3, seeds=5, on_epoch=epochs.append)  # three seeds more
    assert sum(epochs) == 3 * 4
    epochs.clear()
    confirm(top=6, seeds=5, on_epoch=epochs.append)  # three trials more, on all of them
    assert sum(epochs) == 5 * 4
    assert len(confirm(top=3, seeds=1).seeds) == 5  # nothing is thrown away


def test_a_stopped_confirmation_goes_on_and_comes_out_the_same(study, confirm):
    def stop(_):
        stop.epochs += 1
        if stop.epochs == 6:  # in the second seed
            signal.raise_signal(signal.SIGINT)

    stop.epochs = 0
    with pytest.raises(InterruptedStudyError, match="the same command goes on") as stopped:
        confirm(seeds=3, on_epoch=stop)
    assert stopped.value.exit_code == 130
    assert confirmation_of(study) is None
    assert len(study.attribute(CONFIRMING)) == 1
    assert grounds(study) == "best by val-accuracy, not confirmed"
    epochs = []
    found = confirm(seeds=3, on_epoch=epochs.append)
    assert sum(epochs) == 2 * 4
    study.set_attribute(CONFIRMING, {})
    assert confirm(seeds=3).record() == found.record()


def test_the_winner_becomes_the_selected_trial_and_the_study_says_so(
    study, confirm, search, tiny_data
):
    assert find_selected(study) == ranked(study.config, study.trials())[0]
    winner = confirm(top=6).selected
    assert selected_trial(study).number == winner
    assert grounds(study) == "confirmed on 3 fresh seeds"
    search(study, tiny_data, 13)  # trials that finish later do not move the choice
    assert find_selected(study).number == winner
    assert grounds(study) == "confirmed on 3 fresh seeds, before the last 3 trials finished"


def test_a_setting_that_diverges_on_fresh_seeds_is_ranked_last(
    make_study, make_config, make_trial, tiny_data
):
    calm = {"l2": 1.0, "batch_size": 5, "learning_rate": 0.01}
    space = read_space("softmax", overrides=["learning_rate=0.01,1e6", "batch_size=5"])
    trials = [
        make_trial(0, [0.5], params=calm),
        make_trial(1, [1.0], params=calm | {"learning_rate": 1e6}),
    ]
    study = make_study(make_config(epochs=3, space=space), trials)
    assert selected_trial(study).number == 1
    found = Confirming(study, tiny_data, top=2, seeds=2, timings=Timings()).run()
    assert [one.diverged for one in found.trials] == [0, 2]
    assert selected_trial(study).number == 0
    assert json.loads(json.dumps(found.record(), allow_nan=False)) == found.record()


def test_a_loss_that_is_the_objective_is_confirmed_as_well(
    make_study, make_config, make_trial, tiny_data
):
    trials = [make_trial(0, [0.5]), make_trial(1, [0.6], params={"learning_rate": 0.05})]
    study = make_study(make_config(epochs=2, objective="val-loss"), trials)
    found = Confirming(study, tiny_data, top=2, seeds=2, timings=Timings()).run()
    means = [one.mean for one in found.trials]
    assert means == sorted(means)
    assert (found.metric, found.direction) == ("val/loss", "minimize")
    assert found.record() == confirmation_of(study).record()


def test_a_study_that_has_nothing_to_confirm_or_is_run_is_refused(
    study, confirm, make_config, make_study, make_trial, tiny_data
):
    trials = [make_trial(0, [], status="failed"), make_trial(1, [0.5], status="running")]
    bare = make_study(make_config(study="bare"), trials)
    with pytest.raises(SweepError, match="has no complete trial to confirm"):
        Confirming(bare, tiny_data, top=3, seeds=3, timings=Timings())
    with (
        study_lock(study.workspace, study.name),
        pytest.raises(SweepError, match="is being run by"),
    ):
        confirm()


# A pruned winner


@pytest.fixture
def pruned(study):
    return next(trial for trial in study.trials() if trial.status == Status.PRUNED)


@pytest.fixture
def finish(study, pruned, tiny_data):
    """Return a function that trains the pruned trial to its end."""

    def finish():
        train_in_full(study, pruned, tiny_data, Interrupts())
        return in_full(study, pruned)

    return finish


def test_a_pruned_trial_trained_in_full_begins_as_it_did_ends_complete_and_is_trained_once(
    study, pruned, finish
):
    full = finish()
    assert (full.status, full.epochs, full.reason) == (Status.COMPLETE, 4, "")
    for metric, curve in pruned.curves.items():
        assert full.curves[metric][: pruned.epochs] == curve
    assert full.weights_digest != pruned.weights_digest
    assert full.metrics["final/train_accuracy"] == full.last("train/accuracy")
    assert study.trial(pruned.number) == pruned  # the search's own record stays as it is
    assert finish() == full


def test_its_classifier_and_figures_wait_for_a_run_of_their_own(study, pruned, finish, tracker):
    full = finish()
    (state,) = in_full_states(study, None)
    assert state.key == run_key(study, pruned) != trial_key(study, pruned.number)
    assert (state.status, state.final, state.tags["role"]) == ("FINISHED", True, "in-full")
    assert state.files != pending_files(study, pruned.number)
    kept = LinearClassifier.load(state.files / "classifier" / "classifier.npz")
    assert kept.digest == full.weights_digest
    assert (state.files / "figures" / "curves.png").is_file()
    assert sync_study(study, tracker) == len(study.trials()) + 1
    (found,) = tracker.runs(role="in-full", **study.tags)
    points = tracker.client.get_metric_history(found.info.run_id, "val/loss")
    assert [point.step for point in points] == [1, 2, 3, 4]
    assert not state.files.exists()
    assert sync_study(study, tracker) == 0


def test_a_pruned_winner_is_selected_only_once_it_has_all_epochs(study, pruned, tiny_data, tracker):
    # Better on every fresh seed than anything else: so the confirmation must select it.
    confirming = Confirming(study, tiny_data, top=10, seeds=2, timings=Timings(), workers=1)
    values = {str(number): 0.1 for number in confirming.settings} | {str(pruned.number): 0.9}
    study.set_attribute(CONFIRMING, {str(seed): values for seed in confirming.seeds})
    best, interrupts = find_selected(study), Interrupts()
    interrupts.stop(signal.SIGTERM)
    with pytest.raises(
        InterruptedStudyError, match=f"the same command trains trial {pruned.number}"
    ):
        train_in_full(study, pruned, tiny_data, interrupts)
    assert find_selected(study) == best
    assert confirming.run().selected == pruned.number
    selected = selected_trial(study)
    assert (selected.number, selected.status, selected.epochs) == (pruned.number, "complete", 4)
    verdict = reproduce_trial(study, selected, tiny_data, tracker, tolerance=1e-3)
    assert (verdict.matches, verdict.points) == ("bit for bit", 4 * 7)


# What a confirmation says

FIRST = Confirmed(trial=7, search=0.95, values=[0.90, 0.92, 0.91, 0.93, 0.94])
SECOND = Confirmed(trial=3, search=0.96, values=[0.89, 0.91, 0.92, 0.90, 0.93])
BROKEN = Confirmed(trial=5, search=0.97, values=[0.91, math.nan, 0.92, 0.9, 0.9])
BASELINE = Confirmed(trial=None, search=math.nan, values=[0.80, 0.82, 0.81, 0.79, 0.83])


def confirmation(**changes):
    """Return a confirmation of three trials on five seeds."""
    values = {
        "metric": "val/accuracy",
        "direction": "maximize",
        "epochs": 4,
        "seeds": [1, 2, 3, 4, 5],
        "finished": 20,
        "trials": [FIRST, SECOND, BROKEN],
        "baseline": BASELINE,
    }
    return Confirmation(**values | changes)


def test_a_setting_has_the_mean_of_its_seeds_and_its_standard_error_unless_it_diverged():
    assert FIRST.mean == pytest.approx(0.92)
    assert FIRST.standard_error == pytest.approx(stats.sem(FIRST.values))
    assert (FIRST.diverged, BROKEN.diverged) == (0, 1)
    assert math.isnan(BROKEN.mean)
    assert math.isnan(BROKEN.standard_error)
    assert math.isnan(Confirmed(trial=0, search=1.0, values=[0.5]).standard_error)


def test_a_search_is_optimistic_by_what_it_showed_too_well():
    for direction, expected in (("maximize", 0.03), ("minimize", -0.03)):
        assert confirmation(direction=direction).optimism(FIRST) == pytest.approx(expected)


def test_the_difference_to_the_winner_is_paired_by_seed():
    gaps = [a - b for a, b in zip(FIRST.values, SECOND.values, strict=True)]
    expected = stats.t.interval(0.95, 4, sum(gaps) / 5, stats.sem(gaps))
    mean, low, high = confirmation().behind(SECOND)
    assert mean == pytest.approx(0.01)
    assert (low, high) == pytest.approx(expected)
    assert all(math.isnan(number) for number in confirmation().behind(BROKEN))
    worse = Confirmed(trial=1, search=1.0, values=[value + 0.1 for value in FIRST.values])
    behind = confirmation(direction="minimize").behind(worse)
    assert behind == pytest.approx((0.1, 0.1, 0.1))


def test_two_trainings_of_one_setting_exceed_the_noise_floor_once_in_twenty_times():
    deviation = stats.tstd(BASELINE.values)
    floor = confirmation().noise_floor
    # Two trainings differ with a standard deviation of sqrt(2) s, and s has 4 degrees of freedom.
    assert 2 * stats.t.sf(floor / (2**0.5 * deviation), 4) == pytest.approx(0.05)
    few = Confirmed(trial=None, search=math.nan, values=BASELINE.values[:4])
    assert math.isnan(confirmation(baseline=few).noise_floor)


def test_a_record_is_plain_json_and_is_read_back_as_it_was():
    record = json.loads(json.dumps(confirmation().record(), allow_nan=False))
    again = Confirmation.from_record(record)
    assert again.record() == confirmation().record()
    assert again.winner == FIRST
    assert (again.selected, again.baseline.trial) == (7, None)
    assert math.isnan(again.trials[2].values[1])

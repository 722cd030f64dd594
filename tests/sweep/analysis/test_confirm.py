import json
import signal
from dataclasses import replace

import pytest
from optuna.storages import InMemoryStorage

from sweep.analysis.confirm import NO_TRIAL, Confirming
from sweep.analysis.confirmation import confirmation_of
from sweep.analysis.selection import find_selected, grounds, selected_trial
from sweep.engine import LocalEngine, train_all
from sweep.errors import SweepError
from sweep.search.interrupts import InterruptedStudyError
from sweep.search.lock import study_lock
from sweep.search.record import BUDGETS, CONFIRMING
from sweep.search.trials import Status, ranked
from sweep.space import BASELINES, read_space
from sweep.timings import Timings
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
    last = {}
    engine = LocalEngine(data, loss="softmax", lanes=2, workers=1, timings=Timings())
    with engine:
        train_all(engine, {0: training}, lambda results: last.update(results) or False)
    return last[0].evaluations["val"].accuracy


def test_the_top_trials_are_ranked_by_their_mean_on_fresh_seeds(study, confirm):
    found = confirm()
    top = [trial.number for trial in ranked(study.config, study.trials())[:3]]
    assert sorted(one.trial for one in found.trials) == sorted(top)
    means = [one.mean for one in found.trials]
    assert means == sorted(means, reverse=True)
    assert found.finished == 10


def test_a_pruned_trial_is_trained_to_its_end_and_has_no_value_of_the_search(study, confirm):
    found = confirm(top=6)
    pruned = [one for one in found.trials if study.trial(one.trial).status == Status.PRUNED]
    assert pruned
    for one in found.trials:
        assert len(one.values) == 3
        assert (one.search != one.search) == (one in pruned)
        if one not in pruned:
            assert one.search == study.trial(one.trial).last("val/accuracy")


def test_every_value_is_what_the_setting_trains_to_alone_on_that_seed(study, confirm, tiny_data):
    found = confirm(top=5, seeds=2)
    for one in found.trials:
        params = study.trial(one.trial).params
        for seed, value in zip(found.seeds, one.values, strict=True):
            assert value == alone(tiny_data, one.trial, params, seed)


def test_no_seed_of_a_confirmation_was_one_of_the_search(study, confirm):
    seeds = confirm(seeds=5).seeds
    assert len(set(seeds)) == 5
    assert study.config.training_seed not in seeds


def test_the_baseline_trains_along_even_where_it_is_not_at_the_top(study, confirm, tiny_data):
    found = confirm(top=1, seeds=1)
    baseline = study.config.space.clip(BASELINES["softmax"])
    (at,) = [trial.number for trial in study.trials() if trial.params == baseline]
    assert (found.baseline.trial, at) == (-1, 0)
    assert found.baseline.values == [alone(tiny_data, at, baseline, found.seeds[0])]


def test_a_baseline_that_was_no_trial_flips_by_a_number_that_no_trial_has(
    make_study, make_config, make_trial, tiny_data
):
    trial = make_trial(params={"batch_size": 100})
    study = make_study(make_config(epochs=1), [trial])
    confirming = Confirming(study, tiny_data, top=1, seeds=1, timings=Timings())
    assert [each.number for each in confirming.settings] == [0, NO_TRIAL]


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
    with pytest.raises(InterruptedStudyError, match=r"goes on from here$") as stopped:
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
    before = find_selected(study)
    assert before == ranked(study.config, study.trials())[0]
    winner = confirm(top=6).winner.trial
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


def test_a_study_without_an_ended_trial_has_nothing_to_confirm(make_study, make_trial, tiny_data):
    trials = [make_trial(0, [], status="failed"), make_trial(1, [0.5], status="running")]
    study = make_study(trials=trials)
    with pytest.raises(SweepError, match="has no complete trial to confirm"):
        Confirming(study, tiny_data, top=3, seeds=3, timings=Timings())
    with pytest.raises(SweepError, match="has no complete trial yet"):
        selected_trial(study)


def test_a_study_in_which_all_failed_is_said_to_with_what_helps(make_study, make_trial):
    study = make_study(trials=[make_trial(n, [], status="failed") for n in range(3)])
    with pytest.raises(SweepError, match=r"all 3 failed; begin a new one.*narrower space"):
        selected_trial(study)


def test_a_study_that_is_run_is_not_confirmed_meanwhile(study, confirm):
    with (
        study_lock(study.workspace, study.name),
        pytest.raises(SweepError, match="is being run by"),
    ):
        confirm()


def test_a_loss_that_is_the_objective_is_confirmed_as_well(
    make_study, make_config, make_trial, tiny_data
):
    trials = [make_trial(0, [0.5]), make_trial(1, [0.6], params={"learning_rate": 0.05})]
    study = make_study(make_config(epochs=2, objective="val-loss"), trials)
    found = Confirming(study, tiny_data, top=2, seeds=2, timings=Timings()).run()
    means = [one.mean for one in found.trials]
    assert means == sorted(means)
    assert (found.metric, found.direction) == ("val/loss", "minimize")
    assert replace(found).record() == confirmation_of(study).record()

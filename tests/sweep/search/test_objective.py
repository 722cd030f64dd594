from dataclasses import replace

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState
from threadpoolctl import threadpool_info, threadpool_limits

from sweep.config import trial_seed
from sweep.engine import open_engine
from sweep.errors import SweepError
from sweep.search import objective as module
from sweep.search.halving import first_rung
from sweep.search.objective import Objective, as_optuna, at_first_rung
from sweep.search.runner import row_weights
from sweep.search_space import DEFAULT_SPACES, NAMES, read_space
from sweep.timings import Timings
from sweep_model.hyperparameters import Hyperparameters
from sweep_model.losses import LOSSES
from sweep_model.reference import train
from sweep_model.training import Training


@pytest.fixture(autouse=True)
def _quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def study_of(objective, trials, *, direction="maximize", **options):
    sampler = optuna.samplers.RandomSampler(seed=1)
    study = optuna.create_study(direction=direction, sampler=sampler, **options)
    study.optimize(objective, n_trials=trials)
    return study


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("metric", "direction"), [("val/accuracy", "maximize"), ("val/loss", "minimize")]
)
def test_a_trial_is_the_reference_training_of_its_setting_with_its_own_seed(
    tiny_pixels, loss, metric, direction
):
    objective = Objective(tiny_pixels, loss=loss, epochs=2, seed=5, metric=metric)
    study = study_of(objective, 2, direction=direction)
    for trial in study.trials:
        assert tuple(trial.params) == NAMES
        training = Training(
            hyperparameters=Hyperparameters(**trial.params),
            epochs=2,
            seed=trial_seed(5, trial.number),
        )
        results = train(
            tiny_pixels.training,
            {"val": tiny_pixels.validation, "train": tiny_pixels.training},
            training,
            loss=LOSSES[loss],
            classes=3,
            image_shape=(1, 3, 4),
        )
        quantity = metric.removeprefix("val/")
        expected = {
            result.epoch: getattr(result.evaluations["val"], quantity) for result, *_ in results
        }
        assert trial.intermediate_values == expected
        assert trial.value == expected[2]


def test_objectives_and_class_weights_are_those_of_a_study(tiny_pixels, tiny_data, make_config):
    """Panels are the oracle; with folds, too."""
    folds = np.arange(len(tiny_pixels.training.labels)) % 3
    plain = Hyperparameters(
        l2=0.01, learning_rate=0.05, decay_period=2, batch_size=8, flip_probability=0.3
    )
    fixed = optuna.trial.FixedTrial(
        {name: value for name, value in vars(plain).items() if name in NAMES}, number=4
    )
    for metric, class_weight in (
        ("val/macro_f1", "none"),
        ("val/balanced_accuracy", "balanced"),
        ("val/weighted_accuracy", "1,2.5,4"),
        ("val/log_loss", "1,2.5,4"),
    ):
        for parts in (None, folds):
            pixels, panels = (
                each if parts is None else replace(each, folds=parts, validation=each.training)
                for each in (tiny_pixels, tiny_data)
            )
            objective = metric.replace("/", "-").replace("_", "-")
            config = make_config(objective=objective, class_weight=class_weight, lanes=1)
            training = Training(
                hyperparameters=plain,
                epochs=3,
                seed=trial_seed(5, 4),
                row_weights=row_weights(class_weight, panels),
            )
            with open_engine(config, panels, timings=Timings(), workers=1) as engine:
                engine.start(0, training)
                *_, last = [engine.run_pass()[0] for _ in range(3)]
            options = {"epochs": 3, "seed": 5, "metric": metric, "class_weight": class_weight}
            space = read_space("softmax", overrides=["batch_size=8"])
            value = Objective(pixels, space=space, **options)(fixed)
            expected = last.evaluations["val"].further[metric.removeprefix("val/")]
            assert value == pytest.approx(expected, rel=1e-4)


def test_metrics_and_weights_that_cannot_be_are_refused(tiny_pixels):
    for options, says in (
        ({"metric": "val/cost"}, "metric must be one of val/accuracy, val/loss, val/bal"),
        ({"metric": "val/top5_accuracy"}, "of 3 classes is 1: take another"),
        ({"metric": "val/weighted_accuracy"}, "needs a number for each class"),
        ({"class_weight": "1,2"}, "3 classes, and each needs a weight: got 2"),
        ({"class_weight": "heavy"}, "class_weight must be none, balanced, or"),
    ):
        with pytest.raises(SweepError, match=says):
            Objective(tiny_pixels, **options)


def test_the_default_space_is_that_of_the_loss(tiny_pixels):
    study = study_of(Objective(tiny_pixels, loss="bce", epochs=1), 1)
    axis = DEFAULT_SPACES["bce"].axes["learning_rate"]
    assert study.trials[0].distributions["learning_rate"] == axis.distribution()


def test_a_trial_below_the_median_is_pruned_before_the_last_epoch(tiny_pixels):
    pruner = optuna.pruners.MedianPruner(n_startup_trials=3)
    study = study_of(Objective(tiny_pixels, epochs=4), 20, pruner=pruner)
    states = [trial.state for trial in study.trials]
    assert set(states) == {optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED}
    for trial in study.trials:
        complete = trial.state == optuna.trial.TrialState.COMPLETE
        assert (trial.last_step == 4) == complete


def test_the_last_epoch_is_never_pruned(tiny_pixels):
    class Severe(optuna.pruners.BasePruner):
        def prune(self, study, trial):  # noqa: ARG002 - the signature of a pruner
            return trial.last_step >= 2

    assert study_of(Objective(tiny_pixels, epochs=2), 1, pruner=Severe()).best_trial.number == 0
    pruned = study_of(Objective(tiny_pixels, epochs=3), 1, pruner=Severe()).trials[0]
    assert pruned.state == optuna.trial.TrialState.PRUNED
    assert pruned.last_step == 2


def test_a_diverging_setting_fails_with_its_reason_and_never_becomes_best(tiny_pixels):
    space = read_space("softmax", overrides=["learning_rate=0.01,1e6", "batch_size=5"])
    objective = Objective(tiny_pixels, epochs=3, space=space, metric="val/loss")
    study = study_of(objective, 8, direction="minimize")
    failed = {trial.number for trial in study.trials if trial.params["learning_rate"] == 1e6}
    assert 0 < len(failed) < 8
    assert study.best_trial.number not in failed
    for trial in study.trials:
        assert (trial.state == optuna.trial.TrialState.FAIL) == (trial.number in failed)
    for number in failed:
        reason = study.trials[number].user_attrs["reason"]
        assert reason.startswith("diverged in epoch ")
        assert reason.endswith(("the train cost is inf", "the train cost is nan"))


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(tiny_pixels):
    def curves(seed):
        study = study_of(Objective(tiny_pixels, epochs=2, seed=seed), 3)
        return [trial.intermediate_values for trial in study.trials]

    assert curves(3) == curves(3)
    assert curves(3) != curves(4)


@pytest.mark.parametrize("epochs", [0, -3, 1.5])
def test_epochs_that_cannot_be_are_refused_before_any_trial(tiny_pixels, epochs):
    with pytest.raises(SweepError, match=f"epochs must be a whole number from 1 on, got {epochs}"):
        Objective(tiny_pixels, epochs=epochs)


def test_rows_for_panels_are_refused_with_what_to_do(tiny_data):
    with pytest.raises(ValueError, match="mirrored=False"):
        study_of(Objective(tiny_data, epochs=1), 1)


def test_training_runs_with_one_blas_thread_and_gives_the_others_back(tiny_pixels, monkeypatch):
    def blas_threads():
        return [info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"]

    within, between = [], []

    def spy(*positional, **named):
        for result in train(*positional, **named):
            within.append(blas_threads())
            yield result

    class Pruner(optuna.pruners.BasePruner):
        def prune(self, study, trial):  # noqa: ARG002 - the signature of a pruner
            between.append(blas_threads())  # asked while the training rests
            return False

    monkeypatch.setattr(module, "train", spy)
    with threadpool_limits(2, user_api="blas"):
        study_of(Objective(tiny_pixels, epochs=3), 1, pruner=Pruner())
    assert (len(within), len(between)) == (3, 2)
    assert {threads for counts in within for threads in counts} == {1}
    assert {threads for counts in between for threads in counts} == {2}


def test_a_study_that_looks_for_the_worst_is_refused(tiny_pixels):
    for metric, direction in (("val/accuracy", "minimize"), ("val/loss", "maximize")):
        with pytest.raises(SweepError, match="create it with direction="):
            study_of(Objective(tiny_pixels, epochs=1, metric=metric), 1, direction=direction)


def test_the_first_rung_is_that_of_the_pruner_or_the_last_epoch(make_config):
    for changes, expected in (
        ({"epochs": 50}, 3),
        ({"epochs": 50, "eta": 4}, 2),
        ({"epochs": 50, "pruner": "hyperband"}, 3),
        ({"epochs": 50, "pruner": "none"}, 50),
        ({"epochs": 2}, 1),
        ({"epochs": 1}, 1),
    ):
        assert first_rung(make_config(**changes)) == expected, changes


def trials(make_trial):
    return [
        make_trial(0, [0.1, 0.2, 0.4]),
        make_trial(1, [0.3, 0.1], status="pruned"),
        make_trial(2, [0.5], status="failed"),
        make_trial(3, [], status="failed"),
        make_trial(4, [0.2, 0.3], status="running"),
        make_trial(5, [0.9], status="pruned"),
    ]


def test_trials_are_shown_as_they_ended(make_config, make_trial):
    given = trials(make_trial)
    shown = as_optuna(make_config(), given)
    states = ["COMPLETE", "PRUNED", "FAIL", "FAIL", "RUNNING", "PRUNED"]
    assert [trial.state for trial in shown] == [TrialState[name] for name in states]
    assert [trial.value for trial in shown] == [0.4, None, None, None, None, None]
    assert shown[1].intermediate_values == {1: 0.3, 2: 0.1}
    assert [trial.params for trial in shown] == [trial.params for trial in given]
    assert shown[0].datetime_start.timestamp() == given[0].began / 1000
    assert shown[0].distributions["l2"] == make_config().space.axes["l2"].distribution()
    assert shown[0].duration.total_seconds() == pytest.approx(0.03)
    assert shown[4].datetime_complete is None


def test_at_the_first_rung_all_that_reached_it_have_their_value_there(make_config, make_trial):
    shown = at_first_rung(make_config(epochs=50, eta=4), trials(make_trial))
    assert [trial.number for trial in shown] == [0, 1, 4]
    assert {trial.state for trial in shown} == {TrialState.COMPLETE}
    assert [trial.value for trial in shown] == [0.2, 0.1, 0.3]
    losses = at_first_rung(make_config(epochs=50, eta=4, objective="val-loss"), trials(make_trial))
    assert [round(trial.value, 6) for trial in losses] == [0.8, 0.9, 0.7]

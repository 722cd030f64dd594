import numpy as np
import optuna
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from sweep import objective
from sweep.objective import Objective, train_trial
from sweep.seeds import trial_seed
from sweep.space import DEFAULT_SPACES, NAMES, read_space
from sweep_model.draws import Draws
from sweep_model.hyperparameters import Hyperparameters
from sweep_model.losses import LOSSES
from sweep_model.reference import DivergedError, train

SETTING = {
    "l2": 0.01,
    "learning_rate": 0.02,
    "decay_period": 3,
    "batch_size": 7,
    "flip_probability": 0.3,
}


@pytest.fixture
def calls(monkeypatch):
    """Return the list of arguments that reach the trainer, which trains as ever."""
    seen = []

    def spy(*positional, **named):
        seen.append((positional, named))
        return train(*positional, **named)

    monkeypatch.setattr(objective, "train", spy)
    return seen


@pytest.fixture(autouse=True)
def _quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def study_of(objective, trials, *, direction="maximize", **options):
    sampler = optuna.samplers.RandomSampler(seed=1)
    study = optuna.create_study(direction=direction, sampler=sampler, **options)
    study.optimize(objective, n_trials=trials)
    return study


def test_every_suggested_hyperparameter_arrives_in_the_trainer(tiny_data, calls):
    study = study_of(Objective(tiny_data, epochs=1), 4)
    assert len(calls) == 4
    for trial, (positional, _) in zip(study.trials, calls, strict=True):
        hyperparameters = positional[2]
        assert tuple(trial.params) == NAMES
        assert {name: getattr(hyperparameters, name) for name in NAMES} == trial.params


def test_the_trainer_is_given_the_rows_the_loss_the_epochs_and_the_trials_own_seed(
    tiny_data, calls
):
    study_of(Objective(tiny_data, loss="bce", epochs=2, seed=5), 2)
    for number, (positional, named) in enumerate(calls):
        assert positional[:2] == (tiny_data.training, tiny_data.validation)
        assert named == {
            "loss": LOSSES["bce"],
            "classes": 3,
            "epochs": 2,
            "draws": Draws(trial_seed(5, number)),
            "image_shape": (1, 3, 4),
        }


@pytest.mark.parametrize(
    ("metric", "direction", "rows"),
    [("val/accuracy", "maximize", "accuracy"), ("val/loss", "minimize", "loss")],
)
def test_the_value_of_a_trial_is_its_metric_after_the_last_epoch(
    tiny_data, metric, direction, rows
):
    study = study_of(Objective(tiny_data, epochs=3, metric=metric), 2, direction=direction)
    for trial in study.trials:
        *_, last = train_trial(
            tiny_data,
            Hyperparameters(**trial.params),
            loss="softmax",
            epochs=3,
            seed=trial_seed(0, trial.number),
        )
        assert trial.value == getattr(last.val, rows)
        assert list(trial.intermediate_values) == [1, 2, 3]
        assert trial.intermediate_values[3] == trial.value


def test_the_default_space_is_that_of_the_loss(tiny_data):
    study = study_of(Objective(tiny_data, loss="bce", epochs=1), 1)
    axis = DEFAULT_SPACES["bce"].axes["learning_rate"]
    assert study.trials[0].distributions["learning_rate"] == (
        optuna.distributions.FloatDistribution(axis.low, axis.high, log=True)
    )


def test_a_trial_below_the_median_is_pruned_before_the_last_epoch(tiny_data):
    pruner = optuna.pruners.MedianPruner(n_startup_trials=3)
    study = study_of(Objective(tiny_data, epochs=4), 20, pruner=pruner)
    states = [trial.state for trial in study.trials]
    assert set(states) == {optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED}
    for trial in study.trials:
        complete = trial.state == optuna.trial.TrialState.COMPLETE
        assert (trial.last_step == 4) == complete


def test_the_last_epoch_is_never_pruned(tiny_data):
    class Severe(optuna.pruners.BasePruner):
        def prune(self, study, trial):  # noqa: ARG002 - the signature of a pruner
            return trial.last_step >= 2

    assert study_of(Objective(tiny_data, epochs=2), 1, pruner=Severe()).best_trial.number == 0
    pruned = study_of(Objective(tiny_data, epochs=3), 1, pruner=Severe()).trials[0]
    assert pruned.state == optuna.trial.TrialState.PRUNED
    assert pruned.last_step == 2


def test_a_diverging_setting_fails_with_its_reason_and_never_becomes_best(tiny_data):
    space = read_space("softmax", overrides=["learning_rate=0.01,1e6", "batch_size=5"])
    objective = Objective(tiny_data, epochs=3, space=space, metric="val/loss")
    study = study_of(objective, 8, direction="minimize")
    failed = {trial.number for trial in study.trials if trial.params["learning_rate"] == 1e6}
    assert 0 < len(failed) < 8
    assert study.best_trial.number not in failed
    for trial in study.trials:
        assert (trial.state == optuna.trial.TrialState.FAIL) == (trial.number in failed)
    for number in failed:
        reason = study.trials[number].user_attrs["reason"]
        assert reason.startswith("diverged in epoch ")
        assert reason.endswith(("the training cost is inf", "the training cost is nan"))


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(tiny_data):
    def curves(seed):
        study = study_of(Objective(tiny_data, epochs=2, seed=seed), 3)
        return [trial.intermediate_values for trial in study.trials]

    assert curves(3) == curves(3)
    assert curves(3) != curves(4)


def test_two_trainings_with_the_same_seed_agree_bit_for_bit(tiny_data):
    def weights(seed):
        setting = Hyperparameters(**SETTING)
        *_, last = train_trial(tiny_data, setting, loss="softmax", epochs=3, seed=seed)
        return last.weights

    assert np.array_equal(weights(1), weights(1))
    assert not np.array_equal(weights(1), weights(2))


def test_training_runs_with_one_blas_thread_and_gives_the_others_back(tiny_data, monkeypatch):
    def blas_threads():
        return [info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"]

    within = []

    def spy(*positional, **named):
        for result in train(*positional, **named):
            within.append(blas_threads())
            yield result

    monkeypatch.setattr(objective, "train", spy)
    between = []
    with threadpool_limits(2, user_api="blas"):
        for _ in train_trial(
            tiny_data, Hyperparameters(**SETTING), loss="softmax", epochs=3, seed=0
        ):
            between.append(blas_threads())  # noqa: PERF401 - asked while the training rests
    assert len(within) == len(between) == 3
    assert {threads for counts in within for threads in counts} == {1}
    assert {threads for counts in between for threads in counts} == {2}


def test_a_divergence_is_raised_where_the_trial_is_trained(tiny_data):
    setting = Hyperparameters(**SETTING | {"learning_rate": 1e6, "l2": 1e6})
    with pytest.raises(DivergedError):
        list(train_trial(tiny_data, setting, loss="softmax", epochs=3, seed=0))

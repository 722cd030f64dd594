import optuna
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from sweep.config import trial_seed
from sweep.search import objective as module
from sweep.search.objective import Objective
from sweep.space import DEFAULT_SPACES, NAMES, read_space
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
    with pytest.raises(ValueError, match=f"epochs must be a whole number from 1 on, got {epochs}"):
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

import optuna
import pytest
from optuna.trial import TrialState

from sweep.space import read_space
from sweep.study.importance import MIN_COMPLETE_TRIALS, importances
from sweep.study.opening import begin_study


@pytest.fixture
def study_of(make_settings):
    """Return a function that makes a study of random trials, each worth what `value` says."""

    def make(trials, value, **changes):
        study = begin_study(make_settings(**changes), optuna.storages.InMemoryStorage())
        study.optuna.sampler = optuna.samplers.RandomSampler(seed=4)
        for _ in range(trials):
            trial = study.optuna.ask()
            study.optuna.tell(trial, value(study.settings.space.suggest(trial)))
        return study

    return make


def by_flips(setting):
    return 1 - setting["flip_probability"]


def test_the_hyperparameter_that_decides_comes_first(study_of):
    shares = importances(study_of(40, by_flips))
    assert next(iter(shares)) == "flip_probability"
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["flip_probability"] > 0.8


def test_what_is_not_searched_has_no_share(study_of):
    space = read_space("softmax", overrides=["l2=0.1", "batch_size=50"])
    shares = importances(study_of(10, by_flips, space=space))
    assert set(shares) == {"learning_rate", "decay_period", "flip_probability"}


def test_a_space_of_single_values_has_no_shares(study_of):
    singles = ["l2=0.1", "batch_size=50", "learning_rate=1", "decay_period=2", "flip_probability=0"]
    space = read_space("softmax", overrides=singles)
    values = iter(range(10))
    assert importances(study_of(10, lambda _: next(values), space=space)) == {}


def test_few_complete_trials_have_no_shares(study_of):
    assert importances(study_of(MIN_COMPLETE_TRIALS - 1, by_flips)) == {}
    assert importances(study_of(MIN_COMPLETE_TRIALS, by_flips)) != {}


def test_trials_of_equal_worth_have_no_shares(study_of):
    assert importances(study_of(10, lambda _: 0.5)) == {}


def test_pruned_trials_do_not_count(study_of):
    study = study_of(MIN_COMPLETE_TRIALS - 1, by_flips)
    pruned = study.optuna.ask()
    study.settings.space.suggest(pruned)
    study.optuna.tell(pruned, state=TrialState.PRUNED)
    assert importances(study) == {}


def test_a_choice_that_never_varied_has_no_share_worth_naming(study_of):
    space = read_space("softmax", overrides=["batch_size=50,51"])
    study = study_of(0, by_flips, space=space)
    for flips in range(6):
        study.optuna.enqueue_trial({"batch_size": 50, "flip_probability": flips / 20})
        trial = study.optuna.ask()
        study.optuna.tell(trial, by_flips(space.suggest(trial)))
    assert importances(study)["batch_size"] < 0.01

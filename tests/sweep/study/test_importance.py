import itertools
from dataclasses import replace

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from sweep.space import NAMES, read_space
from sweep.study.importance import (
    BETTER,
    MIN_COMPLETE_TRIALS,
    Importance,
    Importances,
    importances,
)
from sweep.study.opening import begin_study

NOTHING = {"ranked": [], "alike": []}


@pytest.fixture
def study_of(make_settings):
    """Return a function that makes a study of random trials, each worth what `value` says."""

    def make(trials, value, *, seed=4, **changes):
        study = begin_study(make_settings(**changes), optuna.storages.InMemoryStorage())
        study.optuna.sampler = optuna.samplers.RandomSampler(seed=seed)
        for _ in range(trials):
            trial = study.optuna.ask()
            study.optuna.tell(trial, value(study.settings.space.suggest(trial)))
        return study

    return make


def by_flips(setting):
    return 1 - setting["flip_probability"]


def noise(seed):
    """Return a function that is worth the same, give or take, whatever the setting."""
    rng = np.random.default_rng(seed)
    return lambda _: float(rng.normal())


def test_the_hyperparameter_that_decides_comes_first_and_is_told_from_the_next(study_of):
    found = importances(study_of(50, by_flips))
    first, *others = found.ranked
    assert first.name == "flip_probability"
    assert first.share > 0.8
    assert all(first.low > other.high for other in others)
    assert found.alike == list(itertools.pairwise(one.name for one in others))
    assert found.reason == ""


def test_the_shares_are_ranked_and_add_up_to_one(study_of):
    shares = list(importances(study_of(40, noise(0))).shares.values())
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1)


@pytest.mark.parametrize("seed", range(3))
def test_of_two_hyperparameters_the_one_that_decides_more_comes_first(study_of, seed):
    rng = np.random.default_rng(seed)

    def by_two(setting):
        rate = (np.log10(setting["learning_rate"]) + 3) ** 2
        return -float(rate + 0.1 * (np.log10(setting["l2"]) + 3) ** 2 + 0.02 * rng.normal())

    first, second, *_ = importances(study_of(100, by_two, seed=seed)).ranked
    assert (first.name, second.name) == ("learning_rate", "l2")


@pytest.mark.parametrize("seed", range(3))
def test_in_pure_noise_no_hyperparameter_is_told_from_the_next(study_of, seed):
    found = importances(study_of(50, noise(seed), seed=seed))
    ranked = list(found.shares)
    assert found.alike == list(itertools.pairwise(ranked))
    assert all(one.high - one.low > 0.1 for one in found.ranked)


def test_more_trials_make_the_intervals_narrower(study_of):
    few, many = (importances(study_of(n, by_flips)).ranked[0] for n in (20, 200))
    assert many.high - many.low < few.high - few.low


def test_the_same_trials_have_the_same_importances(study_of):
    study = study_of(30, noise(3))
    assert importances(study) == importances(study)


def test_the_shares_are_optunas_own(study_of):
    study = study_of(30, noise(1))
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=BETTER)
    expected = optuna.importance.get_param_importances(
        study.optuna, evaluator=evaluator, params=list(NAMES)
    )
    assert importances(study).shares == pytest.approx(expected)


def test_an_interval_is_that_of_studies_of_resampled_trials(study_of, monkeypatch):
    monkeypatch.setattr("sweep.study.importance.RESAMPLES", 3)
    study = study_of(12, noise(2))
    trials, rng = study.trials(), np.random.default_rng(0)
    again = []
    for _ in range(3):
        resampled = study_of(0, by_flips)
        resampled.optuna.add_trials([trials[i] for i in rng.integers(12, size=12)])
        again.append(importances(resampled).shares)
    for one in importances(study).ranked:
        low, high = np.quantile([shares[one.name] for shares in again], [0.025, 0.975])
        ends = [min(low, one.share), max(high, one.share)]
        assert [one.low, one.high] == pytest.approx(ends)


@pytest.mark.parametrize("objective", ["val-accuracy", "val-loss"])
def test_a_half_that_equal_values_blur_is_the_nearest_that_can_be_told(study_of, objective):
    sign = 1 if objective == "val-accuracy" else -1

    def by_choice(setting):
        return sign * float(setting["batch_size"] == 25)  # all but a fifth are equally bad

    first, *_ = importances(study_of(60, by_choice, objective=objective)).ranked
    assert first.name == "batch_size"
    assert first.share > 0.7


def test_the_study_itself_is_left_alone(study_of):
    study = study_of(20, noise(1))
    before = [(trial.number, trial.params, trial.value) for trial in study.trials()]
    importances(study)
    assert [(trial.number, trial.params, trial.value) for trial in study.trials()] == before


def test_what_is_not_searched_has_no_share(study_of):
    space = read_space("softmax", overrides=["l2=0.1", "batch_size=50"])
    shares = importances(study_of(10, by_flips, space=space)).shares
    assert set(shares) == {"learning_rate", "decay_period", "flip_probability"}


def test_what_alone_is_searched_has_the_whole_share(study_of):
    singles = ["l2=0.1", "batch_size=50", "learning_rate=1", "decay_period=2"]
    found = importances(study_of(10, by_flips, space=read_space("softmax", overrides=singles)))
    assert found == Importances(
        ranked=[Importance(name="flip_probability", share=1.0, low=1.0, high=1.0)], alike=[]
    )


def test_a_space_of_single_values_has_no_shares(study_of):
    singles = ["l2=0.1", "batch_size=50", "learning_rate=1", "decay_period=2", "flip_probability=0"]
    space = read_space("softmax", overrides=singles)
    found = importances(study_of(10, noise(0), space=space))
    assert found == Importances(**NOTHING, reason="no hyperparameter was searched")


def test_few_complete_trials_have_no_shares(study_of):
    few = importances(study_of(MIN_COMPLETE_TRIALS - 1, by_flips))
    assert few == Importances(**NOTHING, reason="9 complete trials, 10 needed")
    assert importances(study_of(MIN_COMPLETE_TRIALS, by_flips)).ranked != []


def test_trials_of_equal_worth_have_no_shares(study_of):
    found = importances(study_of(10, lambda _: 0.5))
    assert found == Importances(**NOTHING, reason="all complete trials came to the same")


def test_resamples_of_equal_worth_leave_every_share_open(study_of):
    values = iter([0.9] + [0.5] * 11)  # a third of the resamples miss the first
    found = importances(study_of(12, lambda _: next(values)))
    assert len(found.ranked) == len(NAMES)
    assert all(one.low <= 1 / len(NAMES) <= one.high for one in found.ranked)


def test_pruned_trials_do_not_count(study_of):
    study = study_of(MIN_COMPLETE_TRIALS - 1, by_flips)
    pruned = study.optuna.ask()
    study.settings.space.suggest(pruned)
    study.optuna.tell(pruned, state=TrialState.PRUNED)
    assert importances(study).ranked == []


def test_a_choice_that_never_varied_has_no_share_worth_naming(study_of):
    space = read_space("softmax", overrides=["batch_size=50,51"])
    study = study_of(0, by_flips, space=space)
    for flips in range(12):
        study.optuna.enqueue_trial({"batch_size": 50, "flip_probability": flips / 24})
        trial = study.optuna.ask()
        study.optuna.tell(trial, by_flips(space.suggest(trial)))
    assert importances(study).shares["batch_size"] < 0.01


def test_shares_and_intervals_are_named(study_of):
    found = importances(study_of(20, noise(5)))
    for one in found.ranked:
        assert found.shares[one.name] == one.share
        assert found.intervals[one.name] == (one.low, one.high)
    assert replace(found, ranked=[]).shares == {}

import itertools
from dataclasses import replace

import numpy as np
import optuna
import pytest

from sweep.analysis import Importance, Importances, importances
from sweep.analysis.importance import BETTER, MIN_TRIALS, record_importances
from sweep.search.objective import at_first_rung
from sweep.search_space import NAMES, read_space

SINGLES = ["l2=0.1", "batch_size=50", "learning_rate=1", "decay_period=2"]
FEW, SOME = 3, 50
"""Resamples: where intervals do not matter, and as many as tell a wide one from a narrow one."""


@pytest.fixture
def study_of(make_study, make_config, make_trial):
    """Return a function that makes a study of random settings, each worth what `value` says."""
    names = (f"study-{number}" for number in itertools.count())

    def make(trials, value, *, seed=4, objective="val-accuracy", **changes):
        config = make_config(study=next(names), objective=objective, **changes)
        rng, made = np.random.default_rng(seed), []
        for number in range(trials):
            setting = {name: axis.at(rng.random()) for name, axis in config.space.axes.items()}
            worth = [value(setting)]
            made.append(make_trial(number, worth, losses=worth, params=setting))
        return make_study(config, made)

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
    assert found.shares[first.name] == first.share
    assert found.intervals[first.name] == (first.low, first.high)


def test_the_shares_are_ranked_add_up_to_one_and_are_the_same_again(study_of):
    study = study_of(40, noise(0))
    found = importances(study, resamples=FEW)
    shares = list(found.shares.values())
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1)
    assert importances(study, resamples=FEW) == found


def test_of_two_hyperparameters_the_one_that_decides_more_comes_first(study_of):
    space = read_space("softmax", overrides=["learning_rate=1e-4:1e-1:log"])
    for seed in range(3):
        rng = np.random.default_rng(seed)

        def by_two(setting, rng=rng):
            rate = (np.log10(setting["learning_rate"]) + 3) ** 2
            return -float(rate + 0.1 * (np.log10(setting["l2"]) + 3) ** 2 + 0.02 * rng.normal())

        found = importances(study_of(100, by_two, seed=seed, space=space), resamples=FEW)
        assert list(found.shares)[:2] == ["learning_rate", "l2"]


def test_in_pure_noise_no_hyperparameter_is_told_from_the_next(study_of):
    for seed in range(3):
        found = importances(study_of(50, noise(seed), seed=seed), resamples=SOME)
        assert found.alike == list(itertools.pairwise(found.shares))
        assert all(one.high - one.low > 0.1 for one in found.ranked)


def test_more_trials_make_the_intervals_narrower(study_of):
    few, many = (importances(study_of(n, by_flips), resamples=SOME).ranked[0] for n in (20, 200))
    assert many.high - many.low < few.high - few.low


def test_the_shares_are_optunas_own(study_of):
    study = study_of(30, noise(1))
    told = optuna.create_study(direction="maximize")
    told.add_trials(at_first_rung(study.config, study.trials()))
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=BETTER)
    expected = optuna.importance.get_param_importances(
        told, evaluator=evaluator, params=list(NAMES)
    )
    assert importances(study, resamples=FEW).shares == pytest.approx(expected)


def test_an_interval_is_that_of_studies_of_resampled_trials(study_of, make_study):
    study = study_of(12, noise(2))
    trials, rng = study.trials(), np.random.default_rng(0)
    again = []
    for number in range(FEW):
        drawn = [trials[i] for i in rng.integers(12, size=12)]
        renumbered = [replace(t, number=n, index=n) for n, t in enumerate(drawn)]
        resampled = make_study(replace(study.config, study=f"again-{number}"), renumbered)
        again.append(importances(resampled, resamples=FEW).shares)
    for one in importances(study, resamples=FEW).ranked:
        low, high = np.quantile([shares[one.name] for shares in again], [0.025, 0.975])
        ends = [min(low, one.share), max(high, one.share)]
        assert [one.low, one.high] == pytest.approx(ends)


def test_a_half_that_equal_values_blur_is_the_nearest_that_can_be_told(study_of):
    for objective, sign in (("val-accuracy", 1), ("val-loss", -1)):

        def by_choice(setting, sign=sign):
            return sign * float(setting["batch_size"] == 50)  # all but a quarter are equally bad

        study = study_of(60, by_choice, objective=objective)
        first, *_ = importances(study, resamples=FEW).ranked
        assert first.name == "batch_size"
        assert first.share > 0.7
    values = iter([0.9] + [0.5] * 11)  # a third of the resamples miss the first
    found = importances(study_of(12, lambda _: next(values)), resamples=SOME)
    assert all(one.low <= 1 / len(NAMES) <= one.high for one in found.ranked)


def test_what_is_not_searched_or_did_not_vary_has_no_share_and_what_alone_is_has_all(study_of):
    space = read_space("softmax", overrides=["l2=0.1", "batch_size=50"])
    shares = importances(study_of(10, by_flips, space=space), resamples=FEW).shares
    assert set(shares) == {"learning_rate", "decay_period", "flip_probability"}
    alone = study_of(10, by_flips, space=read_space("softmax", overrides=SINGLES))
    assert importances(alone, resamples=FEW) == Importances(
        ranked=[Importance(name="flip_probability", share=1.0, low=1.0, high=1.0)], alike=[]
    )
    flips = itertools.count()

    def by_count(setting):
        setting |= {"batch_size": 50, "flip_probability": next(flips) / 24}
        return by_flips(setting)

    study = study_of(12, by_count, space=read_space("softmax", overrides=["batch_size=50,51"]))
    assert importances(study, resamples=FEW).shares["batch_size"] < 0.01


def test_where_nothing_can_be_told_the_reason_is(study_of):
    space = read_space("softmax", overrides=[*SINGLES, "flip_probability=0"])
    for study, reason in (
        (study_of(10, noise(0), space=space), "no hyperparameter was searched"),
        (study_of(MIN_TRIALS - 1, by_flips), "9 trials reached epoch 1, 10 needed"),
        (study_of(10, lambda _: 0.5), "all trials came to the same"),
    ):
        assert importances(study) == Importances(ranked=[], alike=[], reason=reason)
    assert importances(study_of(MIN_TRIALS, by_flips), resamples=FEW).ranked != []


def test_pruned_trials_count_with_their_value_at_the_first_rung(
    make_study, make_config, make_trial
):
    config, rng = make_config(epochs=50, eta=4), np.random.default_rng(0)
    trials = []
    for number in range(60):
        setting = {name: axis.at(rng.random()) for name, axis in config.space.axes.items()}
        at_rung, later = by_flips(setting), [rng.random()] * 3
        pruned = number % 5
        values = [0.0, at_rung, *([] if pruned else later)]
        status = "pruned" if pruned else "complete"
        trials.append(make_trial(number, values, status=status, params=setting))
    first, *_ = importances(make_study(config, trials), resamples=FEW).ranked
    assert first.name == "flip_probability"
    assert first.share > 0.8


def test_what_is_on_record_of_the_same_trials_is_not_computed_again(study_of, make_trial):
    study = study_of(MIN_TRIALS, by_flips)
    recorded = record_importances(study)
    assert importances(study, resamples=FEW) == recorded  # else few resamples tell others
    setting = study.trial(0).params
    last = make_trial(MIN_TRIALS, [0.9], losses=[0.9], params=setting)
    study.begin(last, None)
    study.end(last)
    assert importances(study, resamples=FEW) != recorded

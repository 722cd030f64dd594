import copy

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from sweep.study import attributes
from sweep.study.ending import Ending
from sweep.study.opening import begin_study
from sweep.study.pruning import Referee, pruner
from sweep.study.storage import create_storage

EPOCHS = 10
PRUNERS = {
    "median": optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1),
    "hyperband": optuna.pruners.HyperbandPruner(max_resource=EPOCHS),
    "none": optuna.pruners.NopPruner(),
}


@pytest.fixture
def begin(make_settings):
    """Return a function that begins a study in memory."""

    def begin(**changes):
        settings = make_settings(**{"epochs": EPOCHS} | changes)
        return begin_study(settings, optuna.storages.InMemoryStorage())

    return begin


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Return the store of an empty folder."""
    monkeypatch.chdir(tmp_path)
    return create_storage()


def random_curves(rng, trials):
    """Return curves that rise to different heights, and cross."""
    heights, noise = rng.random((trials, 1)), rng.random((trials, EPOCHS))
    return (heights * (1 - 0.7 ** np.arange(1, EPOCHS + 1)) + 0.2 * noise).tolist()


def judge(referee, curve):
    """Return how many epochs the referee lets a trial run, and why it ends."""
    referee.begin()
    reasons = ((epoch, referee.why_prune(epoch, value)) for epoch, value in enumerate(curve, 1))
    epoch, why = next((found for found in reasons if found[1]), (len(curve), None))
    referee.end(Ending.PRUNED if why else Ending.COMPLETE, None if why else curve[-1])
    return epoch, why


def keep(study, curve, why, ending=None, position=None):
    """Store a trial as the loop would, under a position if it is not the number."""
    trial = study.optuna.ask()
    for epoch, value in enumerate(curve, 1):
        trial.report(value, epoch)
    how = ending or (Ending.PRUNED if why else Ending.COMPLETE)
    trial.set_user_attr(attributes.ENDING, str(how))
    trial.set_user_attr(attributes.POSITION, trial.number if position is None else position)
    study.optuna.tell(trial, curve[-1] if how == Ending.COMPLETE else None, state=how.state)


def optunas_decisions(study, curves):
    """Return how many epochs Optuna's own pruner lets each trial of a stored study run."""
    epochs = []
    for curve in curves:
        trial = study.ask()
        for epoch, value in enumerate(curve, 1):
            trial.report(value, epoch)
            pruned = epoch < EPOCHS and trial.should_prune()
            if pruned:
                break
        study.tell(
            trial,
            None if pruned else value,
            state=TrialState.PRUNED if pruned else TrialState.COMPLETE,
        )
        epochs.append(epoch)
    return epochs


@pytest.mark.parametrize("objective", ["val-accuracy", "val-loss"])
@pytest.mark.parametrize("name", PRUNERS)
def test_the_referee_decides_as_optuna_does_on_a_stored_study(begin, store, rng, name, objective):
    curves = random_curves(rng, 10)
    study = begin(pruner=name, objective=objective)
    stored = optuna.create_study(
        study_name=study.name,
        storage=store,
        direction=study.settings.direction,
        pruner=copy.deepcopy(PRUNERS[name]),
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    expected = optunas_decisions(stored, curves)
    assert (min(expected) < EPOCHS) == (name != "none")
    assert max(expected) == EPOCHS
    referee = Referee(study)
    assert [judge(referee, curve)[0] for curve in curves] == expected


@pytest.mark.parametrize("name", PRUNERS)
def test_a_referee_made_anew_after_any_trial_decides_as_the_first_one_would(begin, rng, name):
    study, curves = begin(pruner=name), random_curves(rng, 25)
    first = Referee(study)
    for curve in curves:
        expected = judge(first, curve)
        assert judge(Referee(study), curve) == expected
        keep(study, curve[: expected[0]], expected[1])


@pytest.mark.parametrize("name", PRUNERS)
def test_an_interrupted_trial_changes_no_decision(begin, rng, name):
    curves = random_curves(rng, 25)
    unbroken = Referee(begin(pruner=name))
    expected = [judge(unbroken, curve) for curve in curves]
    study = begin(pruner=name)
    for position, (curve, (epochs, why)) in enumerate(zip(curves, expected, strict=True)):
        if position % 3 == 1:
            keep(study, curve[:2], None, ending=Ending.INTERRUPTED, position=position)
        assert judge(Referee(study), curve) == (epochs, why)
        keep(study, curve[:epochs], why, position=position)


@pytest.mark.parametrize("name", ["median", "hyperband"])
def test_the_last_epoch_is_never_pruned(begin, name):
    study = begin(pruner=name)
    referee = Referee(study)
    for height in (9, 8, 7, 6, 5, 4, 3):
        referee.begin()
        for epoch in range(1, EPOCHS):
            referee.trial.report(float(height), epoch)  # nobody asks before the end
        assert referee.why_prune(EPOCHS, height) is None
        referee.end(Ending.COMPLETE, height)


def test_the_median_reason_names_the_epoch_the_value_and_the_median(begin):
    referee = Referee(begin())
    for height in (0.5, 0.6, 0.7, 0.8, 0.9, 0.35):
        judge(referee, [0.1 + height] * EPOCHS)
    assert judge(referee, [0.123456, 0.1]) == (
        1,
        "epoch 1: val/accuracy 0.1235, its best so far worse than the median 0.8000 of 5",
    )


def test_the_median_is_that_of_complete_trials_and_the_warmup_is_a_tenth_of_the_epochs(begin):
    referee = Referee(begin(epochs=30, objective="val-loss"))
    for height in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0):
        referee.begin()
        referee.why_prune(3, height)
        referee.end(Ending.COMPLETE, height)
    referee.begin()
    referee.why_prune(3, 0.0)
    referee.end(Ending.DIVERGED, None)
    referee.begin()
    assert referee.why_prune(2, 9.0) is None
    assert referee.why_prune(3, 8.0) == (
        "epoch 3: val/loss 8.0000, its best so far worse than the median 3.5000 of 6"
    )


def test_the_first_five_trials_are_not_judged_by_their_median(begin):
    referee = Referee(begin())
    assert [judge(referee, [height] * EPOCHS)[0] for height in (0.9, 0.7, 0.5, 0.3, 0.1)] == (
        [EPOCHS] * 5
    )
    assert judge(referee, [0.2] * EPOCHS)[0] == 1


@pytest.mark.parametrize(("objective", "sign"), [("val-accuracy", 1), ("val-loss", -1)])
def test_the_hyperband_reason_names_the_epoch_and_the_value(begin, objective, sign):
    referee = Referee(begin(pruner="hyperband", objective=objective))
    whys = [judge(referee, [-sign * float(i)] * EPOCHS)[1] for i in range(30)]
    last = next(i for i in reversed(range(30)) if whys[i] and whys[i].startswith("epoch 1:"))
    assert whys[last] == (
        f"epoch 1: {objective.replace('-', '/')} {-sign * last:.4f}, "
        "not among the best of its hyperband bracket"
    )


def test_without_a_pruner_every_trial_runs_to_its_end(begin):
    referee = Referee(begin(pruner="none"))
    assert {judge(referee, [-float(i)] * EPOCHS) for i in range(10)} == {(EPOCHS, None)}


def test_nothing_is_written_to_the_study(begin, rng):
    study = begin()
    referee = Referee(study)
    for curve in random_curves(rng, 3):
        judge(referee, curve)
    assert study.trials() == []


@pytest.mark.parametrize(("epochs", "warmup"), [(1, 1), (9, 1), (20, 2), (105, 10)])
def test_the_median_pruner_looks_first_after_a_tenth_of_the_epochs(make_settings, epochs, warmup):
    assert pruner(make_settings(epochs=epochs))._n_warmup_steps == warmup

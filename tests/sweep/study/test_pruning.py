import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from sweep.study.ending import Ending
from sweep.study.ledger import Ledger

EPOCHS = 10
PRUNERS = {
    "median": optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1),
    "hyperband": optuna.pruners.HyperbandPruner(max_resource=EPOCHS),
    "none": optuna.pruners.NopPruner(),
}


@pytest.fixture
def begin(make_settings):
    """Return a function that makes the ledger of a study."""
    return lambda **changes: Ledger(make_settings(**{"epochs": EPOCHS} | changes))


def random_curves(rng, trials):
    """Return curves that rise to different heights, and cross."""
    heights, noise = rng.random((trials, 1)), rng.random((trials, EPOCHS))
    return (heights * (1 - 0.7 ** np.arange(1, EPOCHS + 1)) + 0.2 * noise).tolist()


def judge(ledger, curve):
    """Return how many epochs a trial may run, and why it ends."""
    position = ledger.ask().number
    reasons = (
        (epoch, ledger.why_prune(position, epoch, value)) for epoch, value in enumerate(curve, 1)
    )
    epoch, why = next((found for found in reasons if found[1]), (len(curve), None))
    ledger.end(position, Ending.PRUNED if why else Ending.COMPLETE, curve[:epoch])
    return epoch, why


def optunas_decisions(study, curves):
    """Return how many epochs Optuna's own pruner lets each trial run."""
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
def test_every_pruner_decides_as_optunas_own_does(begin, rng, name, objective):
    curves = random_curves(rng, 40)
    ledger = begin(pruner=name, objective=objective, sampler="random")
    optunas = optuna.create_study(
        study_name=ledger.settings.study,
        direction=ledger.settings.direction,
        pruner=PRUNERS[name],
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    expected = optunas_decisions(optunas, curves)
    assert (min(expected) < EPOCHS) == (name != "none")
    assert max(expected) == EPOCHS
    assert [judge(ledger, curve)[0] for curve in curves] == expected


@pytest.mark.parametrize("name", ["median", "hyperband"])
def test_the_last_epoch_is_never_pruned(begin, name):
    ledger = begin(pruner=name)
    for height in (9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0):
        position = ledger.ask().number  # nobody asks before the end
        assert ledger.why_prune(position, EPOCHS, height) is None
        ledger.end(position, Ending.COMPLETE, [height] * EPOCHS)


def test_the_median_reason_names_the_epoch_the_value_and_the_median(begin):
    ledger = begin()
    for height in (0.5, 0.6, 0.7, 0.8, 0.9, 0.35):
        judge(ledger, [0.1 + height] * EPOCHS)
    assert judge(ledger, [0.123456, 0.1]) == (
        1,
        "epoch 1: val/accuracy 0.1235, its best so far worse than the median 0.8000 of 5",
    )


def test_the_median_is_that_of_complete_trials_and_the_warmup_is_a_tenth_of_the_epochs(begin):
    ledger = begin(epochs=30, objective="val-loss")
    for height in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0):
        ledger.end(ledger.ask().number, Ending.COMPLETE, [height] * 30)
    ledger.end(ledger.ask().number, Ending.DIVERGED, [0.0] * 3)
    position = ledger.ask().number
    assert ledger.why_prune(position, 2, 9.0) is None
    assert ledger.why_prune(position, 3, 8.0) == (
        "epoch 3: val/loss 8.0000, its best so far worse than the median 3.5000 of 6"
    )


def test_the_first_five_trials_are_not_judged_by_their_median(begin):
    ledger = begin()
    heights = (0.9, 0.7, 0.5, 0.3, 0.1)
    assert [judge(ledger, [height] * EPOCHS)[0] for height in heights] == [EPOCHS] * 5
    assert judge(ledger, [0.2] * EPOCHS)[0] == 1


@pytest.mark.parametrize(("objective", "sign"), [("val-accuracy", 1), ("val-loss", -1)])
def test_the_hyperband_reason_names_the_epoch_and_the_value(begin, objective, sign):
    ledger = begin(pruner="hyperband", objective=objective)
    whys = [judge(ledger, [-sign * float(i)] * EPOCHS)[1] for i in range(30)]
    last = next(i for i in reversed(range(30)) if whys[i] and whys[i].startswith("epoch 1:"))
    assert whys[last] == (
        f"epoch 1: {objective.replace('-', '/')} {-sign * last:.4f}, "
        "not among the best of its hyperband bracket"
    )


def test_without_a_pruner_every_trial_runs_to_its_end(begin):
    ledger = begin(pruner="none")
    assert {judge(ledger, [-float(i)] * EPOCHS) for i in range(10)} == {(EPOCHS, None)}

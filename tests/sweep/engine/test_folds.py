from dataclasses import replace
from statistics import fmean, stdev

import numpy as np
import pytest
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold

from sweep.data import Dataset, Split, prepare
from sweep.data.dataset import SAMPLE, stratified_folds, stratified_sample
from sweep.engine import open_engine
from sweep.errors import SweepError
from sweep.search.objective import train_trial
from sweep.timings import Timings
from sweep_model.hyperparameters import Hyperparameters
from sweep_model.losses import LOSSES
from sweep_model.reference import train
from sweep_model.training import DivergedError, Rows, Training, balanced_weights

FOLDS = 3
LABELS = np.repeat([0, 1, 2], [30, 21, 12])


@pytest.fixture(scope="module")
def dataset():
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(3, 12))[LABELS] + rng.normal(size=(63, 12))
    names = ("ant", "bee", "cat")
    return Dataset(
        name="uneven",
        rows=rows.astype(np.float32),
        labels=LABELS,
        class_names=names,
        image_shape=(1, 3, 4),
    )


def folded(dataset, *, mirrored):
    """All rows in three folds, for panels or for the reference trainer."""
    every = np.arange(len(LABELS))
    numbers = stratified_folds(dataset, FOLDS, 5)
    return prepare(dataset, Split(every, every, numbers), mirrored=mirrored)


@pytest.fixture
def engine(dataset, make_config):
    """Return a function that opens the engine of the folds of a study."""

    def make(loss="softmax"):
        config = make_config(loss=loss, objective="val-macro-f1", lanes=2)
        data = folded(dataset, mirrored=True)
        return open_engine(config, data, timings=Timings(), workers=1)

    return make


def training(*, epochs=3, row_weights=None, **changes):
    setting = {"l2": 0.01, "learning_rate": 0.05, "decay_period": 2, "batch_size": 8}
    setting |= {"flip_probability": 0.3, **changes}
    return Training(
        hyperparameters=Hyperparameters(**setting), epochs=epochs, seed=7, row_weights=row_weights
    )


def test_folds_are_those_of_scikit_learn_and_every_class_has_its_share(dataset):
    numbers = stratified_folds(dataset, FOLDS, 5)
    splits = StratifiedKFold(FOLDS, shuffle=True, random_state=5).split(numbers, LABELS)
    for fold, (_, held) in enumerate(splits):
        assert np.flatnonzero(numbers == fold).tolist() == held.tolist()
        assert np.bincount(LABELS[held]).tolist() == [10, 7, 4]
    order = np.concatenate(stratified_sample(LABELS, SAMPLE))
    data = folded(dataset, mirrored=False)
    np.testing.assert_array_equal(data.folds, numbers[order])
    for mirrored in (False, True):  # no copy of them
        both = folded(dataset, mirrored=mirrored)
        assert both.validation is both.training
    with pytest.raises(SweepError, match=r"--folds 13: uneven has 12 rows of class 'cat'.*fewer"):
        stratified_folds(dataset, 13, 0)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_trial_is_the_mean_of_what_the_reference_trains_without_each_fold(dataset, engine, loss):
    pixels = folded(dataset, mirrored=False)
    weights = balanced_weights(pixels.training.labels)
    one = training(row_weights=weights)
    expected = []
    for fold in range(FOLDS):
        held = pixels.folds == fold
        part = replace(one, row_weights=np.where(held, 0, weights))
        rows = {
            name: Rows(pixels.training.rows[which], pixels.training.labels[which])
            for name, which in (("val", held), ("train", ~held))
        }
        expected.append(
            [
                (result, own, bias, f1_score(rows["val"].labels, predicted, average="macro"))
                for result, own, bias in train(
                    pixels.training,
                    rows,
                    part,
                    loss=LOSSES[loss],
                    classes=3,
                    image_shape=(1, 3, 4),
                    further=("macro_f1",),
                )
                for predicted in [(rows["val"].rows @ own.T + bias).argmax(axis=1)]
            ]
        )
    with engine(loss) as folds:
        folds.start("a", one)
        folds.start("b", training(batch_size=16))
        for epoch in range(3):
            found = folds.run_pass()["a"].evaluations
            outcomes = [each[epoch] for each in expected]
            for name in ("train", "val"):
                theirs = [result.evaluations[name] for result, *_ in outcomes]
                for quantity in ("loss", "cost", "accuracy"):
                    values = [getattr(each, quantity) for each in theirs]
                    ours = getattr(found[name], quantity)
                    assert ours == pytest.approx(fmean(values), rel=1e-4)
                    if name == "val" and quantity != "cost":
                        spread = found["val"].further[f"{quantity}_sd"]
                        assert spread == pytest.approx(stdev(values), rel=1e-3, abs=1e-6)
            f1 = [each[-1] for each in outcomes]
            assert found["val"].further["macro_f1"] == pytest.approx(fmean(f1))
            assert found["val"].further["macro_f1_sd"] == pytest.approx(stdev(f1))
            assert not found["train"].further
        state = folds.states(["a"])["a"]
    basis = folded(dataset, mirrored=True).training.basis
    for weights, (_, own, *_) in zip(state.weights, outcomes, strict=True):
        np.testing.assert_allclose(basis.turn_back(weights), own, rtol=1e-3, atol=1e-5)


def test_a_trial_of_optunas_own_loop_has_the_same_folds(dataset, engine):
    one = training()
    data, setting = folded(dataset, mirrored=False), one.hyperparameters
    theirs = list(train_trial(data, setting, loss="softmax", epochs=3, seed=one.seed))
    with engine() as folds:
        folds.start(0, one)
        for expected in theirs:
            found = folds.run_pass()[0]
            for name in ("train", "val"):
                for quantity in ("loss", "cost", "accuracy"):
                    value = getattr(found.evaluations[name], quantity)
                    assert value == pytest.approx(
                        getattr(expected.evaluations[name], quantity), rel=1e-4
                    )
            spread = expected.evaluations["val"].further["loss_sd"]
            assert found.evaluations["val"].further["loss_sd"] == pytest.approx(spread, rel=1e-3)


def test_a_restored_trial_goes_on_to_the_same_bits(engine):
    with engine() as folds:
        folds.start(0, training())
        folds.run_pass()
        states = folds.states([0])
        straight = [folds.run_pass(), folds.run_pass()], folds.states([0])[0].weights.tobytes()
        folds.drop(0)
    with engine() as again:
        again.run_pass()
        again.restore({0: (training(), states[0])})
        resumed = [again.run_pass(), again.run_pass()], again.states([0])[0].weights.tobytes()
    assert straight == resumed


def test_a_trial_of_which_one_fold_diverges_has_diverged_and_is_out(dataset, engine):
    weights = np.where(folded(dataset, mirrored=True).folds == 0, 1.0, 0.0)
    with engine() as folds:
        # without fold 0 no row is left, so that training stands still
        folds.start("wild", training(learning_rate=1e30, row_weights=weights))
        folds.start("tame", training())
        result = folds.run_pass()["wild"]
        assert isinstance(result, DivergedError)
        assert list(folds.run_pass()) == ["tame"]

import math
import pickle
from dataclasses import dataclass, replace

import numpy as np
import pytest

from sweep_model.cost import cost, gradient
from sweep_model.draws import Draws
from sweep_model.hyperparameters import Hyperparameters
from sweep_model.losses import LOSSES, SOFTMAX, Loss
from sweep_model.metrics import accuracy
from sweep_model.mirror import mirror
from sweep_model.reference import DivergedError, Evaluation, Rows, evaluate, train

SHAPE = (1, 2, 3)
CLASSES = 3
SETTING = Hyperparameters(
    l2=0.01, learning_rate=0.5, decay_period=2, batch_size=7, flip_probability=0.4
)
FIVE_FEATURES = Rows(np.zeros((1, 5), np.float32), np.zeros(1, np.int64))
both_losses = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


def rows_of(rng, n):
    labels = rng.integers(0, CLASSES, n)
    centres = np.arange(CLASSES * 6).reshape(CLASSES, 6) % 5 - 2
    return Rows((rng.normal(size=(n, 6)) + centres[labels]).astype(np.float32), labels)


@pytest.fixture
def training(rng):
    return rows_of(rng, 40)  # five batches of 7 and a last one of 5


@pytest.fixture
def validation(rng):
    return rows_of(rng, 15)


@pytest.fixture
def begin(training, validation):
    """Begin to train; keyword arguments replace the usual ones."""

    def begin_training(**other):
        usual = {
            "training": training,
            "validation": validation,
            "hyperparameters": SETTING,
            "loss": SOFTMAX,
            "classes": CLASSES,
            "epochs": 5,
            "draws": Draws(seed=3),
            "image_shape": SHAPE,
        }
        return train(**(usual | other))

    return begin_training


@pytest.fixture
def run(begin):
    """Train and give back all epochs."""
    return lambda **other: list(begin(**other))


def in_float64(training, setting, *, loss, epochs, draws):
    """The definitions once more, row by row and class by class."""
    weights = draws.initial_weights(CLASSES, 6).astype(np.float64)
    bias = np.zeros(CLASSES)
    n = len(training.labels)
    for epoch in range(epochs):
        rate = setting.learning_rate * setting.decay_factor ** math.floor(
            epoch / setting.decay_period
        )
        order = list(draws.order(epoch, n))
        flips = draws.flips(epoch, n, setting.flip_probability)
        while order:
            batch, order = order[: setting.batch_size], order[setting.batch_size :]
            down_weights, down_bias = np.zeros_like(weights), np.zeros_like(bias)
            for i in batch:
                image = training.rows[i].astype(np.float64).reshape(SHAPE)
                x = (image[:, :, ::-1] if flips[i] else image).ravel()
                scores = weights @ x + bias
                if loss == "softmax":
                    p, share = np.exp(scores) / np.exp(scores).sum(), 1
                else:
                    p, share = 1 / (1 + np.exp(-scores)), 1 / CLASSES
                for k in range(CLASSES):
                    error = share * (p[k] - (k == training.labels[i])) / len(batch)
                    down_weights[k] += error * x
                    down_bias[k] += error
            weights = weights - rate * (down_weights + 2 * setting.l2 * weights)
            bias = bias - rate * down_bias
    return weights, bias


@both_losses
@pytest.mark.parametrize("flip_probability", [0.0, 0.4])
@pytest.mark.parametrize("l2", [0.0, 0.01])
@pytest.mark.parametrize("batch_size", [1, 7, 40, 100])
def test_it_equals_the_definitions_in_float64(
    run, training, *, loss, flip_probability, l2, batch_size
):
    setting = replace(SETTING, l2=l2, flip_probability=flip_probability, batch_size=batch_size)
    draws = Draws(seed=3, first_pass=2, slot=1)
    last = run(hyperparameters=setting, loss=loss, draws=draws)[-1]
    weights, bias = in_float64(training, setting, loss=loss.name, epochs=5, draws=draws)
    np.testing.assert_allclose(last.weights, weights, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(last.bias, bias, rtol=1e-4, atol=1e-5)


@both_losses
def test_a_short_last_batch_counts_with_its_own_size(run, training, loss):
    setting = replace(SETTING, batch_size=39, flip_probability=0)
    draws = Draws(seed=3)
    only = run(hyperparameters=setting, loss=loss, epochs=1)[0]
    weights, bias = draws.initial_weights(CLASSES, 6), np.zeros(CLASSES, np.float32)
    order = draws.order(0, 40)
    for batch in (order[:39], order[39:]):
        rows, labels = training.rows[batch], training.labels[batch]
        down_weights, down_bias = gradient(weights, bias, rows, labels, l2=setting.l2, loss=loss)
        weights, bias = weights - 0.5 * down_weights, bias - 0.5 * down_bias
    np.testing.assert_array_equal(only.weights, weights)
    np.testing.assert_array_equal(only.bias, bias)


TO_THE_END = Hyperparameters(
    l2=0.1, learning_rate=0.5, decay_period=10**6, batch_size=40, flip_probability=0
)


@both_losses
def test_full_batches_end_at_the_optimum(run, training, loss):
    last = run(hyperparameters=TO_THE_END, loss=loss, epochs=2_000)[-1]
    ends = [part.astype(np.float64) for part in (last.weights, last.bias)]
    for slope in gradient(*ends, training.rows, training.labels, l2=0.1, loss=loss):
        assert np.abs(slope).max() < 1e-6


def test_the_softmax_optimum_is_that_of_scikit_learn(run, training):
    from sklearn.linear_model import LogisticRegression

    last = run(hyperparameters=TO_THE_END, epochs=2_000)[-1]
    peer = LogisticRegression(C=1 / (2 * 40 * 0.1), tol=1e-10, max_iter=10_000)
    peer.fit(training.rows.astype(np.float64), training.labels)
    np.testing.assert_allclose(last.weights, peer.coef_, atol=1e-5)
    np.testing.assert_allclose(last.bias, peer.intercept_, atol=1e-5)


@both_losses
def test_the_same_arguments_train_the_same_weights_bit_for_bit(run, loss):
    for one, other in zip(run(loss=loss), run(loss=loss), strict=True):
        assert one.weights.tobytes() == other.weights.tobytes()
        assert one.bias.tobytes() == other.bias.tobytes()
        assert (one.train, one.val) == (other.train, other.val)


@pytest.mark.parametrize("draws", [Draws(seed=4), Draws(seed=3, first_pass=1), Draws(3, slot=1)])
def test_other_draws_train_other_weights(run, draws):
    assert not np.array_equal(run(draws=draws)[-1].weights, run()[-1].weights)


@pytest.mark.parametrize(
    "change",
    [
        {"l2": 0.02},
        {"learning_rate": 0.4},
        {"decay_period": 3},
        {"decay_factor": 0.4},
        {"batch_size": 8},
        {"flip_probability": 0.5},
    ],
    ids=str,
)
def test_every_hyperparameter_arrives(run, change):
    changed = run(hyperparameters=replace(SETTING, **change))[-1]
    assert not np.array_equal(changed.weights, run()[-1].weights)


def test_the_rate_decays_by_steps_and_is_reported(run):
    setting = replace(SETTING, decay_factor=0.1)
    rates = [result.learning_rate for result in run(hyperparameters=setting)]
    assert rates == [0.5 * 0.1**decays for decays in (0, 0, 1, 1, 2)]


def test_epochs_are_counted_from_one(run):
    assert [result.epoch for result in run()] == [1, 2, 3, 4, 5]


def test_certain_flips_equal_training_on_mirrored_rows(run, training):
    # In the second epoch a flip of the flipped would show the original again.
    mirrored = Rows(mirror(training.rows, SHAPE), training.labels)
    always = run(hyperparameters=replace(SETTING, flip_probability=1))
    never = run(hyperparameters=replace(SETTING, flip_probability=0), training=mirrored)
    for flipped, plain in zip(always, never, strict=True):
        np.testing.assert_array_equal(flipped.weights, plain.weights)
        np.testing.assert_array_equal(flipped.bias, plain.bias)


@dataclass(frozen=True)
class FlipsInFirstEpoch(Draws):
    def flips(self, epoch, n, probability):  # noqa: ARG002 - certain, whatever the probability
        return np.full(n, epoch == 0)


def test_an_epoch_without_flips_sees_the_originals_again(run, training):
    setting = replace(SETTING, batch_size=40)
    first, second = run(hyperparameters=setting, draws=FlipsInFirstEpoch(seed=3), epochs=2)
    order = Draws(seed=3).order(1, 40)
    rows, labels = training.rows[order], training.labels[order]
    down_weights, down_bias = gradient(
        first.weights, first.bias, rows, labels, l2=setting.l2, loss=SOFTMAX
    )
    np.testing.assert_array_equal(second.weights, first.weights - 0.5 * down_weights)
    np.testing.assert_array_equal(second.bias, first.bias - 0.5 * down_bias)


@both_losses
def test_evaluations_are_of_the_rows_as_they_are(run, training, validation, loss):
    for result in run(loss=loss):
        for found, rows in ((result.train, training), (result.val, validation)):
            at = result.weights, result.bias, rows.rows, rows.labels
            assert found.loss == pytest.approx(cost(*at, l2=0, loss=loss), rel=1e-12)
            assert found.cost == pytest.approx(cost(*at, l2=SETTING.l2, loss=loss), rel=1e-12)
            predicted = (rows.rows @ result.weights.T + result.bias).argmax(axis=1)
            assert found.accuracy == accuracy(predicted, rows.labels)
            assert found == evaluate(result.weights, result.bias, rows, l2=SETTING.l2, loss=loss)


def test_without_l2_the_cost_is_the_loss(run):
    for result in run(hyperparameters=replace(SETTING, l2=0)):
        assert result.train.cost == result.train.loss
        assert result.val.cost == result.val.loss


@both_losses
def test_the_hot_loop_stays_in_float32(run, loss):
    seen = set()

    def watched(function):
        def call(scores, *labels):
            result = function(scores, *labels)
            seen.update({scores.dtype, result.dtype})
            return result

        return call

    watching = Loss("watched", watched(loss.values), watched(loss.gradient), loss.probabilities)
    results = run(loss=watching)
    seen.update(part.dtype for result in results for part in (result.weights, result.bias))
    assert seen == {np.dtype(np.float32)}


def test_results_are_the_receivers_own(begin, run):
    plain = run()
    spoilt = []
    epochs = begin()
    for result in epochs:
        spoilt.append(result.weights.copy())
        result.weights.fill(np.nan)
        result.bias.fill(np.nan)
    np.testing.assert_array_equal(spoilt, [result.weights for result in plain])


def test_the_rows_are_left_as_they_were(run, training, validation):
    for array in (training.rows, training.labels, validation.rows, validation.labels):
        array.flags.writeable = False
    run()


@both_losses
def test_divergence_is_raised_with_its_epoch(run, loss):
    # Each of an epoch's 6 steps multiplies the weights by about -2e3; float32 ends at 3e38.
    setting = replace(SETTING, learning_rate=1e3, l2=1.0, decay_period=100)
    assert len(run(hyperparameters=setting, loss=loss, epochs=1)) == 1
    with pytest.raises(DivergedError, match=r"^diverged in epoch 2: the training cost is") as found:
        run(hyperparameters=setting, loss=loss)
    assert found.value.epoch == 2


def test_epochs_before_the_divergence_are_given(begin):
    setting = replace(SETTING, learning_rate=1e3, l2=1.0, decay_period=100)
    epochs = begin(hyperparameters=setting, epochs=5)
    assert math.isfinite(next(epochs).train.cost)
    with pytest.raises(DivergedError):
        next(epochs)


def test_a_validation_cost_that_is_not_finite_is_divergence_too(run, validation):
    broken = Rows(np.full_like(validation.rows, np.nan), validation.labels)
    with pytest.raises(DivergedError, match="epoch 1: the validation cost is nan"):
        run(validation=broken)


def test_a_divergence_travels_between_processes():
    error = pickle.loads(pickle.dumps(DivergedError(4, "why")))  # noqa: S301 - our own bytes
    assert (error.epoch, str(error)) == (4, "diverged in epoch 4: why")


def test_training_leaves_numpys_warnings_as_they_were(begin):
    before = np.geterr()
    epochs = begin(epochs=2)
    next(epochs)
    assert np.geterr() == before


def test_rows_that_are_no_images_train_without_flips(run):
    setting = replace(SETTING, flip_probability=0)
    plain, shaped = (run(hyperparameters=setting, image_shape=shape)[-1] for shape in (None, SHAPE))
    np.testing.assert_array_equal(plain.weights, shaped.weights)


@pytest.mark.parametrize(
    ("message", "change"),
    [
        (r"validation rows must be \(n, 6\), got \(1, 5\)", {"validation": FIVE_FEATURES}),
        ("labels must be below classes=2, got 2", {"classes": 2}),
        ("epochs must be 1 or more, got 0", {"epochs": 0}),
        ("flip_probability must be 0 .* no image_shape, got 0.4", {"image_shape": None}),
        (r"image_shape must hold 6 features, got \(1, 2, 4\)", {"image_shape": (1, 2, 4)}),
    ],
)
def test_a_misfit_is_refused_before_the_first_epoch(begin, message, change):
    with pytest.raises(ValueError, match=message):
        begin(**change)


@pytest.mark.parametrize(
    ("rows", "labels", "message"),
    [
        (
            np.zeros((2, 3)),
            np.zeros(2, np.int64),
            r"must be \(n, d\) float32, got \(2, 3\) float64",
        ),
        (np.zeros(2, np.float32), np.zeros(2, np.int64), r"must be \(n, d\) float32"),
        (np.zeros((2, 3), np.float32), np.zeros(2, np.int32), r"must be \(2,\) int64, .* int32"),
        (np.zeros((2, 3), np.float32), np.zeros(3, np.int64), r"must be \(2,\) int64, got \(3,\)"),
        (np.zeros((0, 3), np.float32), np.zeros(0, np.int64), "at least one row"),
        (np.zeros((1, 3), np.float32), np.array([-1]), "no label below 0"),
    ],
)
def test_rows_that_no_trainer_could_use_are_refused(rows, labels, message):
    with pytest.raises(ValueError, match=message):
        Rows(rows, labels)


def test_evaluations_with_equal_numbers_are_equal():
    assert Evaluation(1.0, 2.0, 0.5) == Evaluation(loss=1.0, cost=2.0, accuracy=0.5)

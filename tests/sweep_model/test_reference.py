import math
from dataclasses import replace

import numpy as np
import pytest

from sweep_model.hyperparameters import Hyperparameters
from sweep_model.losses import LOSSES, SOFTMAX, cost, gradient
from sweep_model.metrics import accuracy
from sweep_model.preprocessing import mirror
from sweep_model.reference import evaluate, train
from sweep_model.rng import flips, initial_weights, row_order
from sweep_model.training import DivergedError, Rows, Training

SHAPE = (1, 2, 3)
CLASSES = 3
SETTING = Hyperparameters(
    l2=0.01, learning_rate=0.5, decay_period=2, batch_size=7, flip_probability=0.4
)
TRAINING = Training(hyperparameters=SETTING, epochs=5, seed=3)
SETTING_FIELDS = set(SETTING.__dataclass_fields__)
both_losses = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


def rows_of(rng, n):
    labels = rng.integers(0, CLASSES, n)
    centres = np.arange(CLASSES * 6).reshape(CLASSES, 6) % 5 - 2
    return Rows((rng.normal(size=(n, 6)) + centres[labels]).astype(np.float32), labels)


@pytest.fixture
def rows(rng):
    return rows_of(rng, 40)  # five batches of 7 and a last one of 5


@pytest.fixture
def validation(rng):
    return rows_of(rng, 15)


def changed(**fields):
    """The usual training with other fields, of its setting or its own."""
    setting = replace(SETTING, **{name: fields[name] for name in fields.keys() & SETTING_FIELDS})
    own = {name: fields[name] for name in fields.keys() - SETTING_FIELDS}
    return replace(TRAINING, hyperparameters=setting, **own)


@pytest.fixture
def begin(rows, validation):
    """Begin to train; keyword arguments replace the usual ones."""

    def begin_training(training=TRAINING, **other):
        usual = {
            "rows": rows,
            "evaluation": {"train": rows, "validation": validation},
            "loss": SOFTMAX,
            "classes": CLASSES,
            "image_shape": SHAPE,
        }
        return train(training=training, **(usual | other))

    return begin_training


@pytest.fixture
def run(begin):
    """Train and give back all epochs: (result, weights, bias)."""
    return lambda training=TRAINING, **other: list(begin(training, **other))


def bits(epochs):
    return [(result, weights.tobytes(), bias.tobytes()) for result, weights, bias in epochs]


def in_float64(rows, training, *, loss):
    """The definitions once more, row by row and class by class."""
    setting, n = training.hyperparameters, len(rows.labels)
    counts = np.ones(n) if training.row_weights is None else training.row_weights
    weights = initial_weights(training.seed, CLASSES, 6).astype(np.float64)
    bias = np.zeros(CLASSES)
    for epoch in range(training.epochs):
        rate = setting.learning_rate * setting.decay_factor ** math.floor(
            epoch / setting.decay_period
        )
        order = list(row_order(training.seed, training.first_pass + epoch, n))
        mirrored = flips(training.seed, training.number, epoch, n, setting.flip_probability)
        while order:
            batch, order = order[: setting.batch_size], order[setting.batch_size :]
            total = sum(counts[i] for i in batch)
            if total == 0:
                continue
            down_weights, down_bias = np.zeros_like(weights), np.zeros_like(bias)
            for i in batch:
                image = rows.rows[i].astype(np.float64).reshape(SHAPE)
                x = (image[:, :, ::-1] if mirrored[i] else image).ravel()
                scores = weights @ x + bias
                if loss == "softmax":
                    p, share = np.exp(scores) / np.exp(scores).sum(), 1
                else:
                    p, share = 1 / (1 + np.exp(-scores)), 1 / CLASSES
                for k in range(CLASSES):
                    error = share * (p[k] - (k == rows.labels[i])) * counts[i] / total
                    down_weights[k] += error * x
                    down_bias[k] += error
            weights = weights - rate * (down_weights + 2 * setting.l2 * weights)
            bias = bias - rate * down_bias
    return weights, bias


@both_losses
def test_it_equals_the_definitions_in_float64(run, rows, loss):
    draws = {"first_pass": 2, "number": 1}
    fractions = np.random.default_rng(1).random(40)
    some = (np.arange(40) % 3 == 0).astype(np.float64)
    for batch_size in (1, 7, 40, 100):
        for l2, flip_probability, row_weights in (
            (0.0, 0.0, None),
            (0.0, 0.4, None),
            (0.01, 0.0, None),
            (0.01, 0.4, None),
            (0.01, 0.4, fractions),
            (0.01, 0.4, some),
        ):
            training = changed(
                l2=l2,
                flip_probability=flip_probability,
                batch_size=batch_size,
                row_weights=row_weights,
                **draws,
            )
            _, weights, bias = run(training, loss=loss)[-1]
            expected_weights, expected_bias = in_float64(rows, training, loss=loss.name)
            np.testing.assert_allclose(weights, expected_weights, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(bias, expected_bias, rtol=1e-4, atol=1e-5)


TO_THE_END = Training(
    hyperparameters=Hyperparameters(
        l2=0.1, learning_rate=0.5, decay_period=10**6, batch_size=40, flip_probability=0
    ),
    epochs=2_000,
    seed=3,
)


@both_losses
def test_full_batches_end_at_the_optimum(run, rows, loss):
    _, *ends = run(TO_THE_END, loss=loss, evaluation={})[-1]
    ends = [part.astype(np.float64) for part in ends]
    for slope in gradient(*ends, rows.rows, rows.labels, l2=0.1, loss=loss):
        assert np.abs(slope).max() < 1e-6


@both_losses
def test_the_same_arguments_train_the_same_weights_bit_for_bit(run, loss):
    assert bits(run(loss=loss)) == bits(run(loss=loss))


def test_every_hyperparameter_and_every_number_arrives(run):
    usual = run()[-1][1]
    for change in (
        {"seed": 4},
        {"first_pass": 1},
        {"number": 1},
        {"row_weights": np.linspace(0.5, 1, 40)},
        {"l2": 0.02},
        {"learning_rate": 0.4},
        {"decay_period": 3},
        {"decay_factor": 0.4},
        {"batch_size": 8},
        {"flip_probability": 0.5},
    ):
        assert not np.array_equal(run(changed(**change))[-1][1], usual), change


def test_the_rate_decays_by_steps_and_is_reported(run):
    rates = [result.learning_rate for result, *_ in run(changed(decay_factor=0.1))]
    assert rates == [0.5 * 0.1**decays for decays in (0, 0, 1, 1, 2)]


def test_epochs_are_counted_from_one(run):
    assert [result.epoch for result, *_ in run(changed(first_pass=9))] == [1, 2, 3, 4, 5]


def test_certain_flips_equal_training_on_mirrored_rows(run, rows):
    # In the second epoch a flip of the flipped would show the original again.
    mirrored = Rows(mirror(rows.rows, SHAPE), rows.labels)
    always = run(changed(flip_probability=1))
    never = run(changed(flip_probability=0), rows=mirrored)
    for (_, *flipped), (_, *plain) in zip(always, never, strict=True):
        np.testing.assert_array_equal(flipped[0], plain[0])
        np.testing.assert_array_equal(flipped[1], plain[1])


@both_losses
def test_evaluations_are_of_the_rows_as_they_are(run, rows, validation, loss):
    sets = {"train": rows, "validation": validation}
    for result, weights, bias in run(loss=loss):
        assert list(result.evaluations) == list(sets)
        for name, one in sets.items():
            found, at = result.evaluations[name], (weights, bias, one.rows, one.labels)
            assert found.loss == pytest.approx(cost(*at, l2=0, loss=loss), rel=1e-12)
            assert found.cost == pytest.approx(cost(*at, l2=SETTING.l2, loss=loss), rel=1e-12)
            predicted = (one.rows @ weights.T + bias).argmax(axis=1)
            assert found.accuracy == accuracy(predicted, one.labels)
            assert found == evaluate(weights, bias, one, l2=SETTING.l2, loss=loss)


def test_without_l2_the_cost_is_the_loss(run):
    for result, *_ in run(changed(l2=0)):
        for evaluation in result.evaluations.values():
            assert evaluation.cost == evaluation.loss


@both_losses
def test_the_hot_loop_stays_in_float32(run, loss):
    seen = set()

    def watched(function):
        def call(scores, *labels):
            result = function(scores, *labels)
            seen.update({scores.dtype, result.dtype})
            return result

        return call

    watching = replace(loss, values=watched(loss.values), gradient=watched(loss.gradient))
    for row_weights in (None, np.linspace(0, 1, 40)):
        epochs = run(changed(row_weights=row_weights), loss=watching)
        seen.update(part.dtype for _, *parts in epochs for part in parts)
    assert seen == {np.dtype(np.float32)}


def test_weights_are_the_receivers_own(begin, run):
    spoilt = []
    for result, weights, bias in begin():
        spoilt += bits([(result, weights, bias)])
        weights.fill(np.nan)
        bias.fill(np.nan)
    assert spoilt == bits(run())


def test_the_rows_are_left_as_they_were(run, rows, validation):
    counts = np.linspace(0, 1, 40)
    for array in (rows.rows, rows.labels, validation.rows, validation.labels, counts):
        array.flags.writeable = False
    run(changed(row_weights=counts))


DIVERGING = changed(learning_rate=1e3, l2=1.0, decay_period=100)


@both_losses
def test_divergence_is_raised_with_its_epoch_after_the_epochs_before_it(begin, loss):
    # Each of an epoch's 6 steps multiplies the weights by about -2e3; float32 ends at 3e38.
    epochs = begin(DIVERGING, loss=loss)
    result, *_ = next(epochs)
    assert math.isfinite(result.evaluations["train"].cost)
    with pytest.raises(DivergedError, match=r"^diverged in epoch 2: the train cost is") as found:
        next(epochs)
    assert found.value.epoch == 2


def test_a_validation_cost_that_is_not_finite_is_divergence_too(run, rows, validation):
    broken = Rows(np.full_like(validation.rows, np.nan), validation.labels)
    with pytest.raises(DivergedError, match="epoch 1: the validation cost is nan"):
        run(evaluation={"train": rows, "validation": broken})


def test_without_any_evaluation_a_weight_that_is_not_finite_is_divergence(run):
    with pytest.raises(DivergedError, match="epoch 2: a weight or bias is not finite"):
        run(DIVERGING, evaluation={})


def test_training_leaves_numpys_warnings_as_they_were(begin):
    before = np.geterr()
    epochs = begin(DIVERGING)
    next(epochs)
    assert np.geterr() == before
    with pytest.raises(DivergedError):
        next(epochs)
    assert np.geterr() == before


def test_rows_that_are_no_images_train_without_flips(run):
    training = changed(flip_probability=0)
    plain, shaped = (run(training, image_shape=shape)[-1][1] for shape in (None, SHAPE))
    np.testing.assert_array_equal(plain, shaped)


def test_a_misfit_is_refused_before_the_first_epoch(begin):
    for change, message in (
        (
            {"evaluation": {"validation": Rows(np.zeros((1, 5), np.float32), np.zeros(1, int))}},
            r"validation rows must be \(n, 6\), got \(1, 5\)",
        ),
        (
            {"training": changed(row_weights=np.ones(41))},
            "row_weights must be one for each of 40 rows, got 41",
        ),
        ({"classes": 2}, "training labels must be below classes=2, got 2"),
        ({"image_shape": None}, "flip_probability must be 0 .* no image_shape, got 0.4"),
        ({"image_shape": (1, 2, 4)}, r"image_shape must hold 6 features, got \(1, 2, 4\)"),
    ):
        with pytest.raises(ValueError, match=message):
            begin(**change)

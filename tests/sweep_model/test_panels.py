import math
import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_sample_weight
from threadpoolctl import threadpool_limits

from sweep_model.hyperparameters import Hyperparameters
from sweep_model.losses import BCE, LOSSES, SOFTMAX
from sweep_model.metrics import OF_PREDICTIONS, OF_ROWS
from sweep_model.panels import LANES, LaneState, Panel, Panels, Problem, lanes_agree
from sweep_model.preprocessing import (
    ChosenRows,
    MirrorBasis,
    MirrorRows,
    Standardiser,
    UnwidenedRows,
)
from sweep_model.reference import train
from sweep_model.training import DivergedError, Rows, Training, balanced_weights

N, SHAPE = 45, (1, 2, 3)
CIFAR10 = {"n": 430, "shape": (3, 32, 32), "classes": 10}
SETTING = Hyperparameters(
    l2=0.01, learning_rate=0.1, decay_period=2, batch_size=4, flip_probability=0.4
)
TRAINING = Training(hyperparameters=SETTING, epochs=3, seed=3)
BATCH_SIZES = (1, 7, 24, 100)  # 1, a short last batch twice, and more than the rows
FRACTIONS = np.linspace(0, 1, N) ** 2
SOME = (np.arange(N) % 3 == 0).astype(np.float64)
both_losses = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


@pytest.fixture(autouse=True, scope="module")
def _one_blas_thread():
    """As a worker has: where two share a product, they part its columns wherever they like."""
    with threadpool_limits(1):
        yield


def changed(**fields):
    """The usual training with other fields, of its setting or its own."""
    names = fields.keys() & set(SETTING.__dataclass_fields__)
    setting = replace(SETTING, **{name: fields.pop(name) for name in names})
    return replace(TRAINING, hyperparameters=setting, **fields)


def rows_of(n, features, classes, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    centres = np.arange(classes * features).reshape(classes, features) % 5 - 2
    return Rows((rng.normal(size=(n, features)) + centres[labels]).astype(np.float32), labels)


def sets_of(*, n=N, shape=SHAPE, classes=3, features=7):
    """The training rows, and what is evaluated."""
    features = features if shape is None else math.prod(shape)
    rows = rows_of(n, features, classes, 1)
    return rows, {"train": rows, "validation": rows_of(15, features, classes, 2)}


def problem_of(*, loss=SOFTMAX, shape=SHAPE, classes=3, **size):
    rows, sets = sets_of(shape=shape, classes=classes, **size)
    turned = {name: MirrorRows.of(one, shape) for name, one in sets.items()}
    return Problem(rows=MirrorRows.of(rows, shape), evaluation=turned, loss=loss, classes=classes)


def run_pass(panels, **pool):
    """One pass; per key the result with the state after it, or the divergence."""
    results, _ = panels.run_pass(**pool)
    return {
        key: result if isinstance(result, DivergedError) else (result, panels.state(key))
        for key, result in results.items()
    }


def train_all(problem, trainings, *, lanes=4, **pool):
    """Begin each training in its first pass, drop it after its last epoch; per key its passes."""
    first = min(one.first_pass for one in trainings.values())
    panels = Panels(problem, lanes=lanes, next_pass=first)
    outcomes = {key: [] for key in trainings}
    while len(panels) or any(one.first_pass >= panels.next_pass for one in trainings.values()):
        for key, one in trainings.items():
            if one.first_pass == panels.next_pass:
                panels.start(key, one)
        for key, outcome in run_pass(panels, **pool).items():
            outcomes[key].append(outcome)
            if not isinstance(outcome, DivergedError) and outcome[0].epoch == trainings[key].epochs:
                panels.drop(key)
    return outcomes


def alone(problem, training, *, lanes):
    return train_all(problem, {"alone": training}, lanes=lanes)["alone"]


def bits(outcomes):
    """Everything that a training gave, byte by byte."""
    return tuple(
        str(one)
        if isinstance(one, DivergedError)
        else (str(one[0]), one[1].weights.tobytes(), one[1].bias.tobytes())
        for one in outcomes
    )


def oracle(training, *, loss=SOFTMAX, shape=SHAPE, classes=3, **size):
    rows, sets = sets_of(shape=shape, classes=classes, **size)
    return train(rows, sets, training, loss=loss, classes=classes, image_shape=shape)


def near_ties(rows, weights, bias):
    """The fraction of the rows whose prediction a rounding may turn."""
    scores = rows.rows @ weights.T.astype(np.float64) + bias
    second, first = np.sort(scores, axis=1)[:, -2:].T
    return np.mean(first - second < 1e-3 * np.abs(scores).max(axis=1))


def assert_agree(outcome, expected, **given):
    """Assert equality within float32 rounding, weight by weight and figure by figure."""
    (found, state), (result, weights, bias) = outcome, expected
    basis = problem_of(**given).rows.basis
    size = np.abs(weights).max()
    found_weights = basis.turn_back(state.weights)
    np.testing.assert_allclose(found_weights, weights, rtol=1e-4, atol=1e-5 * size)
    np.testing.assert_allclose(state.bias, bias, rtol=1e-4, atol=1e-5)
    assert (found.epoch, found.learning_rate) == (result.epoch, result.learning_rate)
    assert list(found.evaluations) == list(result.evaluations)
    given.pop("loss", None)
    for name, rows in sets_of(**given)[1].items():
        one, other = found.evaluations[name], result.evaluations[name]
        assert one.loss == pytest.approx(other.loss, rel=1e-4, abs=1e-6)
        assert one.cost == pytest.approx(other.cost, rel=1e-4, abs=1e-6)
        slack = near_ties(rows, weights, bias) + 1e-9
        assert one.accuracy == pytest.approx(other.accuracy, abs=slack)


def assert_trains_as_the_reference(trainings, *, lanes=4, **given):
    """Train all of them together, and each of them by the reference."""
    outcomes = train_all(problem_of(**given), dict(enumerate(trainings)), lanes=lanes)
    for key, training in enumerate(trainings):
        for outcome, expected in zip(outcomes[key], oracle(training, **given), strict=True):
            assert_agree(outcome, expected, **given)


# The same answer as the reference.

settings = st.builds(
    Hyperparameters,
    l2=st.sampled_from([0, 1e-3, 0.1, 2]),
    learning_rate=st.floats(1e-3, 0.2),
    decay_period=st.integers(1, 3),
    batch_size=st.sampled_from([1, 2, 3, 4, 7, 8, 16, 24, 100]),
    flip_probability=st.sampled_from([0, 0.3, 1]),
)
trainings_of = st.builds(
    Training,
    hyperparameters=settings,
    epochs=st.integers(1, 4),
    seed=st.integers(0, 1),
    number=st.integers(0, 3),
    first_pass=st.integers(0, 2),
)
shapes = st.none() | st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 5))


def without_flips(training):
    return replace(training, hyperparameters=replace(training.hyperparameters, flip_probability=0))


@given(
    trainings=st.lists(trainings_of, min_size=1, max_size=6),
    row_weights=st.sampled_from([None, "fractions", "some"]),
    lanes=st.sampled_from(LANES),
    n=st.integers(1, 60),
    shape=shapes,
    classes=st.integers(2, 12),
    loss=st.sampled_from(list(LOSSES.values())),
)
def test_panels_train_what_the_reference_trains(trainings, row_weights, lanes, **given):
    if given["shape"] is None:  # rows that are no images have nothing to flip
        trainings = [without_flips(one) for one in trainings]
    if row_weights is not None:
        counts = np.linspace(0, 1, given["n"])
        counts = counts**2 if row_weights == "fractions" else np.round(counts)
        trainings[0] = replace(trainings[0], row_weights=counts)
    assert_trains_as_the_reference(trainings, lanes=lanes, **given)


@both_losses
def test_every_batch_size_and_setting_agrees_with_the_reference(loss):
    for lanes in LANES:
        trainings = [
            changed(l2=l2, flip_probability=flip_probability, batch_size=batch_size, number=lanes)
            for batch_size in BATCH_SIZES
            for l2 in (0.0, 0.01)
            for flip_probability in (0, 0.4, 1)
        ]
        assert_trains_as_the_reference(trainings, lanes=lanes, loss=loss)
    weighted = [
        changed(batch_size=batch_size, row_weights=row_weights, l2=l2)
        for batch_size in BATCH_SIZES
        for row_weights in (FRACTIONS, SOME, 40 * FRACTIONS, np.zeros(N), np.ones(N), None)
        for l2 in (0.01, 4.9, 5)  # steps that a batch of weight 0 leaves out must not shrink
    ]
    shrinking = [
        changed(l2=l2, learning_rate=rate, batch_size=size, decay_period=9, epochs=4)
        for size in (1, 2, 8, 24)
        for l2, rate in (
            (4.9, 0.1),  # a step leaves 0.02: after 45 / 2 steps 1e-37 of the weights, then 0
            (5, 0.1),  # a step leaves nothing
            (7, 0.1),  # a step turns the weights round, and they shrink
            (9.9, 0.1),  # they hardly shrink
            (10.02, 0.1),  # they hardly grow
            (1e-7, 1),  # a step leaves as good as everything
        )
    ]
    unshaped = [changed(flip_probability=0, batch_size=size) for size in BATCH_SIZES]
    for trainings, shape in ((weighted, SHAPE), (shrinking, SHAPE), (unshaped, None)):
        assert_trains_as_the_reference(trainings, shape=shape, loss=loss)


def test_only_the_ratios_of_row_weights_count():
    problem = problem_of()
    expected = bits(alone(problem, changed(row_weights=FRACTIONS), lanes=2))
    for power in (-200, -140, 3, 140, 200):  # powers of 2 leave the digits as they are
        training = changed(row_weights=FRACTIONS * 2.0**power)
        assert bits(alone(problem, training, lanes=2)) == expected


def assert_ends_as_the_reference(training, **given):
    """Assert agreement in all epochs before a divergence; return both, and how many those are."""
    expected = []
    with pytest.raises(DivergedError) as end:
        expected.extend(oracle(training, **given))  # what came before the error is kept
    *outcomes, error = alone(problem_of(**given), training, lanes=4)
    for one, other in zip(outcomes, expected, strict=True):
        assert_agree(one, other, **given)
    assert error.epoch == end.value.epoch
    return error, end.value, len(expected)


def test_growing_weights_agree_with_the_reference_until_float32_ends():
    # Each step multiplies the weights by -3: beyond the limits of the scale, and then infinite.
    for size in (4, 24):
        growing = changed(l2=20, learning_rate=0.1, decay_period=99, batch_size=size, epochs=60)
        found, expected, epochs = assert_ends_as_the_reference(growing)
        assert epochs > 0
        # The last numbers may be inf or nan: the reference makes 40 W on its way to -3 W.
        assert (
            str(found)[:-3]
            == str(expected)[:-3]
            == f"diverged in epoch {epochs + 1}: the train cost is "
        )


@both_losses
def test_a_divergence_is_that_of_the_reference(loss):
    for learning_rate, l2 in ((1e3, 0.1), (1e3, 1), (1e30, 0.1), (1e60, 0.1), (1e308, 0)):
        for batch_size in BATCH_SIZES:
            wild = changed(
                learning_rate=learning_rate,
                l2=l2,
                batch_size=batch_size,
                decay_period=100,
                epochs=60,
            )
            found, expected, _ = assert_ends_as_the_reference(wild, loss=loss)
            assert str(found) == str(expected)


def test_the_comparison_notices_a_slope_that_is_a_thousandth_too_long():
    for loss in LOSSES.values():
        scale = 1.001 * loss.slope_scale(3)
        wrong = replace(loss, slope_scale=lambda _, scale=scale: scale)
        with pytest.raises(AssertionError, match="Not equal to tolerance"):
            assert_trains_as_the_reference([TRAINING], loss=wrong)


def test_sets_are_evaluated_by_name_and_final_ones_in_the_last_epoch_only():
    rows, sets = sets_of()
    sets |= {"one row": rows_of(1, 6, 3, 4), "many rows": rows_of(2_500, 6, 3, 5)}
    final = {"test": rows_of(9, 6, 3, 6)}
    trainings = {"short": changed(epochs=2), "long": changed(epochs=3, batch_size=4)}
    problem = Problem(
        rows=MirrorRows.of(rows, SHAPE),
        evaluation={name: MirrorRows.of(one, SHAPE) for name, one in sets.items()},
        final={name: MirrorRows.of(one, SHAPE) for name, one in final.items()},
        loss=SOFTMAX,
        classes=3,
    )
    outcomes = train_all(problem, trainings)
    for key, training in trainings.items():
        expected = train(rows, sets | final, training, loss=SOFTMAX, classes=3, image_shape=SHAPE)
        for (found, _), (result, *_) in zip(outcomes[key], expected, strict=True):
            last = found.epoch == training.epochs
            assert list(found.evaluations) == list(sets | final if last else sets)
            for name, one in found.evaluations.items():
                other = result.evaluations[name]
                assert one.loss == pytest.approx(other.loss, rel=1e-4, abs=1e-6)
                assert one.cost == pytest.approx(other.cost, rel=1e-4, abs=1e-6)
                assert one.accuracy == pytest.approx(other.accuracy, abs=1e-3)


@both_losses
def test_further_metrics_are_those_of_the_reference_for_the_sets_that_ask(loss):
    names, shape, classes = (*OF_PREDICTIONS, *OF_ROWS), (1, 2, 3), 7
    problem = problem_of(loss=loss, classes=classes)
    many = MirrorRows.of(rows_of(2_500, 6, classes, 5), shape)  # in several blocks
    evaluation = {**problem.evaluation, "many": many}
    problem = replace(problem, evaluation=evaluation, further={"many": names})
    rows, sets = sets_of(classes=classes)
    sets["many"] = rows_of(2_500, 6, classes, 5)
    trainings = {number: changed(number=number, l2=0.01 * number) for number in range(3)}
    for key, outcomes in train_all(problem, trainings).items():
        expected = train(
            rows, sets, trainings[key], loss=loss, classes=classes, image_shape=shape, further=names
        )
        for (found, _), (result, *_) in zip(outcomes, expected, strict=True):
            further = found.evaluations["many"].further
            assert further == pytest.approx(result.evaluations["many"].further, abs=2e-3)
            assert not found.evaluations["train"].further
    assert bits(alone(problem, trainings[2], lanes=4)) == bits(train_all(problem, trainings)[2])


@both_losses
def test_metrics_of_the_mean_of_the_weights_are_those_of_the_reference(loss):
    names = ("macro_f1", "averaged_macro_f1", "averaged_accuracy", "averaged_loss")
    many = rows_of(2_500, 6, 3, 5)
    problem = problem_of(loss=loss)
    problem = replace(
        problem,
        evaluation={**problem.evaluation, "val": MirrorRows.of(many, SHAPE)},
        further={"val": names},
    )
    rows, sets = sets_of()
    sets["val"] = many
    halved = np.repeat([0.0, 1.0], N - N // 2)[:N]
    trainings = {
        number: changed(number=number, l2=1.0, learning_rate=0.3, batch_size=size, row_weights=some)
        for number, (size, some) in enumerate([(1, None), (4, None), (7, halved), (N, None)])
    }
    for key, outcomes in train_all(problem, trainings).items():
        expected = train(
            rows, sets, trainings[key], loss=loss, classes=3, image_shape=SHAPE, further=names
        )
        for (found, _), (result, *_) in zip(outcomes, expected, strict=True):
            further = found.evaluations["val"].further
            assert further == pytest.approx(result.evaluations["val"].further, rel=1e-4, abs=2e-3)
            assert set(further) == set(names)
    assert bits(alone(problem, trainings[1], lanes=4)) == bits(train_all(problem, trainings)[1])
    last, *_ = alone(problem, trainings[3], lanes=4)  # of one step the mean is the last weights
    of_val = last[0].evaluations["val"]
    assert of_val.further["averaged_loss"] == pytest.approx(of_val.loss)
    first, *_ = alone(problem, trainings[0], lanes=4)
    of_val = first[0].evaluations["val"]
    assert of_val.further["averaged_loss"] < of_val.loss - 0.01  # steps of 0.3 scatter far


def test_balanced_classes_count_alike():
    rows, _ = sets_of()
    weights = balanced_weights(rows.labels)
    expected = compute_sample_weight("balanced", rows.labels)
    np.testing.assert_allclose(weights, expected)
    sums = np.bincount(rows.labels, weights=weights)
    np.testing.assert_allclose(sums, N / 3)
    assert_trains_as_the_reference([changed(row_weights=weights), TRAINING], loss=BCE)


def test_a_final_cost_that_is_not_finite_is_divergence_in_the_last_epoch():
    rows = MirrorRows.of(rows_of(N, 6, 3, 1), SHAPE)
    broken = replace(rows, rows=np.full_like(rows.rows, np.nan))
    problem = replace(problem_of(), final={"test": broken})
    first, second, error = alone(problem, changed(epochs=3), lanes=2)
    assert (first[0].epoch, second[0].epoch) == (1, 2)
    assert str(error) == "diverged in epoch 3: the test cost is nan"


def test_rows_of_another_dtype_are_widened_or_narrowed_as_they_are_read():
    turned = MirrorRows.of(rows_of(N, 6, 3, 1), SHAPE)
    for dtype in (np.float16, np.float64):
        stored = replace(turned, rows=(turned.rows / 3).astype(dtype))
        single = replace(turned, rows=stored.rows.astype(np.float32))
        for batch_size in BATCH_SIZES:
            found, expected = (
                alone(
                    Problem(rows=rows, evaluation={"train": rows}, loss=BCE, classes=3),
                    changed(batch_size=batch_size),
                    lanes=2,
                )
                for rows in (stored, single)
            )
            assert bits(found) == bits(expected)


def test_rows_that_are_held_as_given_train_to_the_same_bits():
    pixels = np.random.default_rng(5).integers(256, size=(2 * N, 6), dtype=np.uint8)
    numbers = np.arange(2 * N)[::-2]
    given = ChosenRows(pixels, numbers)
    standardiser = Standardiser.fit(given)
    basis, labels = MirrorBasis(6, SHAPE), np.arange(N) % 3
    held = MirrorRows(UnwidenedRows(given, standardiser, basis), labels, basis)
    wide = MirrorRows.of(Rows(standardiser.apply(pixels[numbers]), labels), SHAPE)
    for batch_size in BATCH_SIZES:
        found, expected = (
            alone(
                Problem(rows=rows, evaluation={"few": rows.first(9)}, loss=BCE, classes=3),
                changed(batch_size=batch_size),
                lanes=2,
            )
            for rows in (held, wide)
        )
        assert bits(found) == bits(expected)


# Place and neighbours do not matter.


def crowd(batch_size, n=N):
    """Eight trainings of one batch size and seed that differ in everything else."""
    fractions, some = np.linspace(0, 1, n) ** 2, (np.arange(n) % 3 == 0).astype(np.float64)

    def other(**fields):
        return changed(**{"batch_size": batch_size, "epochs": 3} | fields)

    return [
        other(),
        other(learning_rate=1e30, l2=0.1, number=1),
        other(l2=4.9, number=2),
        other(row_weights=fractions, number=3),
        other(l2=0, learning_rate=0.01, number=4),
        other(l2=5, number=5, epochs=2),
        other(row_weights=some, learning_rate=1e-3, number=6),
        other(learning_rate=1e60, l2=0, number=7),  # no float32: NaN everywhere
    ]


def in_order(problem, trainings, order):
    """The bits of trainings that stand in the lanes of one panel in this order; None is empty."""
    panels = Panels(problem, lanes=len(order))
    for lane, key in enumerate(order):
        panels.start(("empty", lane) if key is None else key, trainings[key or 0])
    for lane, key in enumerate(order):
        if key is None:
            panels.drop(("empty", lane))
        else:
            assert panels._places[key][1] == lane
    outcomes = {key: [] for key in order if key is not None}
    while len(panels):
        for key, outcome in run_pass(panels).items():
            outcomes[key].append(outcome)
            if not isinstance(outcome, DivergedError) and outcome[0].epoch == trainings[key].epochs:
                panels.drop(key)
    return {key: bits(passes) for key, passes in outcomes.items()}


def assert_place_does_not_matter(problem, trainings, lanes):
    """Let each of `lanes` trainings stand in every lane, between different neighbours."""
    keys = list(range(lanes))
    seen = {key: set() for key in keys}
    for turn in keys:
        order = keys[turn:] + keys[:turn]
        for key, one in in_order(problem, trainings, order).items():
            seen[key].add(one)
    order = [key if key % 2 == 0 else None for key in reversed(keys)]
    for key, one in in_order(problem, trainings, order).items():
        seen[key].add(one)
    assert {key: len(different) for key, different in seen.items()} == dict.fromkeys(keys, 1)


@both_losses
def test_place_and_neighbours_change_not_one_bit(loss):
    problem = problem_of(loss=loss)
    for batch_size in BATCH_SIZES:
        for lanes in LANES:
            assert_place_does_not_matter(problem, crowd(batch_size), lanes)


def test_place_and_neighbours_change_not_one_bit_at_the_size_of_cifar10():
    # Products of this size go another way through BLAS than those of a few numbers.
    problem = problem_of(**CIFAR10)
    for batch_size in (50, 100, 400):
        usual = [
            replace(one, epochs=2, hyperparameters=replace(one.hyperparameters, learning_rate=1e-3))
            for one in crowd(batch_size, CIFAR10["n"])
        ]
        usual[1] = crowd(batch_size)[1]  # it diverges
        for lanes in LANES:
            assert_place_does_not_matter(problem, usual, lanes)


# Rows that are normalised in several ways.


def test_rows_of_another_normalisation_change_not_one_bit():
    plain, one = problem_of(), changed(epochs=3)
    halved = MirrorRows(plain.rows.rows / 2, plain.rows.labels, plain.rows.basis)
    other = replace(plain, rows=halved, evaluation={"train": halved}, normalise="unit")
    trainings = {
        (way, number): replace(one, number=number, normalise=way)
        for way in ("standardise", "unit")
        for number in range(3)
    }
    for lanes in (1, 4):
        panels, outcomes = Panels(plain, other, lanes=lanes), {key: [] for key in trainings}
        for key, training in trainings.items():
            panels.start(key, training)
        for _ in range(3):
            for key, outcome in run_pass(panels, workers=2).items():
                outcomes[key].append(outcome)
        for (way, number), passes in outcomes.items():
            own = plain if way == "standardise" else other
            expected = alone(own, trainings[way, number], lanes=lanes)
            assert bits(passes) == bits(expected), (way, number)
        assert bits(outcomes["standardise", 1]) != bits(outcomes["unit", 1])
    with pytest.raises(ValueError, match="rows are standardise, unit, not 'none'"):
        panels.start("strange", replace(one, first_pass=3, normalise="none"))


# Moving, going on elsewhere, and workers.


def count(panels):
    """How many panels there are: each has a worker of its own when there are plenty."""
    _, seconds = panels.run_pass(workers=1_000)
    return len(seconds)


def test_whole_panels_fall_away_as_trainings_end():
    panels = Panels(problem_of(), lanes=4)
    for key in range(13):
        panels.start(key, changed(number=key, epochs=99))
    panels.start("other size", changed(batch_size=5, epochs=99))
    panels.start("other seed", changed(seed=4, epochs=99))
    counts = [count(panels)]
    for gone in ((0, 5, 6), (1, 2), (4, 7, 8, 9), (3,), (10, 11), ("other size", 12)):
        for key in gone:
            panels.drop(key)
        counts.append(count(panels))
    # 13, 10, 8, 4, 3, 1 and no trainings of one size, and one each of another size and seed.
    assert counts == [6, 5, 4, 3, 3, 3, 1]
    assert len(panels) == 1
    panels.drop("other seed")
    assert panels.run_pass() == ({}, [])


def test_panels_that_may_not_move_trainings_fall_away_when_empty_and_fill_their_lanes():
    panels = Panels(problem_of(), lanes=2)
    panels.may_move = False
    for key in range(4):
        panels.start(key, changed(number=key, epochs=99))
    for gone, new, panels_left in (((0, 2), [], 2), ((), ["later"], 2), ((1, 3), [], 1)):
        for key in gone:
            panels.drop(key)
        for key in new:
            panels.start(key, changed(first_pass=panels.next_pass, epochs=99))
        assert count(panels) == panels_left


def test_panels_are_dealt_evenly_to_as_many_workers_as_have_one():
    panels, dealt = Panels(problem_of(), lanes=2), []
    for key in range(9):
        panels.start(key, changed(number=key, epochs=99))

    class Pool:
        def map(self, call, shares, *others):
            dealt.append(sorted(len(share) for share in shares))
            return map(call, shares, *others)

    for workers in (1, 2, 3, 9):
        _, seconds = panels.run_pass(Pool(), workers)
        assert len(seconds) == min(workers, 5)
        assert all(one.training > 0 and one.evaluation > 0 for one in seconds)
    assert dealt == [[5], [2, 3], [1, 2, 2], [1, 1, 1, 1, 1]]


def test_trainings_that_are_moved_come_out_bit_for_bit():
    problem = problem_of(classes=10)
    for lanes in LANES:
        # The first of each panel goes on alone: all of them end in one panel.
        trainings = {
            key: changed(number=key, epochs=5 if key % lanes == 0 else 1 + key % 4)
            for key in range(3 * lanes)
        }
        outcomes = train_all(problem, trainings, lanes=lanes)
        for key, training in trainings.items():
            assert bits(outcomes[key]) == bits(alone(problem, training, lanes=lanes))


@given(
    trainings=st.lists(trainings_of, min_size=1, max_size=8),
    lanes=st.sampled_from(LANES),
    broken_at=st.integers(1, 5),
    n=st.integers(1, 60),
    shape=shapes,
    classes=st.integers(2, 20),
    data=st.data(),
)
def test_however_trainings_come_and_go_and_move_each_comes_out_as_if_alone(
    trainings, lanes, broken_at, data, **given
):
    if given["shape"] is None:
        trainings = [without_flips(one) for one in trainings]
    problem, outcomes = problem_of(**given), [[] for _ in trainings]
    panels, last = Panels(problem, lanes=lanes), max(t.first_pass + t.epochs for t in trainings)
    running = set()
    while panels.next_pass < last:
        for key, one in enumerate(trainings):
            if one.first_pass == panels.next_pass:
                panels.start(key, one)
                running.add(key)
        if panels.next_pass == broken_at:  # as another process would go on
            other = Panels(problem, lanes=lanes)
            other.next_pass = broken_at
            for key in data.draw(st.permutations(sorted(running))):
                other.restore(key, trainings[key], panels.state(key))
            panels = other
        for key, outcome in run_pass(panels, workers=data.draw(st.integers(1, 3))).items():
            outcomes[key].append(outcome)
            if outcome[0].epoch == trainings[key].epochs or data.draw(st.integers(0, 4)) == 0:
                panels.drop(key)
                running.remove(key)
    for training, passes in zip(trainings, outcomes, strict=True):
        expected = bits(alone(problem, training, lanes=lanes))
        assert bits(passes) == expected[: len(passes)]
        assert len(passes) > 0


def test_neither_workers_nor_other_batch_sizes_change_one_bit():
    for n, sizes in ((3, (1, 2, 4, 5, 200)), (N, (1, 4, 6, 8, 24, 100))):
        problem = problem_of(n=n)
        trainings = {
            (size, seed, number): changed(batch_size=size, seed=seed, number=number)
            for size in sizes  # some are read together, when one worker has them
            for seed in (0, 1)
            for number in range(3)
        }
        expected = {key: bits(alone(problem, one, lanes=2)) for key, one in trainings.items()}
        with ThreadPoolExecutor(3) as pool:
            for workers in (1, 2, 3, 7, 100):
                outcomes = train_all(problem, trainings, lanes=2, pool=pool, workers=workers)
                assert {key: bits(passes) for key, passes in outcomes.items()} == expected


@both_losses
def test_a_lane_is_as_good_as_new_after_a_divergence(loss):
    problem = problem_of(loss=loss)
    for batch_size in BATCH_SIZES:
        for rate in (1e30, 1e60):  # 1e60 is no float32: NaN everywhere
            panels = Panels(problem, lanes=2)
            panels.start("keeps the panel", changed(batch_size=batch_size, epochs=9))
            panels.start("wild", changed(batch_size=batch_size, learning_rate=rate, l2=0.1))
            while not isinstance(run_pass(panels)["wild"], DivergedError):
                pass
            assert len(panels) == 1
            training = changed(batch_size=batch_size, first_pass=panels.next_pass)
            panels.start("new", training)
            after = [run_pass(panels)["new"] for _ in range(training.epochs)]
            assert bits(after) == bits(alone(problem, training, lanes=2))


def test_a_lane_that_was_cleared_holds_zeros():
    # What a diverged training leaves would make the products of its neighbours slow.
    panel = Panel(problem_of(), seed=3, batch_size=4, lanes=2)
    broken = LaneState(np.full((3, 6), np.nan, np.float32), np.full(3, np.inf, np.float32))
    panel.put(0, TRAINING, broken)
    panel.put(1, TRAINING, LaneState(np.ones((3, 6), np.float32), np.ones(3, np.float32)))
    panel.clear(0)
    assert [*panel.state(0).weights.ravel(), *panel.state(0).bias] == [0] * 21
    assert [*panel.state(1).weights.ravel(), *panel.state(1).bias] == [1] * 21
    assert panel.trainings == [None, TRAINING]


# What callers may rely on.


def test_every_pass_answers_for_the_trainings_in_the_order_they_were_started():
    panels = Panels(problem_of(), lanes=2)
    assert panels.run_pass() == ({}, [])
    assert panels.next_pass == 1
    for key in "cab":
        panels.start(key, changed(first_pass=1, epochs=9, batch_size=ord(key)))
    assert list(panels.run_pass()[0]) == ["c", "a", "b"]
    panels.drop("a")
    panels.start("a", changed(first_pass=2))
    assert list(panels.run_pass()[0]) == ["c", "b", "a"]
    assert len(panels) == 3


def test_states_are_the_receivers_own_and_stay_as_they_were():
    for shape in (SHAPE, (1, 1, 1)):  # one feature in one lane is contiguous as it is
        for lanes in LANES:
            problem = problem_of(shape=shape)
            panels, outcomes = Panels(problem, lanes=lanes), []
            panels.start("a", TRAINING)
            for _ in range(TRAINING.epochs):
                outcomes.append(run_pass(panels)["a"])
                spoilt = panels.state("a")
                spoilt.weights.fill(np.nan)
                spoilt.bias.fill(np.nan)
            expected = alone(problem, TRAINING, lanes=lanes)
            assert bits(outcomes) == bits(expected)
            restored, state = Panels(problem, lanes=lanes, next_pass=1), expected[0][1]
            before = state.weights.tobytes(), state.bias.tobytes()
            restored.restore("a", TRAINING, state)
            restored.run_pass()
            assert (state.weights.tobytes(), state.bias.tobytes()) == before


def test_rows_labels_and_row_weights_are_never_written_to():
    problem, counts = problem_of(), FRACTIONS.copy()
    for one in (problem.rows, *problem.evaluation.values()):
        one.rows.flags.writeable = one.labels.flags.writeable = False
    counts.flags.writeable = False
    for size in BATCH_SIZES:
        train_all(problem, {0: changed(batch_size=size, row_weights=counts), 1: TRAINING})


def test_a_rate_that_no_float32_can_hold_diverges_without_a_warning():
    before = np.geterr()
    for rate, l2 in ((1e30, 0.1), (1e60, 0.1), (1e60, 0), (1e308, 0), (1e308, 1e308)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            error = alone(problem_of(), changed(learning_rate=rate, l2=l2), lanes=2)[-1]
        assert isinstance(error, DivergedError)
        assert error.epoch == 1 or rate == 1e30
        assert np.geterr() == before


def test_what_could_not_train_is_refused_with_its_value():
    problem = problem_of()
    for lanes in (0, 3, 16):
        with pytest.raises(ValueError, match=rf"lanes must be one of \(1, 2, 4, 8\), got {lanes}"):
            Panels(problem, lanes=lanes)
    panels = Panels(problem, lanes=2)
    panels.start("a", TRAINING)
    with pytest.raises(ValueError, match="key='a' is training already"):
        panels.start("a", TRAINING)
    with pytest.raises(ValueError, match=r"training\.first_pass=1 is not the next pass, 0"):
        panels.start("b", changed(first_pass=1))
    with pytest.raises(ValueError, match="row_weights must be one for each of 45 rows, got 44"):
        panels.start("b", changed(row_weights=np.ones(44)))
    assert len(panels) == 1
    unshaped = Panels(problem_of(shape=None), lanes=2)
    with pytest.raises(ValueError, match=r"flip_probability must be 0 .* image_shape, got 0\.4"):
        unshaped.start("b", TRAINING)
    for call in (panels.drop, panels.state):
        with pytest.raises(KeyError, match="b"):
            call("b")


def test_a_state_that_does_not_fit_is_refused():
    panels = Panels(problem_of(), lanes=2)
    panels.next_pass = 3
    state = LaneState(np.zeros((3, 6), np.float32), np.zeros(3, np.float32))
    for training in (changed(first_pass=4), changed(first_pass=0, epochs=3)):
        with pytest.raises(ValueError, match="pass 3 is no epoch of"):
            panels.restore("b", training, state)
    for other, shapes in (
        (replace(state, weights=state.weights[:, 1:]), r"\(\(3, 5\), \(3,\)\)"),
        (replace(state, weights=state.weights[1:]), r"\(\(2, 6\), \(3,\)\)"),
        (replace(state, bias=state.bias[1:]), r"\(\(3, 6\), \(2,\)\)"),
    ):
        with pytest.raises(ValueError, match=rf"state of shapes {shapes} is not of these rows"):
            panels.restore("b", changed(epochs=9), other)
    assert len(panels) == 0


def test_sets_that_do_not_fit_together_are_refused():
    with pytest.raises(ValueError, match="training labels must be below classes=2, got 2"):
        replace(problem_of(), classes=2)
    other = MirrorRows.of(rows_of(5, 6, 4, 1), SHAPE)
    with pytest.raises(ValueError, match="training labels must be below classes=3, got 3"):
        replace(problem_of(), rows=other, evaluation={"training": problem_of().rows})
    for name in ("evaluation", "final"):
        with pytest.raises(ValueError, match="test labels must be below classes=3, got 3"):
            replace(problem_of(), **{name: {"test": other}})
    other = MirrorRows.of(rows_of(5, 6, 3, 1), (1, 3, 2))
    for name in ("evaluation", "final"):
        message = r"test rows differ in basis: .*\(1, 3, 2\).*\(1, 2, 3\)"
        with pytest.raises(ValueError, match=message):
            replace(problem_of(), **{name: {"test": other}})


# The check on the user's machine.


def test_lanes_agree_here():
    for size in ({}, {"shape": None}, {"n": 5, "classes": 12}, CIFAR10):
        batch_sizes = (50, 200) if size is CIFAR10 else BATCH_SIZES
        for loss in LOSSES.values():
            problem = problem_of(loss=loss, **size)
            for lanes in LANES:
                for batch_size in batch_sizes:
                    assert lanes_agree(problem, lanes=lanes, batch_size=batch_size)


@both_losses
def test_lanes_do_not_agree_where_a_neighbour_or_the_lane_comes_in(loss):
    def mixing(scores, labels):
        loss.slopes_(scores, labels)
        scores += np.float32(1e-4) * np.roll(scores, 1, axis=2)

    def rounding(scores, labels):
        loss.slopes_(scores, labels)
        scores[:, :, -1] *= np.float32(1 + 2**-20)

    for wrong in (mixing, rounding):
        problem = problem_of(loss=replace(loss, slopes_=wrong))
        for lanes in (2, 4, 8):
            assert not lanes_agree(problem, lanes=lanes, batch_size=7)


PLACES = (
    test_place_and_neighbours_change_not_one_bit,
    test_place_and_neighbours_change_not_one_bit_at_the_size_of_cifar10,
    test_trainings_that_are_moved_come_out_bit_for_bit,
    test_however_trainings_come_and_go_and_move_each_comes_out_as_if_alone,
    test_neither_workers_nor_other_batch_sizes_change_one_bit,
    test_lanes_agree_here,
)
CORE_TYPE = """
import numpy
from threadpoolctl import threadpool_info
print(*(one.get("architecture") for one in threadpool_info()))
"""


@pytest.mark.slow
def test_place_and_moves_change_not_one_bit_with_the_kernels_for_avx2(pytestconfig):
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists() or "avx2" not in cpuinfo.read_text().split():
        pytest.skip("needs Linux, and a processor with AVX2")
    environment = os.environ | {"OPENBLAS_CORETYPE": "Haswell"}

    def run(*arguments):
        return subprocess.run(
            [sys.executable, *arguments],
            env=environment,
            cwd=pytestconfig.rootpath,
            capture_output=True,
            text=True,
            check=False,
        )

    if "Haswell" not in run("-c", CORE_TYPE).stdout.split():
        pytest.skip("needs a NumPy whose BLAS is an OpenBLAS with a choice of kernels")
    tests = [f"{__file__}::{test.__name__}" for test in PLACES]
    finished = run("-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)
    assert finished.returncode == 0, finished.stdout

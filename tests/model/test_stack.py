import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep_model.blocking import Blocking
from sweep_model.draws import Draws
from sweep_model.hyperparameters import Hyperparameters
from sweep_model.losses import BCE, LOSSES, SOFTMAX, Loss
from sweep_model.mirror_rows import MirrorRows
from sweep_model.reference import DivergedError, Rows, train
from sweep_model.stack import Stack

CLASSES = 3
SETTING = Hyperparameters(
    l2=0.01, learning_rate=0.1, decay_period=2, batch_size=4, flip_probability=0.4
)
BLOCKING = Blocking(micro_batch=2, block=8)
BATCH_SIZES = (2, 4, 8, 16, 24)
EPOCHS = 4
both_losses = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


def rows_of(n, features, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, n)
    centres = np.arange(CLASSES * features).reshape(CLASSES, features) % 5 - 2
    return Rows((rng.normal(size=(n, features)) + centres[labels]).astype(np.float32), labels)


def stack_of(*, n=45, shape=(1, 2, 3), features=None, loss=SOFTMAX, slots=3, seed=3, **other):
    features = math.prod(shape) if features is None else features
    training, validation = rows_of(n, features, 1), rows_of(15, features, 2)
    usual = {"classes": CLASSES, "blocking": BLOCKING}
    return Stack(
        MirrorRows.of(training, shape),
        MirrorRows.of(validation, shape),
        loss=loss,
        slots=slots,
        seed=seed,
        **(usual | other),
    )


def run(settings, *, passes=EPOCHS, **other):
    """Run a stack whose slots start with `settings`; None leaves a slot empty."""
    stack = stack_of(slots=len(settings), **other)
    for slot, setting in enumerate(settings):
        if setting is not None:
            stack.start(slot, setting)
    return [stack.run_pass() for _ in range(passes)]


def oracle(setting, *, n=45, shape=(1, 2, 3), features=None, loss=SOFTMAX, epochs=EPOCHS, **draws):
    features = math.prod(shape) if features is None else features
    return train(
        rows_of(n, features, 1),
        rows_of(15, features, 2),
        setting,
        loss=loss,
        classes=CLASSES,
        epochs=epochs,
        draws=Draws(**({"seed": 3} | draws)),
        image_shape=shape,
    )


def assert_agree(found, expected):
    """Assert equality within float32 rounding, weight by weight and figure by figure."""
    size = np.abs(expected.weights).max()
    np.testing.assert_allclose(found.weights, expected.weights, rtol=1e-4, atol=1e-5 * size)
    np.testing.assert_allclose(found.bias, expected.bias, rtol=1e-4, atol=1e-5)
    assert (found.epoch, found.learning_rate) == (expected.epoch, expected.learning_rate)
    for one, other in ((found.train, expected.train), (found.val, expected.val)):
        assert one.loss == pytest.approx(other.loss, rel=1e-4, abs=1e-6)
        assert one.cost == pytest.approx(other.cost, rel=1e-4, abs=1e-6)
        assert one.accuracy == pytest.approx(other.accuracy, abs=0.03)  # a near tie may turn


def bits(results):
    """Everything that a trial gave, byte by byte."""
    return [
        str(one)
        if isinstance(one, DivergedError)
        else (one.weights.tobytes(), one.bias.tobytes(), one.train, one.val)
        for one in results
    ]


settings = st.builds(
    Hyperparameters,
    l2=st.sampled_from([0, 1e-3, 0.1, 2]),
    learning_rate=st.floats(1e-3, 0.2),
    decay_period=st.integers(1, 3),
    batch_size=st.sampled_from(BATCH_SIZES),
    flip_probability=st.sampled_from([0, 0.3, 1]),
)


@given(
    st.lists(settings, min_size=1, max_size=4),
    st.integers(1, 60),
    st.none() | st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 5)),
    st.sampled_from(list(LOSSES.values())),
)
def test_a_stack_trains_what_the_reference_trains(trials, n, shape, loss):
    given_rows = {"n": n, "shape": shape, "loss": loss}
    if shape is None:  # rows that are no images have nothing to flip
        given_rows["features"] = 7
        trials = [replace(setting, flip_probability=0) for setting in trials]
    passes = run(trials, **given_rows)
    for slot, setting in enumerate(trials):
        expected = oracle(setting, slot=slot, **given_rows)
        for results, one in zip(passes, expected, strict=True):
            assert_agree(results[slot], one)


@both_losses
@pytest.mark.parametrize("l2", [0.0, 0.01])
@pytest.mark.parametrize("flip_probability", [0, 0.4, 1])
def test_every_batch_size_agrees_with_the_reference(loss, l2, flip_probability):
    trials = [
        replace(SETTING, l2=l2, flip_probability=flip_probability, batch_size=size)
        for size in BATCH_SIZES
    ]
    passes = run(trials, loss=loss)
    for slot, setting in enumerate(trials):
        for results, one in zip(passes, oracle(setting, loss=loss, slot=slot), strict=True):
            assert_agree(results[slot], one)


@both_losses
def test_rows_that_are_no_images_train_as_the_reference_trains_them(loss):
    setting = replace(SETTING, flip_probability=0)
    passes = run([setting], shape=None, features=7, loss=loss)
    expected = oracle(setting, shape=None, features=7, loss=loss)
    for results, one in zip(passes, expected, strict=True):
        assert_agree(results[0], one)


@pytest.mark.parametrize(
    ("l2", "learning_rate"),
    [
        (4.9, 0.1),  # a step leaves 0.02: after 45 / 2 steps 1e-37 of the weights, and then 0
        (5, 0.1),  # a step leaves nothing
        (7, 0.1),  # a step turns the weights round, and they shrink
        (9.9, 0.1),  # they hardly shrink
        (1e-7, 1),  # a step leaves as good as everything
    ],
)
@pytest.mark.parametrize("batch_size", [2, 8, 24])
@both_losses
def test_weights_shrink_as_in_the_reference_however_much(loss, batch_size, l2, learning_rate):
    setting = replace(
        SETTING, l2=l2, learning_rate=learning_rate, batch_size=batch_size, decay_period=9
    )
    passes = run([setting], loss=loss)
    for results, one in zip(passes, oracle(setting, loss=loss), strict=True):
        assert_agree(results[0], one)


def test_growing_weights_agree_with_the_reference_until_float32_ends():
    # Each step multiplies the weights by -3: beyond the limits of the scale, and then infinite.
    setting = replace(SETTING, l2=20, learning_rate=0.1, decay_period=9)
    expected = []
    with pytest.raises(DivergedError) as end:
        expected.extend(oracle(setting, epochs=9))  # what came before the error is kept
    found = [results[0] for results in run([setting], passes=end.value.epoch)]
    assert len(expected) > 0
    for one, other in zip(found, expected, strict=False):
        assert_agree(one, other)
    assert str(found[-1]) == str(end.value)


def test_a_trial_that_starts_later_draws_as_the_reference_does_from_there():
    stack = stack_of(slots=2)
    stack.start(0, SETTING)
    stack.run_pass()
    stack.run_pass()
    stack.start(1, SETTING)
    for one in oracle(SETTING, first_pass=2, slot=1):
        assert_agree(stack.run_pass()[1], one)


def test_the_blocking_changes_nothing_but_roundings():
    blockings = [Blocking(2, 2), Blocking(2, 4), Blocking(2, 8), Blocking(4, 4), Blocking(1, 8)]
    ways = [run([replace(SETTING, batch_size=8)], blocking=blocking) for blocking in blockings]
    for way in ways:
        assert_agree(way[-1][0], ways[0][-1][0])


WILD = replace(SETTING, learning_rate=1e30)
OTHERS = {
    "other settings": [replace(SETTING, l2=1, batch_size=2), replace(SETTING, batch_size=24)],
    "l2 beyond the scale's limits": [replace(SETTING, l2=4.9), replace(SETTING, l2=5)],
    "one that diverges": [WILD, replace(WILD, batch_size=24)],
}


@both_losses
@pytest.mark.parametrize("batch_size", [2, 8, 24])
@pytest.mark.parametrize("others", OTHERS.values(), ids=OTHERS)
def test_neighbours_change_not_one_bit(loss, batch_size, others):
    setting = replace(SETTING, batch_size=batch_size)
    alone = run([None, setting, None], loss=loss)
    beside = run([others[0], setting, others[1]], loss=loss)
    assert bits(one[1] for one in beside) == bits(one[1] for one in alone)


def test_at_the_size_of_cifar10_neighbours_change_not_one_bit_either():
    # Products of this size go another way through BLAS than those of a few numbers.
    shape, spoilt = (3, 32, 32), replace(WILD, batch_size=100)
    usual = replace(SETTING, learning_rate=0.001, batch_size=50)
    trials = [usual, spoilt, *(replace(usual, batch_size=size) for size in (25, 100, 200, 400))]
    at = {"n": 430, "shape": shape, "blocking": Blocking(25, 100), "passes": 2}
    beside = run(trials * 2, **at)
    for slot in (0, 5, 9):
        only = [trial if place == slot else None for place, trial in enumerate(trials * 2)]
        alone = run(only, **at)
        assert bits(one[slot] for one in alone) == bits(one[slot] for one in beside)
        for results, one in zip(
            alone, oracle(only[slot], n=430, shape=shape, epochs=2, slot=slot), strict=True
        ):
            assert_agree(results[slot], one)


@given(st.lists(settings, min_size=4, max_size=4), st.integers(0, 3), st.integers(9, 50))
def test_a_trial_run_again_alone_comes_out_bit_for_bit(trials, slot, n):
    alone = [trial if at == slot else None for at, trial in enumerate(trials)]
    again, first = run(alone, n=n), run(trials, n=n)
    assert bits(one[slot] for one in again) == bits(one[slot] for one in first)


def test_a_neighbour_cleared_and_replaced_midway_changes_not_one_bit():
    stack = stack_of(slots=3)
    stack.start(1, SETTING)
    stack.start(2, replace(SETTING, batch_size=24, l2=0.5))
    found = [stack.run_pass()[1]]
    stack.clear(2)
    found.append(stack.run_pass()[1])
    stack.start(2, WILD)
    stack.start(0, replace(SETTING, batch_size=16))
    found += [stack.run_pass()[1] for _ in range(2)]
    assert bits(found) == bits(one[1] for one in run([None, SETTING, None]))


@both_losses
@pytest.mark.parametrize("batch_size", [2, 8, 24])
@pytest.mark.parametrize("learning_rate", [1e30, 1e60])  # 1e60 is no float32: NaN everywhere
def test_a_slot_is_as_good_as_new_after_a_divergence(loss, batch_size, learning_rate):
    stack = stack_of(loss=loss)
    stack.start(1, replace(WILD, batch_size=batch_size, learning_rate=learning_rate))
    assert isinstance(stack.run_pass()[1], DivergedError)
    assert stack.occupied == []
    setting = replace(SETTING, batch_size=batch_size)
    stack.start(1, setting)
    after = [stack.run_pass()[1] for _ in range(EPOCHS)]
    fresh = stack_of(loss=loss, next_pass=1)
    fresh.start(1, setting)
    assert bits(after) == bits(fresh.run_pass()[1] for _ in range(EPOCHS))


def test_a_stack_may_begin_at_any_pass():
    stack = stack_of(next_pass=5)
    stack.start(0, SETTING)
    for one in oracle(SETTING, first_pass=5):
        assert_agree(stack.run_pass()[0], one)
    assert stack.next_pass == 5 + EPOCHS


@both_losses
def test_a_trial_put_back_into_its_slot_goes_on_as_if_it_had_never_left(loss):
    trials = [replace(SETTING, l2=0.3), replace(SETTING, batch_size=8)]
    unbroken = run(trials, loss=loss, passes=5)
    first = stack_of(loss=loss)
    for slot, one in enumerate(trials):
        first.start(slot, one)
    for _ in range(3):
        first.run_pass()
    states = [first.state(slot) for slot in range(len(trials))]
    first.run_pass()  # a state is a copy
    second = stack_of(loss=loss, slots=len(trials), next_pass=3)
    for slot, one in enumerate(trials):
        second.resume(slot, one, states[slot])
    for expected in unbroken[3:]:
        assert bits(second.run_pass().values()) == bits(expected.values())


def test_a_state_that_does_not_fit_is_refused():
    stack = stack_of()
    stack.start(0, SETTING)
    with pytest.raises(ValueError, match=r"no pass since state\.first_pass=0: the next is 0"):
        stack.resume(1, SETTING, stack.state(0))
    stack.run_pass()
    state = stack.state(0)
    with pytest.raises(ValueError, match="slot 0 holds a trial"):
        stack.resume(0, SETTING, state)
    with pytest.raises(ValueError, match=r"shapes .* are not of these rows"):
        stack.resume(1, SETTING, replace(state, bias=state.bias[1:]))
    with pytest.raises(ValueError, match="slot 2 holds no trial"):
        stack.state(2)


def test_a_divergence_is_that_of_the_reference():
    setting = replace(SETTING, learning_rate=1e3, l2=0.1, decay_period=100)
    with pytest.raises(DivergedError) as expected:
        list(oracle(setting))
    stack = stack_of()
    stack.start(0, setting)
    for _ in range(expected.value.epoch - 1):
        assert not isinstance(stack.run_pass()[0], DivergedError)
    found = stack.run_pass()[0]
    assert isinstance(found, DivergedError)
    assert found.epoch == expected.value.epoch
    assert stack.run_pass() == {}


def test_every_pass_answers_for_the_occupied_slots_in_order():
    stack = stack_of()
    assert stack.run_pass() == {}
    stack.start(2, SETTING)
    stack.start(0, SETTING)
    assert list(stack.run_pass()) == stack.occupied == [0, 2]
    stack.clear(0)
    assert list(stack.run_pass()) == stack.occupied == [2]


def test_results_are_the_receivers_own():
    stack = stack_of()
    stack.start(0, SETTING)
    found = []
    for _ in range(EPOCHS):
        result = stack.run_pass()[0]
        found.append((result.weights.tobytes(), result.bias.tobytes(), result.train, result.val))
        result.weights.fill(np.nan)
        result.bias.fill(np.nan)
    assert found == bits(one[0] for one in run([SETTING, None, None]))


def test_the_rows_are_left_as_they_were():
    stack = stack_of()
    for rows in (stack._training._rows, stack._validation._rows):
        rows.rows.flags.writeable = rows.labels.flags.writeable = False
    stack.start(0, SETTING)
    stack.run_pass()


def test_training_leaves_numpys_warnings_as_they_were():
    before = np.geterr()
    run([WILD, SETTING])
    assert np.geterr() == before


@pytest.mark.parametrize(
    ("slot", "change", "message"),
    [
        (3, {}, "slot must be from 0 to 2, got 3"),
        (-1, {}, "slot must be from 0 to 2, got -1"),
        (1, {}, "slot 1 holds a trial; clear it first"),
        (0, {"batch_size": 3}, "batch_size must be a multiple of 2 that divides 8 .* got 3"),
        (0, {"batch_size": 12}, "batch_size must be .*, got 12"),
    ],
)
def test_a_trial_that_does_not_fit_is_refused(slot, change, message):
    stack = stack_of()
    stack.start(1, SETTING)
    with pytest.raises(ValueError, match=message):
        stack.start(slot, replace(SETTING, **change))


def test_flips_without_images_are_refused():
    with pytest.raises(ValueError, match=r"flip_probability must be 0 .* no image_shape, got 0.4"):
        stack_of(shape=None, features=6).start(0, SETTING)


def test_an_empty_slot_cannot_be_cleared():
    with pytest.raises(ValueError, match="slot 1 holds no trial"):
        stack_of().clear(1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": 2}, "labels must be below classes=2, got 2"),
        ({"slots": 0}, "slots must be 1 or more, got 0"),
        (
            {"loss": Loss("hinge", BCE.values, BCE.gradient, BCE.probabilities)},
            r"loss must be one of \['bce', 'softmax'\], got 'hinge'",
        ),
    ],
)
def test_a_stack_that_could_not_train_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        stack_of(**change)


def test_rows_of_two_bases_are_refused():
    training, validation = (
        MirrorRows.of(rows_of(5, 6, 1), shape) for shape in ((1, 2, 3), (1, 3, 2))
    )
    with pytest.raises(ValueError, match=r"rows differ in basis: .*\(1, 2, 3\).*\(1, 3, 2\)"):
        Stack(training, validation, loss=SOFTMAX, classes=CLASSES, slots=1, seed=0)

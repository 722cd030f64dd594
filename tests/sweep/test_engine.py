import numpy as np
import pytest

from sweep.engine import Engine, blocking_of, train_alone
from sweep.layout import Layout
from sweep.seeds import stack_seed
from sweep.space import DEFAULT_SPACES, read_space
from sweep.timings import Timings
from sweep_model.draws import Draws
from sweep_model.hyperparameters import Hyperparameters
from sweep_model.losses import LOSSES
from sweep_model.reference import train
from sweep_model.results import DivergedError

SEEDS = [stack_seed(3, stack) for stack in range(3)]
SPACE = read_space("softmax", overrides=["batch_size=5,10"])


def setting(number, **changes):
    """Return one of many settings."""
    values = {
        "l2": 0.01 * number,
        "learning_rate": 0.1 / (number + 1),
        "decay_period": 2,
        "batch_size": 5 + 5 * (number % 2),
        "flip_probability": 0.3,
    }
    return Hyperparameters(**values | changes)


@pytest.fixture
def make(tiny_data):
    """Return a function that makes an engine with five slots in stacks of two."""

    def make(workers=2, loss="softmax"):
        layout = Layout(slots=5, width=2, workers=workers)
        blocking = blocking_of(SPACE)
        timings = Timings()
        return Engine(
            tiny_data, loss=loss, layout=layout, seeds=SEEDS, blocking=blocking, timings=timings
        )

    return make


def run(engine, passes=3):
    """Fill every slot and return the bytes of all weights after some passes."""
    with engine:
        for slot in range(5):
            engine.start(slot, setting(slot))
        for _ in range(passes):
            found = engine.run_pass()
    return {slot: result.weights.tobytes() for slot, result in found.items()}


def test_the_workers_change_no_bit(make):
    one, two = run(make(workers=1)), run(make(workers=2))
    assert list(one) == [0, 1, 2, 3, 4]
    assert one == two


@pytest.mark.parametrize("loss", LOSSES)
def test_every_trial_is_what_the_reference_trains(make, tiny_data, loss):
    with make(loss=loss) as engine:
        for slot in range(5):
            engine.start(slot, setting(slot))
        seats = [engine.seat(slot) for slot in range(5)]
        found = [engine.run_pass() for _ in range(4)][-1]
    for slot, seat in enumerate(seats):
        *_, expected = train(
            tiny_data.training,
            tiny_data.validation,
            setting(slot),
            loss=LOSSES[loss],
            classes=3,
            epochs=4,
            draws=Draws(seat.seed, seat.first_pass, seat.slot),
            image_shape=tiny_data.image_shape,
        )
        assert np.allclose(found[slot].weights, expected.weights, rtol=1e-4, atol=1e-6)
        assert found[slot].val.accuracy == expected.val.accuracy


def test_a_trial_alone_in_its_seat_comes_out_the_same_bit_for_bit(make, tiny_data):
    with make() as engine:
        for slot in range(4):
            engine.start(slot, setting(slot))
        engine.run_pass()
        engine.clear(3)
        engine.start(3, setting(7))
        seat = engine.seat(3)
        beside = [engine.run_pass()[3] for _ in range(3)]
    alone = list(train_alone(tiny_data, setting(7), loss="softmax", epochs=3, seat=seat))
    for one, other in zip(beside, alone, strict=True):
        assert one.epoch == other.epoch
        assert (one.train, one.val) == (other.train, other.val)
        assert one.weights.tobytes() == other.weights.tobytes()


def test_a_trial_that_diverges_frees_its_slot_and_says_so_alone_too(make, tiny_data):
    wild = setting(1, learning_rate=1e6, l2=1.0)
    with make() as engine:
        engine.start(4, wild)
        seat = engine.seat(4)
        while not isinstance(result := engine.run_pass()[4], DivergedError):
            pass
        assert engine.run_pass() == {}
    with pytest.raises(DivergedError) as again:
        list(train_alone(tiny_data, wild, loss="softmax", epochs=50, seat=seat))
    assert again.value.epoch == result.epoch


def test_the_time_is_split_into_training_evaluation_and_waiting(make):
    engine = make()
    run(engine)
    seconds = engine.timings.seconds()
    assert {"training", "evaluation", "waiting"} <= seconds.keys()
    assert all(value >= 0 for value in seconds.values())
    assert engine.operations == 5 * 3 * 12 * 3 * (6 * 45 + 2 * 15)


def test_the_blocking_suits_every_batch_size_of_the_space():
    assert blocking_of(DEFAULT_SPACES["softmax"]).block == 100
    anything = blocking_of(read_space("softmax", overrides=["batch_size=20:64"]))
    assert all(anything.suits(size) for size in range(20, 65))

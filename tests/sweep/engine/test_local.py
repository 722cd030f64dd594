from dataclasses import replace

import numpy as np
import pytest

from sweep.engine import LocalEngine, available_cores, local
from sweep.timings import Timings
from sweep_model.hyperparameters import Hyperparameters
from sweep_model.losses import LOSSES
from sweep_model.reference import train
from sweep_model.training import DivergedError, Training


def training(number, *, epochs=3, first_pass=0, seed=7, **changes):
    """Return one of many trainings."""
    setting = {
        "l2": 0.01 * number,
        "learning_rate": 0.1 / (number + 1),
        "decay_period": 2,
        "batch_size": 5 + 5 * (number % 2),
        "flip_probability": 0.3,
    }
    hyperparameters = Hyperparameters(**setting | changes)
    return Training(
        hyperparameters=hyperparameters,
        epochs=epochs,
        seed=seed,
        number=number,
        first_pass=first_pass,
    )


@pytest.fixture
def make(tiny_data):
    """Return a function that makes an engine with panels of two lanes."""

    def make(workers=1, loss="softmax", lanes=2, **options):
        return LocalEngine(
            tiny_data, loss=loss, lanes=lanes, workers=workers, timings=Timings(), **options
        )

    return make


def train_all(engine, trainings):
    """Train these to their end; return the results of every pass, and what each ends with."""
    for key, one in trainings.items():
        engine.start(key, one)
    passes, states = [], {}
    while len(states) < len(trainings):
        passes.append(engine.run_pass())
        for key, result in passes[-1].items():
            if result.epoch == trainings[key].epochs:
                states |= engine.states([key])
                engine.drop(key)
    return passes, states


def run(engine, passes=3):
    """Train five trainings side by side; return their results and the bytes of their weights."""
    with engine:
        for number in range(5):
            engine.start(number, training(number))
        results = [engine.run_pass() for _ in range(passes)]
        states = engine.states(range(5))
    return results, {key: state.weights.tobytes() for key, state in states.items()}


def test_the_workers_change_no_bit(make):
    one, two, many = run(make(workers=1)), run(make(workers=2)), run(make(workers=9))
    assert list(one[1]) == [0, 1, 2, 3, 4]
    assert one == two == many


@pytest.mark.parametrize("loss", LOSSES)
def test_every_training_is_what_the_reference_trains(make, tiny_data, tiny_pixels, loss):
    with make(loss=loss) as engine:
        trainings = {number: training(number) for number in range(5)}
        passes, states = train_all(engine, trainings)
    for number, one in trainings.items():
        *_, (result, weights, bias) = train(
            tiny_pixels.training,
            {"train": tiny_pixels.training, "val": tiny_pixels.validation},
            one,
            loss=LOSSES[loss],
            classes=3,
            image_shape=tiny_data.image_shape,
        )
        basis = tiny_data.training.basis
        ours = basis.turn_back(states[number].weights)
        assert np.allclose(ours, weights, rtol=1e-4, atol=1e-6)
        assert np.allclose(states[number].bias, bias, rtol=1e-4, atol=1e-6)
        for name, expected in result.evaluations.items():
            evaluation = passes[-1][number].evaluations[name]
            assert evaluation.accuracy == expected.accuracy
            assert evaluation.loss == pytest.approx(expected.loss, rel=1e-5)


def test_a_training_alone_from_its_first_pass_comes_out_the_same_bit_for_bit(make):
    late = training(7, first_pass=1)
    with make() as engine:
        for number in range(4):
            engine.start(number, training(number))
        engine.run_pass()
        engine.drop(3)
        engine.start(7, late)
        beside = [engine.run_pass()[7] for _ in range(2)]
        for number in range(3):
            engine.drop(number)
        beside.append(engine.run_pass()[7])
        weights = engine.states([7])[7].weights
    with make(first_pass=1) as engine:
        assert engine.next_pass == 1
        passes, states = train_all(engine, {7: late})
    assert [results[7] for results in passes] == beside
    assert np.array_equal(states[7].weights, weights)


def test_a_training_goes_on_from_its_state_to_the_same_bits(make):
    results, whole = run(make())
    with make() as engine:
        for number in range(5):
            engine.start(number, training(number))
        engine.run_pass()
        states = engine.states([1, 3])
    with make(first_pass=1) as engine:
        engine.restore({key: (training(key), state) for key, state in states.items()})
        again = [engine.run_pass() for _ in range(2)]
        left = engine.states([1, 3])
    assert {key: state.weights.tobytes() for key, state in left.items()} == {
        key: whole[key] for key in (1, 3)
    }
    assert [found[3] for found in again] == [found[3] for found in results[1:]]


def test_a_training_that_diverges_is_out_and_its_neighbours_stay_the_same(make):
    _, expected = run(make(), passes=2)
    with make() as engine:
        for number in range(5):
            engine.start(number, training(number))
        engine.start("wild", training(9, learning_rate=1e6, l2=1.0, epochs=50))
        found = [engine.run_pass() for _ in range(2)]
        states = engine.states(range(5))
    ended = [isinstance(results.get("wild"), DivergedError) for results in found]
    assert any(ended)
    assert {key: state.weights.tobytes() for key, state in states.items()} == expected


def test_the_sample_is_evaluated_after_every_epoch_and_all_rows_after_the_last(tiny_data):
    data, names = replace(tiny_data, sample=9), {}
    for curve in ("sample", "all"):
        engine = LocalEngine(
            data, loss="softmax", lanes=1, workers=1, timings=Timings(), train_curve=curve
        )
        with engine:
            passes, _ = train_all(engine, {0: training(0, epochs=2)})
        names[curve] = [set(results[0].evaluations) for results in passes]
        last = passes[-1][0].evaluations
        if curve == "sample":
            sampled, final = last["train"], last["final"]
    assert names == {
        "sample": [{"train", "val"}, {"train", "val", "final"}],
        "all": [{"train", "val"}, {"train", "val"}],
    }
    assert last["train"] == final
    assert sampled != final
    assert round(sampled.accuracy * 9, 9) % 1 == 0


def test_the_time_is_split_and_the_useful_operations_are_counted(make):
    engine = make()
    run(engine)
    seconds = engine.timings.seconds()
    assert {"training", "evaluation", "waiting"} <= seconds.keys()
    assert all(value >= 0 for value in seconds.values())
    # 4 n d k to train and 2 n d k to evaluate, of 45 training rows and 15 validation rows
    assert engine.operations == 5 * 3 * 12 * 3 * (6 * 45 + 2 * 15)


def test_where_lanes_do_not_agree_trainings_are_not_moved(make, monkeypatch):
    def places(engine):
        return {key: (id(panel), lane) for key, (panel, lane) in engine._panels._places.items()}

    def moved():
        with make() as engine:
            for number in range(4):
                engine.start(number, training(number, batch_size=5))
            engine.run_pass()
            before = places(engine)
            engine.drop(0)
            engine.drop(3)
            engine.run_pass()
            agree = engine.lanes_agree
            return agree, {key: at for key, at in places(engine).items() if at != before[key]}

    agree, some = moved()
    assert agree
    assert some
    monkeypatch.setattr(local, "lanes_agree", lambda *_, **__: False)
    assert moved() == (False, {})


def test_rows_in_pixel_order_and_an_unknown_curve_are_refused(tiny_pixels, tiny_data):
    with pytest.raises(TypeError, match="mirrored=True"):
        LocalEngine(tiny_pixels, loss="softmax", lanes=1, timings=Timings())
    with pytest.raises(ValueError, match="train_curve"):
        LocalEngine(tiny_data, loss="softmax", lanes=1, timings=Timings(), train_curve="some")


def test_there_is_a_worker_for_each_core_unless_said_otherwise(make):
    assert available_cores() >= 1
    assert make(workers=None).workers == available_cores()
    assert make(workers=3).workers == 3

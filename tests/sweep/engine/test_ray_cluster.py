import pickle
import socket
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from sweep.data import Dataset, Split, prepare
from sweep.engine import LocalEngine, TrainersLostError, open_engine, ray_cluster
from sweep.engine.local import shared_rows
from sweep.engine.placement import Placement
from sweep.engine.ray_calls import ActorFailedError, ActorLostError, check_cluster
from sweep.engine.ray_cluster import RayEngine, Trainer
from sweep.engine.repeats import RepeatedEngine
from sweep.environment import environment
from sweep.errors import StoreUnreachableError, SweepError
from sweep.timings import Timings
from sweep_model.hyperparameters import Hyperparameters
from sweep_model.training import DivergedError, Training


class Clock:
    """Time that passes where somebody waits."""

    now = 0.0

    def __call__(self):
        return self.now


class MemoryCluster:
    """A cluster without Ray: actors are objects of this process, each on a core of a machine.

    Attributes
    ----------
    free : names of machines, one for each core that has no actor yet.
    actors : by machine, those that have a core.
    sent : methods that were called, and how many bytes of weights came back to the driver.
    """

    address = "head:6379"

    def __init__(self, *machines, clock=None):
        self.free, self.actors, self.clock = list(machines), [], clock or Clock()
        self.waiting, self.sent, self.returned = [], Counter(), 0
        self.gone, self.closed, self.puts = 0, False, 0

    def put(self, value):
        self.puts += 1
        return value

    def spawn(self, rows, lanes):
        actor = MemoryActor(Trainer(rows, lanes))
        self.waiting.append(actor)
        self._fill()
        return actor

    def add(self, *machines):
        """Let cores come."""
        self.free += machines
        self._fill()

    def _fill(self):
        while self.free and self.waiting:
            actor = self.waiting.pop(0)
            actor.machine = self.free.pop(0)
            self.actors.append(actor)

    def lose(self, machine):
        """Let a machine end with all that is on it."""
        self.free = [name for name in self.free if name != machine]
        for actor in self.actors:
            actor.lost = actor.lost or actor.machine == machine

    def call(self, actor, method, *arguments):
        self.sent[method] += 1
        call = Call(actor, method, arguments)
        actor.calls.append(call)
        return call

    def ready(self, references, seconds):
        self.clock.now += seconds
        return [call for call in references if call.actor.machine]

    def get(self, references, seconds):
        del seconds
        self.clock.now += 1
        values = [call.value() for call in references]
        for call, value in zip(references, values, strict=True):
            if call.method == "states":
                self.returned += sum(array.nbytes for array in value)
        return values

    def kill(self, actor):
        actor.lost = True

    def cores(self):
        return len(self.free) + sum(not actor.lost for actor in self.actors)

    def away(self):
        return self.gone

    def close(self):
        self.closed = True


class MemoryActor:
    """Does what it is asked in the order in which it is asked."""

    def __init__(self, trainer):
        self.trainer, self.machine, self.lost = trainer, "", False
        self.calls, self.environment, self.fails = [], environment(), None

    def work(self):
        while self.calls:
            self.calls.pop(0).run()


class Call:
    def __init__(self, actor, method, arguments):
        self.actor, self.method, self.arguments = actor, method, arguments
        self.answer = self.error = None

    def value(self):
        self.actor.work()
        if self.error is not None:
            raise self.error
        return self.answer

    def run(self):
        actor = self.actor
        if actor.lost:
            self.error = ActorLostError(actor.machine)
            return
        if actor.fails is not None and self.method == "run_pass":
            self.error = ActorFailedError(actor.fails)
            return
        if self.method == "about":
            self.answer = actor.machine, actor.environment
            return
        try:
            arguments = [one.value() if isinstance(one, Call) else one for one in self.arguments]
            self.answer = getattr(actor.trainer, self.method)(*arguments)
        except (ActorLostError, ActorFailedError) as error:
            self.error = error


def training(number, *, epochs=4, first_pass=0, **changes):
    setting = {
        "l2": 0.01 * number,
        "learning_rate": 0.1 / (number + 1),
        "decay_period": 2,
        "batch_size": 5 + 5 * (number % 2),
        "flip_probability": 0.3,
    }
    return Training(
        hyperparameters=Hyperparameters(**setting | changes),
        epochs=epochs,
        seed=7,
        number=number,
        first_pass=first_pass,
    )


@pytest.fixture
def local(tiny_data):
    usual = {"lanes": 2, "workers": 1, "further": ("macro_f1", "log_loss")}
    return lambda: LocalEngine(tiny_data, loss="softmax", timings=Timings(), **usual)


@pytest.fixture
def on(tiny_data):
    """Return a function that makes the engine on a cluster."""

    def make(cluster, **options):
        rows = shared_rows(tiny_data, "softmax", "sample", ("macro_f1", "log_loss"))
        return RayEngine(cluster, rows, lanes=2, timings=Timings(), clock=cluster.clock, **options)

    return make


def course(engine, at=lambda _: None):
    """Train nine trainings, of which some end early and one begins late; return all of it."""
    results, ends = [], {}
    with engine:
        for number in range(8):
            engine.start(number, training(number))
        for number in range(4):
            results.append(engine.run_pass())
            at(number)
            for key in {0: (0, 2, 5), 1: (1, 3), 2: (4,), 3: ()}[number]:
                ends |= engine.states([key])
                engine.drop(key)
            if number == 1:
                engine.start(8, training(8, first_pass=2))
        ends |= engine.states([6, 7, 8])
    return results, {key: (one.weights.tobytes(), one.bias.tobytes()) for key, one in ends.items()}


def test_no_cluster_changes_a_bit(local, on):
    expected = course(local())
    assert len(expected[0][0]) == 8
    assert len(expected[1]) == 9
    for machines in (["a"], ["a", "b"], ["a"] * 3 + ["b"] * 9):
        assert course(on(MemoryCluster(*machines))) == expected


def test_folds_on_a_cluster_are_those_of_this_machine(tiny_data):
    data = replace(tiny_data, folds=np.arange(45) % 3)
    usual = {"lanes": 2, "timings": Timings()}
    cluster, outcomes = MemoryCluster("a", "b"), []
    for engine in (
        LocalEngine(data, loss="softmax", further=("macro_f1",), workers=1, **usual),
        RayEngine(cluster, shared_rows(data, "softmax", "sample", ("macro_f1",)), **usual),
    ):
        with RepeatedEngine(engine, data) as folds:
            for number in range(3):
                folds.start(number, training(number))
            results = [folds.run_pass() for _ in range(3)]
            states = folds.states(range(3))
        outcomes.append((results, [state.weights.tobytes() for state in states.values()]))
    assert outcomes[0] == outcomes[1]
    assert "macro_f1_sd" in outcomes[0][0][0][0].evaluations["val"].further


def test_draws_on_a_cluster_are_those_of_this_machine(tiny_data):
    data = replace(tiny_data, draws=3, sample=15)
    usual = {"lanes": 2, "timings": Timings()}
    outcomes = []
    for engine in (
        LocalEngine(data, loss="softmax", workers=1, **usual),
        RayEngine(MemoryCluster("a", "b"), shared_rows(data, "softmax", "sample"), **usual),
    ):
        with RepeatedEngine(engine, data) as draws:
            for number in range(3):
                draws.start(number, training(number))
            results = [draws.run_pass() for _ in range(3)]
            states = draws.states(range(3))
        outcomes.append((results, [state.weights.tobytes() for state in states.values()]))
    assert outcomes[0] == outcomes[1]
    weights = states[0].weights
    assert len({one.tobytes() for one in weights}) == len(weights) == 3


def test_each_training_has_its_own_rows_on_a_cluster(tiny_data):
    halved = replace(tiny_data.training, rows=tiny_data.training.rows / 2)
    data = replace(tiny_data, others=(replace(tiny_data, training=halved, normalise="unit"),))
    outcomes = []
    for engine in (
        LocalEngine(data, loss="softmax", lanes=2, workers=1, timings=Timings()),
        RayEngine(
            MemoryCluster("a", "b"),
            shared_rows(data, "softmax", "sample"),
            lanes=2,
            timings=Timings(),
        ),
    ):
        with engine:
            for number in range(6):
                way = "unit" if number % 3 else "standardise"
                engine.start(number, replace(training(number), normalise=way))
            results = [engine.run_pass() for _ in range(3)]
            states = engine.states(range(6))
        outcomes.append((results, [state.weights.tobytes() for state in states.values()]))
    assert outcomes[0] == outcomes[1]
    placement = Placement(4)
    for number in range(4):
        way = "unit" if number % 2 else "standardise"
        placement.add(number, replace(training(0), normalise=way))
    assert [panel.kind.normalise for panel in placement.panels] == ["standardise", "unit"]


def test_rows_that_are_held_as_they_were_given_travel_once(monkeypatch):
    rows = np.random.default_rng(0).normal(size=(400, 50)).astype(np.float16)
    labels = np.arange(400) % 3
    dataset = Dataset(
        name="few", rows=rows, labels=labels, class_names=("a", "b", "c"), image_shape=None
    )
    monkeypatch.setattr("sweep.data.dataset.WIDEST", 0)
    split = Split(np.arange(390), np.arange(390, 400))
    data = prepare(dataset, split, normalise="standardise,unit,none", mirrored=True)
    buffers = []
    shared = shared_rows(data, "softmax", "sample")
    pickle.dumps(shared, protocol=5, buffer_callback=buffers.append)
    sizes = sorted((buffer.raw().nbytes for buffer in buffers), reverse=True)
    assert sizes[0] == rows.nbytes == 40_000
    assert sum(sizes[1:]) < 20_000  # their numbers and labels, and three times ten rows


def test_cores_that_come_in_mid_study_are_used_and_change_no_bit(local, on):
    cluster, said = MemoryCluster("a"), []
    grow = {0: lambda: cluster.add("b", "b")}
    engine = on(cluster, noted=said.append)
    assert course(engine, at=lambda number: grow.get(number, int)()) == course(local())
    assert engine.machines == {"a": 1, "b": 2}
    assert [line.split(": ")[1] for line in said if "machine" in line] == [
        "1 actor on 1 machine",
        "3 actors on 2 machines",
    ]


def test_rows_are_put_once_and_weights_travel_only_where_they_are_asked_for(on):
    cluster = MemoryCluster("a", "b", "c", "d")
    with on(cluster) as engine:
        for number in range(8):
            engine.start(number, training(number))
        for _ in range(3):
            engine.run_pass()
        for number in (0, 4, 1, 5):  # so that others move together
            engine.drop(number)
        engine.run_pass()
        assert cluster.sent["restore"] > 0
        assert (cluster.puts, cluster.returned) == (1, 0)
        engine.states([6, 7])
        assert cluster.returned == 2 * (3 * 12 + 3) * 4
    assert cluster.closed
    assert all(actor.lost for actor in cluster.actors)


def test_weights_after_the_last_epoch_are_there_while_others_are_dropped(local, on):
    states = []
    for engine in (local(), on(MemoryCluster("a", "b", "c", "d"))):
        with engine:
            for number in range(8):
                engine.start(number, training(number, epochs=1))
            engine.run_pass()
            kept = {}
            for number in (0, 4, 1, 5, 2, 6, 3, 7):  # so that two panels would become one
                kept |= engine.states([number])
                engine.drop(number)
        states.append({key: one.weights.tobytes() for key, one in kept.items()})
    assert states[0] == states[1]


def test_a_result_takes_at_most_100_bytes(tiny_data):
    trainer = Trainer(shared_rows(tiny_data, "softmax", "sample", ("macro_f1",)), 2)
    trainer.start(0, {number: training(number, epochs=1) for number in range(6)})
    answer = trainer.run_pass()
    assert answer.values.shape[0] == 6
    arrays = answer.values, answer.numbers, answer.further
    assert sum(array.nbytes for array in arrays) <= 6 * 100


def test_a_training_that_diverges_is_out_with_the_same_error(local, on):
    errors = []
    for engine in (local(), on(MemoryCluster("a", "b"))):
        with engine:
            engine.start("wild", training(1, learning_rate=1e30))
            engine.start("tame", training(2))
            errors.append(engine.run_pass()["wild"])
            assert list(engine.run_pass()) == ["tame"]
    assert isinstance(errors[0], DivergedError)
    assert errors[0].args == errors[1].args


@pytest.mark.parametrize("gone", [["b"], ["a", "b"]])
def test_after_a_loss_the_engine_is_empty_and_trains_on_what_is_left(local, on, gone):
    cluster = MemoryCluster("a", "b", "c")
    engine = on(cluster)
    with engine:
        for number in range(8):
            engine.start(number, training(number))
        engine.run_pass()
        for machine in gone:
            cluster.lose(machine)
        with pytest.raises(TrainersLostError, match=f"1 on {gone[0]}"):
            engine.run_pass()
        assert engine.next_pass == 0
        assert set(engine.machines) == {"a", "b", "c"} - set(gone)
        assert course(engine) == course(local())


def test_an_actor_that_is_lost_again_and_again_ends_the_study(on):
    cluster = MemoryCluster("a", "b")
    with on(cluster) as engine:
        for attempt in range(ray_cluster.MOST_LOSSES + 1):
            cluster.add("b")
            engine.start(0, training(0))
            engine.start(1, training(1))
            engine.states([0, 1])
            cluster.lose("b")
            last = attempt == ray_cluster.MOST_LOSSES
            with pytest.raises(StoreUnreachableError, match="memory" if last else "lost") as error:
                engine.run_pass()
            assert isinstance(error.value, TrainersLostError) != last


def test_without_a_core_it_waits_with_a_line_and_then_gives_up(on):
    said = []
    with on(MemoryCluster(), warned=said.append) as engine:
        engine.start(0, training(0))
        with pytest.raises(StoreUnreachableError, match=r"no core .* was free"):
            engine.run_pass()
    assert len(said) == 1
    assert "waiting" in said[0]


def test_a_signal_ends_the_waiting(on):
    with on(MemoryCluster(), stopped=lambda: True) as engine:
        engine.start(0, training(0))
        with pytest.raises(TrainersLostError, match="stopped"):
            engine.run_pass()


def test_a_head_that_stays_away_ends_the_study_and_a_short_absence_does_not(on):
    cluster = MemoryCluster("a")
    with on(cluster) as engine:
        engine.start(0, training(0, epochs=50))
        cluster.gone = ray_cluster.HEAD_SECONDS - 1
        engine.run_pass()
        cluster.gone = ray_cluster.HEAD_SECONDS
        with pytest.raises(StoreUnreachableError, match="head"):
            engine.run_pass()


def test_an_error_in_an_actor_names_the_machine(on):
    cluster = MemoryCluster("a", "b")
    with on(cluster) as engine:
        engine.start(0, training(0))
        engine.start(1, training(1))
        engine.states([0, 1])
        next(actor for actor in cluster.actors if actor.machine == "b").fails = "MemoryError: 3 GB"
        with pytest.raises(SweepError, match="machine b: MemoryError: 3 GB") as error:
            engine.run_pass()
    assert not isinstance(error.value, StoreUnreachableError)


def test_cores_without_a_panel_are_said_with_the_slots_that_would_use_them(on):
    said = []
    with on(MemoryCluster(*"abcdef"), noted=said.append) as engine:
        engine.start(0, training(0))
        engine.run_pass()
    assert any("6 cores" in line and "--slots 24" in line for line in said)


def test_machines_that_differ_are_recorded_and_said(on):
    cluster, said = MemoryCluster("a", "b"), []
    with on(cluster, warned=said.append) as engine:
        engine.start(0, training(0))
        engine.states([0])
        assert engine.environment == environment()
        engine.start(1, training(1))
        other = {**environment(), "blas": "openblas 0.3 Haswell", "mlflow": "3.18"}
        spawn = cluster.spawn

        def spawn_other(rows, lanes):
            actor = spawn(rows, lanes)
            actor.environment = other
            return actor

        cluster.spawn = spawn_other
        engine.states([1])
        both = "; ".join(sorted({environment()["blas"], other["blas"]}))
        assert engine.environment["blas"] == both
    assert len(said) == 1
    assert "Haswell" in said[0]
    assert "mlflow" not in said[0]


def test_where_lanes_disagree_trainings_stay_where_they_are(on, monkeypatch):
    monkeypatch.setattr("sweep.engine.local.lanes_agree", lambda *_, **__: False)
    cluster = MemoryCluster("a", "b")
    with on(cluster) as engine:
        for number in range(8):
            engine.start(number, training(number))
        engine.run_pass()
        assert not engine.lanes_agree
        for number in (0, 2, 4, 1):
            engine.drop(number)
        engine.run_pass()
    assert cluster.sent["restore"] == 0


def test_the_time_of_a_pass_is_told_by_part(on):
    engine = on(MemoryCluster("a", "b"))
    course(engine)
    parts = engine.timings.seconds()
    assert {"training", "evaluation", "waiting", "driver", "cluster"} <= set(parts)
    assert min(parts.values()) >= 0
    assert engine.operations > 0


def test_panels_are_dealt_evenly_and_moved_only_where_that_helps():
    placement, actors = Placement(lanes=2), [object() for _ in range(3)]
    for number in range(12):
        placement.add(number, training(number))
    placement.compact(may_move=True)
    placement.deal(actors, may_move=True)
    shares = Counter(panel.actor for panel in placement.panels)
    assert sorted(shares.values()) == [2, 2, 2]
    before = [panel.actor for panel in placement.panels]
    placement.deal(actors, may_move=True)
    assert [panel.actor for panel in placement.panels] == before
    placement.deal([*actors, new := object()], may_move=True)
    moved = [
        panel.actor
        for panel, was in zip(placement.panels, before, strict=True)
        if panel.actor is not was
    ]
    assert set(moved) == {new}
    assert len(moved) <= 2


def test_workers_do_not_go_with_a_cluster_elsewhere(make_config, tiny_data):
    with pytest.raises(SweepError, match="--workers 2"):
        open_engine(make_config(), tiny_data, timings=Timings(), workers=2, ray="auto")


def test_without_ray_one_line_says_how_to_install_it(make_config, tiny_data, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(SweepError, match=r"pip install 'sweep\[ray\]'"):
        open_engine(make_config(), tiny_data, timings=Timings(), ray="local")


def test_an_address_without_a_head_is_one_that_may_come_back(make_config, tiny_data, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setitem(__import__("sys").modules, "ray", FakeRay)
    with pytest.raises(StoreUnreachableError, match=address):
        open_engine(make_config(), tiny_data, timings=Timings(), ray=address)


class FakeRay:
    __spec__ = "ray"
    is_initialized = staticmethod(lambda: False)


@pytest.mark.parametrize(
    "address",
    ["", "localhost", "LOCAL", "ray://127.0.0.1:1", "127.0.0.1:0", "a:99999", ":6379", "a b:3", 5],
)
def test_what_names_no_cluster_is_refused(address):
    with pytest.raises(SweepError, match="auto, local or HOST:PORT of its head, not ") as caught:
        check_cluster(address)
    assert not isinstance(caught.value, StoreUnreachableError)

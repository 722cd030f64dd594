"""What a Ray cluster costs: the driver's work and the bytes of a pass, and what follows for many.

    python benchmarks/cluster.py [--small]

The first table is measured on this machine: actors that train next to nothing, so that what is seen
is the driver (dealing, calls, results) and what travels. The driver's time on the clock includes
waiting for cores that actors of the same machine use; its CPU time, with the threads of Ray in it,
does not, and the simulation goes by that. The second is a simulation of studies of
CIFAR-10 on machines of 16 cores: each pass takes as long as the slowest actor and what the driver
does between two passes. A panel's pass takes the time that was measured on one core, times a
random number of each core (uneven machines) and of each pass.
"""

from __future__ import annotations

import argparse
import pickle
import statistics
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from measuring import BATCH_SIZES, Table, machine

from sweep.config import NORMALISATIONS, default_lanes
from sweep.engine.local import SharedRows
from sweep.engine.placement import Placement
from sweep.engine.ray_calls import RayCluster
from sweep.engine.ray_cluster import RayEngine, Trainer
from sweep.timings import Timings
from sweep_model.hyperparameters import Hyperparameters
from sweep_model.preprocessing import MirrorBasis, MirrorRows
from sweep_model.training import Training

if TYPE_CHECKING:
    from collections.abc import Sequence

CORES = 16
FEATURES, CLASSES, ROWS = 3072, 10, 400
PASS_SECONDS = {4: 0.60, 8: 0.95}
"""Of a full panel with batches of 100 on one core, by lanes: training and evaluating CIFAR-10."""
UNEVEN, JITTER = 0.05, 0.02
"""Relative deviation of the speed of cores, and of one pass of a core from another."""


def training(number: int) -> Training:
    """Return a training whose epochs cost next to nothing on a few rows."""
    setting = Hyperparameters(
        l2=0.0,
        learning_rate=0.01,
        decay_period=10,
        batch_size=BATCH_SIZES[number % len(BATCH_SIZES)],
        flip_probability=0.0,
    )
    return Training(hyperparameters=setting, epochs=1000, number=number)


def few_rows() -> SharedRows:
    """Return rows as wide as CIFAR-10's, but few."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((ROWS, FEATURES), dtype=np.float32)
    few = MirrorRows(rows, rng.integers(0, CLASSES, ROWS), MirrorBasis(FEATURES))
    how = NORMALISATIONS[0]
    return SharedRows({how: few}, {how: few.first(50)}, 50, "softmax", CLASSES)


class Counting:
    """A cluster that counts calls and the bytes of what is sent and comes back."""

    def __init__(self, cluster: RayCluster) -> None:
        self._cluster = cluster
        self.calls = self.sent = self.received = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    def call(self, actor: Any, method: str, *arguments: object) -> Any:
        """Count the call."""
        self.calls += 1
        self.sent += len(pickle.dumps(arguments, protocol=5)) if method != "restore" else 0
        return self._cluster.call(actor, method, *arguments)

    def get(self, references: Sequence[Any], seconds: float) -> list[Any]:
        """Count what comes back."""
        values = self._cluster.get(references, seconds)
        self.received += sum(len(pickle.dumps(value, protocol=5)) for value in values if value)
        return values


def measure(trainings: int, actors: int, passes: int) -> dict[str, float]:
    """Run passes of so many trainings on so many actors; return what one costs, and its bytes."""
    cluster = Counting(RayCluster("local", Trainer, cores=actors))
    lanes, timings = default_lanes(CLASSES, trainings), Timings()
    with RayEngine(cluster, few_rows(), lanes=lanes, timings=timings) as engine:  # type: ignore[arg-type]
        for number in range(trainings):
            engine.start(number, training(number))
        engine.run_pass()
        before = timings.seconds()
        cluster.calls = cluster.sent = cluster.received = 0
        used = time.process_time()
        for _ in range(passes):
            engine.run_pass()
        used = 1e3 * (time.process_time() - used) / passes
        after = timings.seconds()
        received, calls = cluster.received / passes, cluster.calls / passes
        began = time.perf_counter()
        engine.states(range(trainings))
        states = time.perf_counter() - began
    driver = 1e3 * (after["driver"] - before["driver"]) / passes
    return {
        "cpu": used,
        "driver": driver,
        "states": 1e3 * states,
        "bytes": received,
        "calls": calls,
    }


def placing(trainings: int, actors: int) -> tuple[float, float]:
    """Return the milliseconds of a pass's placement: where nothing changes, and after ends."""
    placement, cores = (
        Placement(default_lanes(CLASSES, trainings)),
        [object() for _ in range(actors)],
    )
    for number in range(trainings):
        placement.add(number, training(number))

    def once() -> float:
        began = time.perf_counter()
        placement.compact(may_move=True)
        placement.deal(cores, may_move=True)  # type: ignore[arg-type]
        list(placement.moves())
        return 1e3 * (time.perf_counter() - began)

    once()
    still = statistics.median(once() for _ in range(5))
    for number in range(0, trainings, 3):
        placement.remove(number)
    return still, once()


def simulate(
    machines: int, slots: int, driver_ms: tuple[float, float], rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """Return the shares of training, waiting, idle cores and driver in a pass of full slots."""
    cores, lanes = CORES * machines, default_lanes(CLASSES, slots)
    placement, actors = Placement(lanes), [object() for _ in range(cores)]
    for number in range(slots):
        placement.add(number, training(number))
    placement.compact(may_move=True)
    placement.deal(actors, may_move=True)  # type: ignore[arg-type]
    usual = PASS_SECONDS[lanes] / (1 + 12 / 100)
    work: dict[object, float] = {}
    for panel in placement.panels:
        work[panel.actor] = work.get(panel.actor, 0.0) + usual * panel.cost
    seconds = np.array(list(work.values()))
    speed = rng.normal(1, UNEVEN, len(seconds)).clip(0.5)
    parts = []
    for _ in range(50):
        spent = seconds * speed * rng.normal(1, JITTER, len(seconds)).clip(0.5)
        driver = (driver_ms[0] * len(seconds) + driver_ms[1] * slots) / 1e3
        wall = spent.max() + driver
        parts.append(
            (spent.mean() / wall, (spent.max() - spent.mean()) / wall, driver / wall, wall)
        )
    training_, waiting, driver, wall = np.mean(parts, axis=0)
    return float(training_), float(waiting), float(driver), float(wall)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="fewer trainings and passes")
    small = parser.parse_args().small
    print(f"{machine('ray')}\n")
    table = Table(
        trainings=9,
        actors=6,
        cpu_ms=7,
        driver_ms=10,
        us_a_training=13,
        bytes=8,
        a_training=10,
        calls=6,
        states_ms=10,
    )
    points = []
    for trainings, actors in (
        ((16, 2), (64, 2), (64, 8), (256, 8))
        if small
        else ((16, 2), (64, 2), (64, 8), (256, 8), (256, 16), (512, 16))
    ):
        cost = measure(trainings, actors, 10 if small else 50)
        points.append((cost["calls"], trainings, cost["cpu"]))
        table.line(
            trainings,
            actors,
            f"{cost['cpu']:.1f}",
            f"{cost['driver']:.1f}",
            f"{1e3 * cost['cpu'] / trainings:.0f}",
            f"{cost['bytes']:.0f}",
            f"{cost['bytes'] / trainings:.0f}",
            f"{cost['calls']:.0f}",
            f"{cost['states']:.0f}",
        )
    design = np.array([[calls, trainings] for calls, trainings, _ in points], float)
    fitted, *_ = np.linalg.lstsq(design, np.array([driver for *_, driver in points]), rcond=None)
    a_call, a_training = (max(0.0, float(number)) for number in fitted)
    print(f"\nfitted: {a_call:.2f} ms of CPU a call, {1e3 * a_training:.0f} us a training\n")
    table = Table(trainings=9, actors=6, placing_ms=10, after_ends_ms=13)
    for trainings, actors in (
        ((128, 32), (1024, 256)) if small else ((128, 32), (1024, 256), (4096, 3200))
    ):
        still, changed = placing(trainings, actors)
        table.line(trainings, actors, f"{still:.1f}", f"{changed:.1f}")
    print("\nsimulated, CIFAR-10, machines of 16 cores, a pass with all slots taken\n")
    table = Table(
        machines=8, cores=6, slots=6, wall_s=7, training=9, waiting=8, driver=7, idle_cores=10
    )
    rng = np.random.default_rng(0)
    for machines in (2, 10, 50, 200):
        for slots in (16, 104, min(4096, machines * CORES * 8)):
            training_, waiting, driver, wall = simulate(machines, slots, (a_call, a_training), rng)
            cores, lanes = machines * CORES, default_lanes(CLASSES, slots)
            panels = sum(-(-(slots // 4) // lanes) for _ in BATCH_SIZES)
            idle = max(0.0, 1 - panels / cores)
            table.line(
                machines,
                cores,
                slots,
                f"{wall:.2f}",
                f"{training_:.0%}",
                f"{waiting:.0%}",
                f"{driver:.0%}",
                f"{idle:.0%}",
            )


if __name__ == "__main__":
    main()

"""How much of the machine's arithmetic panels of trainings turn into training.

    python benchmarks/efficiency.py [--small] [--data-dir FOLDER] [--before CHECKOUT]

Useful work of one training's epoch is 4 n d k operations: two products with the n training rows.
Its share is of the peak, what float32 products of 2048 x 2048 matrices reach on as many threads,
measured before and after each timed pass. Evaluation is 2 d k a row. Every worker is a thread with
one BLAS thread. Panels of one seed read the rows once for all panels of a worker; panels of
different seeds, `apart`, each read their own. `--before` is a checkout of version 0.1, whose stack
is measured in the same run.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from measuring import (
    BATCH_SIZES,
    CLASSES,
    FEATURES,
    SHAPE,
    SMALL_TRAINING_ROWS,
    TRAINING_ROWS,
    Spread,
    Table,
    load,
    machine,
)
from threadpoolctl import threadpool_limits

from sweep_model.hyperparameters import Hyperparameters
from sweep_model.losses import LOSSES
from sweep_model.panels import LANES, Panels, Problem
from sweep_model.preprocessing import MirrorRows
from sweep_model.training import Training

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PEAK_SIZE, PEAK_PRODUCTS = 2048, 4
ALL_SIZES = (25, *BATCH_SIZES)


@dataclass(frozen=True)
class Case:
    """Full panels with these batch sizes in turn, on so many workers."""

    lanes: int
    batch_sizes: tuple[int, ...]
    workers: int = 1
    apart: bool = False

    @property
    def trainings(self) -> int:
        """How many trainings stand in the panels."""
        return self.lanes * len(self.batch_sizes)

    @property
    def name(self) -> str:
        """What is measured, in words."""
        sizes = sorted(set(self.batch_sizes))
        batches = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
        apart = ", apart" if self.apart else ""
        return f"{len(self.batch_sizes)} x {self.lanes} lanes, batch {batches}{apart}"


def cases(*, small: bool) -> Iterator[Case]:
    """What is measured, one line of the table each."""
    sizes = (50, 400) if small else ALL_SIZES
    yield from (Case(lanes, (size,)) for size in sizes for lanes in LANES)
    several = (BATCH_SIZES,) if small else ((100,) * 2, (100,) * 5, BATCH_SIZES, ALL_SIZES * 2)
    for workers in (1, 2):
        for lanes in (4, 8):
            for batch_sizes in several:
                for apart in (False, True):
                    yield Case(lanes, batch_sizes, workers, apart)


class Peak:
    """Operations a second of products on so many threads, at their best of some."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self._matrices = rng.random((2, PEAK_SIZE, PEAK_SIZE), dtype=np.float32)
        self._pool = ThreadPoolExecutor(2)

    def measure(self, workers: int) -> float:
        """Return it, now."""
        pair = self._matrices[0], self._matrices[1]
        outs = [np.empty((PEAK_SIZE, PEAK_SIZE), np.float32) for _ in range(workers)]
        best = float("inf")
        for _ in range(PEAK_PRODUCTS):
            began = time.perf_counter()
            list(self._pool.map(lambda out: np.matmul(*pair, out=out), outs))
            best = min(best, time.perf_counter() - began)
        return workers * 2 * PEAK_SIZE**3 / best


def setting(batch_size: int) -> dict[str, Any]:
    """A setting that does not diverge on any rows."""
    return {
        "l2": 0.01,
        "learning_rate": 0.001,
        "decay_period": 10,
        "batch_size": batch_size,
        "flip_probability": 0.2,
    }


def training_pass(case: Case, problem: Problem) -> Callable[[], float]:
    """Fill panels; return what runs a pass and returns the seconds of its slowest worker."""
    panels = Panels(problem, lanes=case.lanes)
    for number in range(case.trainings):
        panel = number // case.lanes
        training = Training(
            hyperparameters=Hyperparameters(**setting(case.batch_sizes[panel])),
            epochs=10**6,
            number=number,
            seed=panel if case.apart else 0,
        )
        panels.start(number, training)
    pool = ThreadPoolExecutor(case.workers)

    def run() -> float:
        results, seconds = panels.run_pass(pool, case.workers)
        if any(isinstance(result, Exception) for result in results.values()):
            sys.exit("a training diverged; the times would mean nothing")
        return max(one.training for one in seconds)

    return run


def evaluation_pass(lanes: int, problem: Problem) -> Callable[[], float]:
    """Return what evaluates one panel on all training rows and returns its seconds."""
    few = MirrorRows(problem.rows.rows[:8], problem.rows.labels[:8], problem.rows.basis)
    only = Problem(
        rows=few, evaluation={"all": problem.rows}, loss=problem.loss, classes=problem.classes
    )
    panels = Panels(only, lanes=lanes)
    for number in range(lanes):
        training = Training(hyperparameters=Hyperparameters(**setting(8)), epochs=10**6)
        panels.start(number, training)
    return lambda: panels.run_pass()[1][0].evaluation


def stack_pass(checkout: Path, slots: int, problem: Problem) -> Callable[[], float]:
    """Return what runs a training pass of version 0.1 with as many slots in one stack."""
    if str(checkout) not in sys.path:
        sys.path.insert(0, str(checkout))
    old = {
        name: importlib.import_module(f"model.{name}")
        for name in ("blocking", "hyperparameters", "losses", "mirror_rows", "stack")
    }
    basis = old["mirror_rows"].MirrorBasis(FEATURES, SHAPE)
    training, few = (
        old["mirror_rows"].MirrorRows(problem.rows.rows[:n], problem.rows.labels[:n], basis)
        for n in (None, 8)
    )
    stack = old["stack"].Stack(
        training,
        few,
        loss=old["losses"].LOSSES[problem.loss.name],
        classes=CLASSES,
        slots=slots,
        seed=0,
        blocking=old["blocking"].Blocking.of(ALL_SIZES),
    )
    for slot in range(slots):
        given = setting(ALL_SIZES[slot % len(ALL_SIZES)])
        stack.start(slot, old["hyperparameters"].Hyperparameters(**given))

    def run() -> float:
        stack.run_pass()
        return float(stack.seconds["training"])

    return run


def measure(
    run: Callable[[], float], operations: float, peak: Peak, *, workers: int, repetitions: int
) -> tuple[Spread, Spread]:
    """Seconds of a pass, and the share of the peak in percent."""
    run()
    times, peaks = [], [peak.measure(workers)]
    for _ in range(repetitions):
        times.append(run())
        peaks.append(peak.measure(workers))
    # The peak drifts on a busy machine: each pass is held against the better one beside it.
    shares = [100 * operations / t / max(peaks[i : i + 2]) for i, t in enumerate(times)]
    return Spread.of(times), Spread.of(shares)


def options() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="fewer rows and cases: half a minute")
    parser.add_argument("--data-dir", type=Path, help="folder that holds CIFAR-10")
    parser.add_argument("--loss", choices=LOSSES, default="softmax")
    parser.add_argument("--before", type=Path, help="a checkout of version 0.1")
    parser.add_argument("--repetitions", type=int, help="passes; unless given 3, or 1 if small")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    asked = options()
    data = load(asked.data_dir, SMALL_TRAINING_ROWS if asked.small else TRAINING_ROWS)
    rows = MirrorRows.of(data.training, SHAPE)
    problem = Problem(rows=rows, evaluation={}, loss=LOSSES[asked.loss], classes=CLASSES)
    n, peak = len(rows.labels), Peak()
    repetitions = asked.repetitions or (1 if asked.small else 3)
    with threadpool_limits(1):
        print(machine())
        print(
            f"{asked.loss}, {n:,} training rows of {data.name}, passes timed: {repetitions}, "
            f"median and range; peak {peak.measure(1) / 1e9:.0f} GF/s on one thread, "
            f"{peak.measure(2) / 1e9:.0f} on two\n"
        )
        table = Table(what=-38, workers=7, seconds_a_pass=20, of_the_peak=16)

        def line(what: str, run: Callable[[], float], flops: float, workers: int = 1) -> None:
            times, shares = measure(run, flops, peak, workers=workers, repetitions=repetitions)
            table.line(what, workers, f"{times:.2f}", f"{shares:.0f} %")

        work = 4.0 * n * FEATURES * CLASSES
        for case in cases(small=asked.small):
            run = training_pass(case, problem)
            line(case.name, run, work * case.trainings, case.workers)
        for lanes in LANES:
            line(f"evaluation, {lanes} lanes", evaluation_pass(lanes, problem), work / 2 * lanes)
        if asked.before is not None:
            for slots in (1, 4, 8, 16, 25):
                run = stack_pass(asked.before.resolve(), slots, problem)
                line(f"version 0.1: {slots} slots, batch 25 to 400", run, work * slots)
        print(f"\npeak {peak.measure(1) / 1e9:.0f} GF/s on one thread at the end")


if __name__ == "__main__":
    main()

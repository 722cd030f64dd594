"""How much of the machine's arithmetic a stack of trials turns into training.

    python benchmarks/efficiency.py [--small] [--data-dir FOLDER] [--workers threads|processes]

Useful work per trial-epoch is 4 n d k operations for training (two products with the n training
rows) and 2 n d k for their evaluation; all else, the validation rows too, counts as overhead. The
peak is what float32 products of 2048 x 2048 matrices reach on as many workers, measured before
and after every timed pass. Each worker is a Python thread or process with one BLAS thread.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

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
from workers import Workers

from sweep_model.blocking import Blocking
from sweep_model.hyperparameters import Hyperparameters
from sweep_model.losses import LOSSES
from sweep_model.mirror_rows import MirrorRows
from sweep_model.results import DivergedError
from sweep_model.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

MIXED = Blocking.of(BATCH_SIZES)
PEAK_SIZE, PEAK_PRODUCTS = 2048, 4


@dataclass(frozen=True)
class Case:
    """Slots per worker, the batch sizes that their trials take in turn, and the blocking."""

    slots: int
    batch_sizes: tuple[int, ...] = BATCH_SIZES
    blocking: Blocking = MIXED


def cases(*, small: bool) -> Iterator[Case]:
    """What is measured, one line of the table each."""
    if small:
        yield from (Case(slots) for slots in (1, 8, 25))
        yield from (Case(25, (size,)) for size in (25, 400))
        return
    yield from (Case(slots) for slots in (1, 2, 4, 8, 16, 25, 32, 50))
    yield from (Case(slots, (size,)) for slots in (25, 32) for size in BATCH_SIZES)
    yield Case(50, (100,))
    yield from (Case(25, blocking=Blocking(25, rows)) for rows in (25, 50, 200))


def fill(case: Case, rows: tuple[MirrorRows, MirrorRows], loss: str) -> Stack:
    """A stack with a trial in every slot."""
    stack = Stack(
        *rows,
        loss=LOSSES[loss],
        classes=CLASSES,
        slots=case.slots,
        seed=0,
        blocking=case.blocking,
    )
    for slot in range(case.slots):
        setting = Hyperparameters(
            l2=0.01,
            learning_rate=0.001,
            decay_period=10,
            batch_size=case.batch_sizes[slot % len(case.batch_sizes)],
            flip_probability=0.2,
        )
        stack.start(slot, setting)
    return stack


def serve(pipe: Connection, rows: tuple[MirrorRows, MirrorRows], loss: str) -> None:
    """Prepare a case, make a pass or a product; answer with the seconds that it computed."""
    left, right = np.random.default_rng(0).random((2, PEAK_SIZE, PEAK_SIZE), dtype=np.float32)
    product = np.empty_like(left)
    stack = None
    while (asked := pipe.recv()) is not None:
        began = time.thread_time()
        if isinstance(asked, Case):
            stack = fill(asked, rows, loss)
        elif asked == "product":
            np.matmul(left, right, out=product)
        elif stack is not None:
            results = stack.run_pass().values()
            if any(isinstance(result, DivergedError) for result in results):
                sys.exit("a trial diverged; the times would mean nothing")
        pipe.send(time.thread_time() - began)


@dataclass(frozen=True)
class Bench:
    """Workers, the training rows that they train on, and whether to count computing time."""

    workers: Workers
    number: int
    training_rows: int
    cpu_time: bool

    def seconds(self, request: object) -> float:
        """How long all workers take to do it, or with `cpu_time` how long one computes at most."""
        answer = self.workers.ask(request)
        return max(answer.replies) if self.cpu_time else answer.seconds

    def peak(self) -> float:
        """Operations a second of all workers, at the best of some products."""
        seconds = min(self.seconds("product") for _ in range(PEAK_PRODUCTS))
        return self.number * 2 * PEAK_SIZE**3 / seconds

    def measure(self, case: Case, repetitions: int) -> Iterator[object]:
        """The cells of one line of the table."""
        trials = self.number * case.slots
        useful = trials * 6 * self.training_rows * FEATURES * CLASSES
        self.seconds(case)
        self.seconds("pass")
        times, peaks = [], [self.peak()]
        for _ in range(repetitions):
            times.append(self.seconds("pass"))
            peaks.append(self.peak())
        # The peak drifts on a busy machine: each pass is held against the better one beside it.
        shares = [100 * useful / t / max(peaks[i : i + 2]) for i, t in enumerate(times)]
        yield case.slots
        yield "mixed" if len(case.batch_sizes) > 1 else case.batch_sizes[0]
        yield case.blocking.block
        yield f"{Spread.of([1e3 * t / trials for t in times]):.1f}"
        yield f"{Spread.of([useful / t / 1e9 for t in times]):.0f}"
        yield f"{Spread.of([peak / 1e9 for peak in peaks]):.0f}"
        yield f"{Spread.of(shares):.0f} %"


def options() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="fewer rows and cases: half a minute")
    parser.add_argument("--data-dir", type=Path, help="folder that holds CIFAR-10")
    parser.add_argument("--workers", choices=["threads", "processes"], default="threads")
    parser.add_argument("--number", type=int, default=2, help="how many of them")
    parser.add_argument("--loss", choices=LOSSES, default="softmax")
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="count the seconds a worker computed, not those that passed: for a busy machine",
    )
    parser.add_argument("--repetitions", type=int, default=3)
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    asked = options()
    data = load(asked.data_dir, SMALL_TRAINING_ROWS if asked.small else TRAINING_ROWS)
    rows = (MirrorRows.of(data.training, SHAPE), MirrorRows.of(data.validation, SHAPE))
    n = len(data.training.labels)
    with threadpool_limits(1):
        print(machine())
        print(
            f"{asked.number} {asked.workers}, {asked.loss}, {n:,} training rows of {data.name}, "
            f"{asked.repetitions} repetitions of a pass: median and range of "
            f"{'computing' if asked.cpu_time else 'passing'} time\n"
        )
        table = Table(
            slots=5, batch_size=10, block=5, ms_per_trial_epoch=20, GF_per_s=14, peak_GF_per_s=15,
            of_the_peak=14,
        )  # fmt: skip
        workers = Workers(asked.workers, asked.number, serve, rows, asked.loss)
        bench = Bench(workers, asked.number, n, asked.cpu_time)
        for case in cases(small=asked.small):
            table.line(*bench.measure(case, asked.repetitions))
        workers.close()


if __name__ == "__main__":
    main()

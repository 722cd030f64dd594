"""How much of the machine's arithmetic a stack of trials turns into training.

    python benchmarks/efficiency.py [--small] [--data-dir FOLDER] [--workers threads|processes]

Useful work per trial-epoch is 4 n d k operations for training (two products with the n training
rows) and 2 n d k for their evaluation; all else, the validation rows too, counts as overhead. The
peak is what float32 products of 2048 x 2048 matrices reach on as many workers, measured before
and after every timed pass. Each worker is a Python thread or process with one BLAS thread.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import statistics
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from model.blocking import Blocking
from model.hyperparameters import Hyperparameters
from model.losses import LOSSES
from model.mirror_rows import MirrorRows
from model.results import DivergedError, Rows
from model.stack import Stack
from model.standardise import Standardiser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

BATCH_SIZES = (25, 50, 100, 200, 400)
CLASSES, SHAPE, FEATURES = 10, (3, 32, 32), 3072
MIXED = Blocking.of(BATCH_SIZES)
RECORD = 1 + FEATURES  # of the binary layout of CIFAR-10: a label and an image
VALIDATION_ROWS = 1_000
PEAK_SIZE = 2048


@dataclass(frozen=True)
class Case:
    """Slots per worker, the batch sizes that their trials take in turn, and the blocking."""

    slots: int
    batch_sizes: tuple[int, ...] = BATCH_SIZES
    blocking: Blocking = MIXED


def cases(*, small: bool) -> Iterator[Case]:
    """What is measured, one line of the table each."""
    slots = (8, 25) if small else (1, 2, 4, 8, 16, 25, 32)
    yield from (Case(n) for n in slots)
    if not small:
        yield from (Case(25, (size,)) for size in BATCH_SIZES)
        yield from (Case(25, blocking=Blocking(25, n)) for n in (25, 50, 200))


def load(folder: Path | None, n: int) -> tuple[MirrorRows, MirrorRows]:
    """CIFAR-10's images, or as many random numbers, in the mirror basis: training, validation."""
    total = n + VALIDATION_ROWS
    if folder is None:
        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 256, (total, FEATURES), dtype=np.uint8)
        labels = rng.integers(0, CLASSES, total)
    else:
        files = [folder / f"data_batch_{i}.bin" for i in range(1, 6)]
        records = np.concatenate([np.fromfile(file, np.uint8) for file in files])
        records = records.reshape(-1, RECORD)[:total]
        pixels, labels = records[:, 1:], records[:, 0].astype(np.int64)
    standardiser = Standardiser.fit(pixels[:n])
    training, validation = (
        MirrorRows.of(Rows(standardiser.apply(pixels[part]), labels[part]), SHAPE)
        for part in (slice(n), slice(n, None))
    )
    return training, validation


def fill(case: Case, data: tuple[MirrorRows, MirrorRows], loss: str, seed: int) -> Stack:
    """A stack with a trial in every slot."""
    stack = Stack(
        *data,
        loss=LOSSES[loss],
        classes=CLASSES,
        slots=case.slots,
        seed=seed,
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


def serve(pipe: Connection, data: tuple[MirrorRows, MirrorRows], loss: str, seed: int) -> None:
    """Do what is asked for, a case to prepare, a pass or a product, until None is."""
    rng = np.random.default_rng(seed)
    left, right = rng.normal(size=(2, PEAK_SIZE, PEAK_SIZE)).astype(np.float32)
    product = np.empty_like(left)
    stack = None
    while (asked := pipe.recv()) is not None:
        began = time.thread_time()
        if isinstance(asked, Case):
            stack = fill(asked, data, loss, seed)
        elif asked == "product":
            np.matmul(left, right, out=product)
        elif stack is not None:
            results = stack.run_pass().values()
            if any(isinstance(result, DivergedError) for result in results):
                sys.exit("a trial diverged; the times would mean nothing")
        pipe.send(time.thread_time() - began)


class Workers:
    """Some threads or processes that do the same at the same time."""

    def __init__(self, kind: str, number: int, *given: Any, cpu_time: bool) -> None:
        make: Callable[..., Any] = (
            threading.Thread
            if kind == "threads"
            else multiprocessing.get_context("fork").Process  # the rows are shared, not copied
        )
        pairs = [multiprocessing.Pipe() for _ in range(number)]
        self.number, self._pipes = number, [ours for ours, _ in pairs]
        self._cpu_time = cpu_time
        self._workers = [
            make(target=serve, args=(theirs, *given, seed), daemon=True)
            for seed, (_, theirs) in enumerate(pairs)
        ]
        for worker in self._workers:
            worker.start()

    def ask(self, what: object) -> float:
        """Let all of them do it, and say how many seconds that took."""
        began = time.perf_counter()
        for pipe in self._pipes:
            pipe.send(what)
        computed = [pipe.recv() for pipe in self._pipes]
        return max(computed) if self._cpu_time else time.perf_counter() - began

    def peak(self) -> float:
        """Operations a second of all of them, at the best of some products."""
        seconds = min(self.ask("product") for _ in range(8))
        return self.number * 2 * PEAK_SIZE**3 / seconds

    def close(self) -> None:
        """Let them end."""
        for pipe in self._pipes:
            pipe.send(None)
        for worker in self._workers:
            worker.join()


def measure(workers: Workers, case: Case, n: int, repetitions: int) -> str:
    """One line of the table."""
    workers.ask(case)
    workers.ask("pass")
    useful = workers.number * case.slots * 6 * n * FEATURES * CLASSES
    times, peaks = [], [workers.peak()]
    for _ in range(repetitions):
        times.append(workers.ask("pass"))
        peaks.append(workers.peak())
    # The peak drifts on a busy machine: each pass is held against the better one beside it.
    shares = [100 * useful / seconds / max(peaks[i : i + 2]) for i, seconds in enumerate(times)]
    trial_epoch = 1e3 * statistics.median(times) / case.slots / workers.number
    sizes = "mixed" if len(case.batch_sizes) > 1 else str(case.batch_sizes[0])
    return (
        f"{case.slots:5} {sizes:>10} {case.blocking.block:5} {trial_epoch:14.1f} "
        f"{statistics.median(peaks) / 1e9:9.0f} {statistics.median(shares):7.0f} % "
        f"{min(shares):5.0f}-{max(shares):.0f} %"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="fewer rows and cases, under 60 s")
    parser.add_argument("--data-dir", type=Path, help="folder of data_batch_1.bin and so on")
    parser.add_argument("--workers", choices=["threads", "processes"], default="threads")
    parser.add_argument("--number", type=int, default=os.cpu_count(), help="how many of them")
    parser.add_argument("--loss", choices=LOSSES, default="softmax")
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="count the seconds a worker computed, not those that passed: for a busy machine",
    )
    parser.add_argument("--repetitions", type=int, default=3)
    asked = parser.parse_args()
    n = 5_000 if asked.small else 49_000
    data = load(asked.data_dir, n)
    with threadpool_limits(1):
        (blas,) = [one for one in threadpool_info() if one["user_api"] == "blas"]
        workers = Workers(asked.workers, asked.number, data, asked.loss, cpu_time=asked.cpu_time)
        print(
            f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
            f"NumPy {np.__version__}, {blas['internal_api']} {blas['version']} "
            f"({blas['architecture']})\n"
            f"{asked.number} {asked.workers}, {asked.loss}, {n:,} training rows of "
            f"{'CIFAR-10' if asked.data_dir else 'random numbers'}, "
            f"{asked.repetitions} repetitions: median and range of "
            f"{'computing' if asked.cpu_time else 'passing'} time\n"
        )
        print("slots batch size block ms/trial-epoch peak GF/s   of peak     range")
        for case in cases(small=asked.small):
            print(measure(workers, case, n, asked.repetitions), flush=True)
        workers.close()


if __name__ == "__main__":
    main()

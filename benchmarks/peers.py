"""The same trials by what a user could pick instead of this project, side by side with it.

    python benchmarks/peers.py [--small] [--data-dir FOLDER] [--only TEXT]

A trial trains a linear softmax classifier of CIFAR-10 (49,000 rows, 1,000 validation rows, batch
size and flips as each line says) and evaluates loss and accuracy of all training and validation
rows after every epoch. Trials are asked of Optuna and told to it, in memory. The figure is the
wall time of one epoch of one trial, with all cores at it: seconds / (trials x epochs). A few epochs
are timed after a warm-up of one; what asking and telling a trial takes is spread over 50 epochs.
Each repetition is held against this project's panels, 16 trainings side by side, timed right before
and after it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import pkgutil
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
from measuring import (
    SMALL_TRAINING_ROWS,
    TRAINING_ROWS,
    Data,
    Spread,
    Table,
    installed,
    load,
    machine,
)
from peer_trainers.roster import OURS, PEERS, Peer
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.synchronize import Barrier

    from peer_trainers import Trainer

CORES = 2
EPOCHS_OF_A_TRIAL = 50


@dataclass(frozen=True)
class Timing:
    """What is timed and how often; `cpu_time` counts computing, not passing, time."""

    repetitions: int
    epochs: int
    cpu_time: bool


@dataclass(frozen=True)
class Took:
    """Seconds of one process: all of them, and those for asking and telling Optuna."""

    all: float
    optuna: float


class Worker:
    """What one process trains with; it is inherited by forking, since rows are shared, not copied.

    `together` lets the processes begin at the same time, and each do its share.
    """

    here: Worker

    def __init__(
        self,
        trainer: Callable[[Data, int], Trainer],
        data: Data,
        peer: Peer,
        threads: int,
        together: Barrier,
    ) -> None:
        self.trainer, self.peer, self.together = trainer(data, threads), peer, together
        Worker.here = self

    def work(self, timing: Timing) -> Took:
        """Train trials, and say what that took."""
        self.together.wait()
        clock = time.process_time if timing.cpu_time else time.perf_counter
        began = clock()
        study = optuna.create_study(direction="maximize")
        trials = [study.ask() for _ in range(self.peer.trials)]
        settings = [self.peer.setting(trial, i) for i, trial in enumerate(trials)]
        asked = clock()
        accuracies: list[float] = []
        epochs = islice(self.trainer.train(settings), timing.epochs)
        for epoch, accuracies in enumerate(epochs, start=1):
            for trial, accuracy in zip(trials, accuracies, strict=True):
                trial.report(accuracy, epoch)
        trained = clock()
        for trial, accuracy in zip(trials, accuracies, strict=True):
            study.tell(trial, accuracy)
        ended = clock()
        return Took(ended - began, asked - began + ended - trained)


def work(timing: Timing) -> Took:
    """Let the process's worker work."""
    return Worker.here.work(timing)


class Bench:
    """Processes that train trials in one way, warmed up, and the timing of them."""

    def __init__(
        self, data: Data, peer: Peer, arrangement: tuple[int, int], timing: Timing
    ) -> None:
        self._processes, threads = arrangement
        self._trials, self._timing = self._processes * peer.trials, timing
        forking = multiprocessing.get_context("fork")
        trainer = pkgutil.resolve_name(peer.trainer)  # here, so that all processes inherit it
        self._pool = ProcessPoolExecutor(
            self._processes,
            mp_context=forking,
            initializer=Worker,
            initargs=(trainer, data, peer, threads, forking.Barrier(self._processes)),
        )
        self._ask(replace(timing, epochs=1))

    def trial_epoch(self) -> float:
        """Seconds per trial-epoch."""
        replies = self._ask(self._timing)
        whole = self._together([took.all for took in replies])
        optuna_took = self._together([took.optuna for took in replies])
        epoch = (whole - optuna_took) / self._timing.epochs
        return (epoch + optuna_took / EPOCHS_OF_A_TRIAL) / self._trials

    def _ask(self, timing: Timing) -> list[Took]:
        return list(self._pool.map(work, [timing] * self._processes))

    def _together(self, seconds: list[float]) -> float:
        """Of processes side by side: until the last one is done, or computing time per core."""
        return sum(seconds) / CORES if self._timing.cpu_time else max(seconds)

    def close(self) -> None:
        """Let the processes end."""
        self._pool.shutdown()


def compare(data: Data, baseline: Peer, peers: list[Peer], *, timing: Timing, table: Table) -> None:
    """Time every peer and arrangement between passes of the baseline, and print a line each."""
    (usual,) = baseline.arrangements
    panels = Bench(data, baseline, usual, timing)
    baselines: list[float] = []
    for peer in peers:
        for arrangement in peer.arrangements:
            bench = Bench(data, peer, arrangement, timing)
            beside, times = [panels.trial_epoch()], []
            for _ in range(timing.repetitions):
                times.append(bench.trial_epoch())
                beside.append(panels.trial_epoch())
            bench.close()
            baselines += beside
            ratios = [
                seconds / statistics.mean(pair)
                for seconds, pair in zip(times, pairwise(beside), strict=True)
            ]
            print_line(table, peer, arrangement, times, f"{Spread.of(ratios):.2f}")
    panels.close()
    if baselines:
        print_line(table, baseline, usual, baselines, "1")


def print_line(
    table: Table, peer: Peer, arrangement: tuple[int, int], times: list[float], ratio: str
) -> None:
    """Print one line of the table."""
    processes, threads = arrangement
    table.line(
        peer.name,
        f"{processes} x {threads}",
        processes * peer.trials,
        f"{Spread.of([1e3 * seconds for seconds in times]):.1f}",
        ratio,
        f">= {peer.aim:g}" if peer.aim else "",
    )


def options() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="fewer rows: under two minutes")
    parser.add_argument("--data-dir", type=Path, help="folder that holds CIFAR-10")
    parser.add_argument("--only", default="", help="lines whose name holds this text")
    parser.add_argument(
        "--epochs", type=int, help="epochs timed per repetition; unless given 2, or 1 if small"
    )
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help=f"count computing seconds over {CORES} cores: for a busy machine",
    )
    parser.add_argument("--repetitions", type=int, help="unless given 3, or 1 if small")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    asked = options()
    data = load(asked.data_dir, SMALL_TRAINING_ROWS if asked.small else TRAINING_ROWS)
    epochs = asked.epochs or (1 if asked.small else 2)
    timing = Timing(asked.repetitions or (1 if asked.small else 3), epochs, asked.cpu_time)
    chosen = [peer for peer in PEERS if asked.only in peer.name]
    missing = {p.package for p in chosen if p.package and not installed(p.package)}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    print(machine("optuna", "torch", "scikit-learn"))
    print(
        f"{len(data.training.labels):,} training rows of {data.name}, {timing.repetitions} "
        f"repetitions of {epochs} timed epochs each: median and range of "
        f"{'computing' if asked.cpu_time else 'passing'} time per trial-epoch.\n"
        f"A ratio is how many times as long a line takes as {OURS.name}, beside it.\n"
    )
    table = Table(way=-36, processes_x_threads=19, trials=6, ms=22, ratio=20, aim=6)
    with threadpool_limits(1):
        present = [peer for peer in chosen if peer.package not in missing]
        compare(data, OURS, present, timing=timing, table=table)
    for package in sorted(missing):
        left_out = ", ".join(f"'{peer.name}'" for peer in chosen if peer.package == package)
        print(
            f"\nLeft out, as {package} is not installed: {left_out}. "
            "Install it: pip install -c constraints.txt '.[bench]'"
        )


if __name__ == "__main__":
    main()

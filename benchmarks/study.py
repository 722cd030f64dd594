"""How long a whole study takes, against the floor that its arithmetic sets.

    python benchmarks/study.py [--small] [--data-dir FOLDER] [--repetitions N]

Runs `sweep run --loss softmax --trials 50`, tracking and figures included, with the pruner off
and on. The floor is 6 n d k operations for each of all trial-epochs (4 for training, 2 to evaluate
the training rows) at the peak of float32 products of 2048 x 2048 matrices on as many threads,
measured before and after.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from measuring import (
    CLASSES,
    FEATURES,
    SHAPE,
    SMALL_TRAINING_ROWS,
    TRAINING_ROWS,
    VALIDATION_ROWS,
    Spread,
    Table,
    machine,
)
from runs import run
from threadpoolctl import threadpool_limits

TRIALS, EPOCHS, SMALL_EPOCHS = 50, 50, 10
PEAK_SIZE = 2048


def peak(threads: int) -> float:
    """Operations a second of float32 products on some threads, at the best of some."""
    rng = np.random.default_rng(0)
    pairs = [rng.random((2, PEAK_SIZE, PEAK_SIZE), dtype=np.float32) for _ in range(threads)]
    best = float("inf")
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        for _ in range(8):
            began = time.perf_counter()
            list(pool.map(lambda pair: pair[0] @ pair[1], pairs))
            best = min(best, time.perf_counter() - began)
    return threads * 2 * PEAK_SIZE**3 / best


def random_images(folder: str) -> str:
    """Write images of random pixels and return the file's name."""
    rng = np.random.default_rng(0)
    n = SMALL_TRAINING_ROWS + VALIDATION_ROWS
    channels, height, width = SHAPE
    images = rng.integers(0, 256, (n, height, width, channels), dtype=np.uint8)
    path = Path(folder) / "images.npz"
    np.savez(path, X=images, y=rng.integers(0, CLASSES, n))
    return str(path)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="random images, fewer rows and epochs")
    parser.add_argument("--data-dir", type=Path, help="folder that holds CIFAR-10")
    parser.add_argument("--repetitions", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if asked.small:
            n, epochs = SMALL_TRAINING_ROWS, SMALL_EPOCHS
            data = ["--data", random_images(folder), "--val-size", str(VALIDATION_ROWS)]
        else:
            n, epochs, data = TRAINING_ROWS, EPOCHS, ["--data", "cifar10"]
            if asked.data_dir is not None:
                data += ["--data-dir", str(asked.data_dir.resolve())]
        threads = min(2, os.cpu_count() or 1)
        print(f"{machine('optuna', 'mlflow')}; {TRIALS} trials of {epochs} epochs, {n:,} rows\n")
        table = Table(pruner=-7, seconds=22, of_floor=18, MB=6, arithmetic=12, parts=-80)
        for pruner in ("none", "median"):
            peaks, times, floors = [peak(threads)], [], []
            for _ in range(asked.repetitions):
                ran = run(
                    *data, "--loss", "softmax", "--trials", str(TRIALS), "--epochs", str(epochs),
                    "--pruner", pruner, "--workers", str(threads),
                )  # fmt: skip
                peaks.append(peak(threads))
                floor = TRIALS * epochs * 6 * n * FEATURES * CLASSES / max(peaks[-2:])
                times.append(ran.seconds)
                floors.append(ran.seconds / floor)
            table.line(
                pruner,
                f"{Spread.of(times):.1f}",
                f"{Spread.of(floors):.2f}",
                f"{ran.megabytes:.0f}",
                ran.arithmetic,
                ", ".join(f"{name} {share} %" for name, share in ran.parts.items()),
            )


if __name__ == "__main__":
    main()

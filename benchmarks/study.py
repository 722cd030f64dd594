"""How long a whole study takes: the default search, and one that trains every trial to its end.

    python benchmarks/study.py [--small] [--data-dir FOLDER] [--repetitions N]

Runs `sweep run` with 50 trials of 50 epochs on CIFAR-10, tracking and figures included, with both
losses: as it is by default, and with `--pruner none --train-curve all --slots 50`, where all trials
train side by side from the first pass to the last.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from measuring import CLASSES, SHAPE, SMALL_TRAINING_ROWS, VALIDATION_ROWS, Spread, Table, machine
from runs import run

TRIALS, EPOCHS = 50, 50
SMALL_TRIALS, SMALL_EPOCHS = 16, 10
WAYS = {
    "default": (),
    "every trial in full": ("--pruner", "none", "--train-curve", "all", "--slots", "50"),
}


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
    parser.add_argument(
        "--small", action="store_true", help="random images, fewer rows, trials and epochs"
    )
    parser.add_argument("--data-dir", type=Path, help="folder that holds CIFAR-10")
    parser.add_argument("--repetitions", type=int, default=1)
    asked = parser.parse_args()
    trials, epochs = (SMALL_TRIALS, SMALL_EPOCHS) if asked.small else (TRIALS, EPOCHS)
    print(f"{machine('optuna', 'mlflow')}; {trials} trials of {epochs} epochs\n")
    table = Table(
        loss=-7, search=-19, seconds=22, training=20, evaluation=20, trial_epochs=12, passes=6,
        val_accuracy=12, MB=6, parts=-80,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        if asked.small:
            data = ["--data", random_images(folder), "--val-size", str(VALIDATION_ROWS)]
        else:
            data = ["--data", "cifar10"]
            if asked.data_dir is not None:
                data += ["--data-dir", str(asked.data_dir.resolve())]
        data += ["--trials", str(trials), "--epochs", str(epochs)]
        for loss in ("softmax", "bce"):
            for name, options in WAYS.items():
                runs = [run(*data, "--loss", loss, *options) for _ in range(asked.repetitions)]
                one = runs[-1]  # trials are the same in each
                table.line(
                    loss,
                    name,
                    f"{Spread.of([each.seconds for each in runs]):.1f}",
                    f"{Spread.of([each.parts['training'] for each in runs]):.1f}",
                    f"{Spread.of([each.parts['evaluation'] for each in runs]):.1f}",
                    f"{one.trial_epochs:,}",
                    one.passes,
                    f"{100 * one.accuracy:.1f} %",
                    f"{one.megabytes:.0f}",
                    one.shares,
                )


if __name__ == "__main__":
    main()

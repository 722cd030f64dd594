"""What a trial costs as studies grow: more trials, more rows, more slots.

    python benchmarks/scaling.py [--small]

Trials are short, three epochs of a few random rows, so what is seen is the cost around the
training: asking, recording, tracking, figures. Then rows grow, and slots.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from measuring import Table, machine
from runs import run

FEATURES, CLASSES = 256, 10
FEW_ROWS = 2_000


def random_features(folder: str, rows: int) -> str:
    """Write random features and return the file's name."""
    rng = np.random.default_rng(0)
    path = Path(folder) / f"rows-{rows}.npz"
    x = rng.standard_normal((rows, FEATURES), dtype=np.float32)
    np.savez(path, X=x, y=rng.integers(0, CLASSES, rows))
    return str(path)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="fewer trials and rows")
    small = parser.parse_args().small
    few_trials = 20 if small else 50
    print(f"{machine('optuna', 'mlflow')}\n")
    table = Table(what=-8, size=8, seconds=8, ms_a_trial=12, MB=6, parts=-80)

    def line(what: str, size: int, data: str, trials: int, *options: str) -> None:
        ran = run("--data", data, "--epochs", "3", "--trials", str(trials), *options)
        ms = f"{1e3 * ran.seconds / trials:.0f}"
        table.line(what, size, f"{ran.seconds:.1f}", ms, f"{ran.megabytes:.0f}", ran.shares)

    with tempfile.TemporaryDirectory() as folder:
        few = random_features(folder, FEW_ROWS)
        for trials in (few_trials, 60) if small else (few_trials, 500, 2_000):
            line("trials", trials, few, trials)
        for rows in (20_000,) if small else (20_000, 200_000):
            line("rows", rows, random_features(folder, rows), few_trials)
        for slots in (2,) if small else (1, 5, 10, 25, 50, 100):
            line("slots", slots, few, max(few_trials, slots), "--slots", str(slots))


if __name__ == "__main__":
    main()

"""What a trial costs as studies grow: more trials, more rows, more slots.

    python benchmarks/scaling.py [--small]

Trials are short, two epochs of the embedded digits, so what is seen is the cost around the
training: asking, recording, tracking, figures. Rows and slots grow on random features.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from measuring import Table, machine
from runs import Ran, run

FEATURES, CLASSES = 256, 10


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
    print(f"{machine('optuna', 'mlflow')}\n")
    table = Table(what=-8, size=8, seconds=8, ms_a_trial=12, MB=6, parts=-80)

    def line(what: str, size: int, trials: int, ran: Ran) -> None:
        parts = ", ".join(f"{name} {share} %" for name, share in ran.parts.items())
        ms = f"{1e3 * ran.seconds / trials:.0f}"
        table.line(what, size, f"{ran.seconds:.1f}", ms, f"{ran.megabytes:.0f}", parts)

    for trials in (50, 150) if small else (50, 500, 2_000):
        ran = run("--data", "digits", "--epochs", "2", "--trials", str(trials))
        line("trials", trials, trials, ran)
    with tempfile.TemporaryDirectory() as folder:
        for rows in (2_000, 20_000) if small else (2_000, 20_000, 200_000):
            file = random_features(folder, rows)
            line("rows", rows, 50, run("--data", file, "--epochs", "5", "--trials", "50"))
        for slots in (2, 50) if small else (1, 5, 10, 25, 50, 100):
            trials = max(50, slots)
            options = ("--epochs", "5", "--trials", str(trials), "--slots", str(slots))
            line("slots", slots, trials, run("--data", file, *options))


if __name__ == "__main__":
    main()

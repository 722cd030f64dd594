"""Remake the README's result table: CIFAR-10, both losses, the report's setting and the best found.

    python benchmarks/results.py [--seeds 5] [--epochs 50] [--trials 50]

Runs the two searches and confirms their best, as far as that is not done yet. Then it trains four
settings on fresh seeds with `sweep train --test`, two at a time, and prints a Markdown table.
CIFAR-10 is found as by every command: `--data-dir`, SWEEP_DATA_DIR or `sweep data download`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from statistics import mean, stdev
from typing import Any

NAMES = ("l2", "learning_rate", "decay_period", "batch_size", "flip_probability")
LOSSES = ("softmax", "bce")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--trials", type=int, default=50)
    given = parser.parse_args()
    for loss in LOSSES:
        search = ["--loss", loss, "--trials", str(given.trials), "--epochs", str(given.epochs)]
        sweep("run", "--data", "cifar10", *search)
        sweep("confirm", f"cifar10-{loss}")
    print("| loss | setting | values | test accuracy, mean ± sd | validation | train |")
    print("|---|---|---|---|---|---|")
    for loss in LOSSES:
        best = json.loads(sweep("best", f"cifar10-{loss}", "--json"))
        found = [part for name in NAMES for part in option(name, best[name])]
        for title, options in (("the report's", []), (f"trial {best['trial']}, confirmed", found)):
            results = train_on_seeds(["--loss", loss, *options], given.seeds, given.epochs)
            values = " ".join(options[1::2]) or "by default"
            print(row(loss, f"{title} | {values}", results), flush=True)


def option(name: str, value: float) -> tuple[str, str]:
    """Return a hyperparameter as `sweep train` takes it, exactly."""
    return f"--{name.replace('_', '-')}", repr(value)


def train_on_seeds(options: list[str], seeds: int, epochs: int) -> list[dict[str, Any]]:
    """Train one setting once per seed and return what `sweep train --json` said."""
    common = ["train", "--data", "cifar10", "--test", "--json", "--epochs", str(epochs), *options]

    def train(seed: int) -> dict[str, Any]:
        result: dict[str, Any] = json.loads(sweep(*common, "--seed", str(seed)))
        return result

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(train, range(seeds)))


def row(loss: str, title: str, results: list[dict[str, Any]]) -> str:
    """Return one line of the table; accuracies in percent."""
    parts = {
        "test": [result["test"]["accuracy"] for result in results],
        "val": [result["val/accuracy"] for result in results],
        "train": [result["train/accuracy"] for result in results],
    }
    cells = [f"{100 * mean(v):.2f} ± {100 * stdev(v):.2f} %" for v in parts.values()]
    return f"| {loss} | {title} | {' | '.join(cells)} |"


def sweep(*arguments: str) -> str:
    """Run a command of sweep and return what it printed."""
    program = [sys.executable, "-c", "from sweep.cli import main; main()"]
    return subprocess.run(
        [*program, *arguments], stdout=subprocess.PIPE, text=True, check=True
    ).stdout


if __name__ == "__main__":
    main()

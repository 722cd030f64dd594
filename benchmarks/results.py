"""Remake the README's result table: CIFAR-10, both losses, searched, confirmed and compared.

    python benchmarks/results.py [--small] [--data-dir FOLDER]

Runs in the working folder what a user would, as far as it is not done yet: `sweep run`, 50 trials
of 50 epochs for each loss; `sweep confirm`, the top 5 and the report's own setting on 10 fresh
seeds; `sweep compare`, which opens the test rows. Prints a Markdown table and the sentence.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

NAMES = ("l2", "learning_rate", "decay_period", "batch_size", "flip_probability")
LOSSES = ("softmax", "bce")
SMALL = ("--data", "digits", "--trials", "10", "--epochs", "6")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="the embedded digits, a few epochs")
    parser.add_argument("--data-dir", type=Path, help="folder that holds CIFAR-10")
    asked = parser.parse_args()
    data, kept = (SMALL, "digits") if asked.small else (("--data", "cifar10"), "cifar10")
    place = () if asked.data_dir is None else ("--data-dir", str(asked.data_dir.resolve()))
    confirmed = {}
    for loss in LOSSES:
        sweep("run", *data, *place, "--loss", loss)
        confirmed[loss] = json.loads(sweep("confirm", f"{kept}-{loss}", *place, "--json"))
    compared = json.loads(
        sweep("compare", *(f"{kept}-{loss}" for loss in LOSSES), *place, "--json")
    )
    print(
        "| loss | setting | values | in the search | on fresh seeds, mean ± se | test accuracy |\n"
        "|---|---|---|---|---|---|"
    )
    for loss, answers in zip(LOSSES, compared["answers"], strict=True):
        facts = confirmed[loss]
        best = json.loads(sweep("best", f"{kept}-{loss}", "--json"))
        values = ", ".join(f"{name} {best[name]:.3g}" for name in NAMES)
        print(row(loss, "the report's", "by default", facts["baseline"], "-"))
        test = answers["test"]
        shown = f"{percent(test['value'])} [{percent(test['low'])}, {percent(test['high'])}]"
        print(row(loss, f"trial {best['trial']}", values, facts["trials"][0], shown))
    print(f"\n{compared['sentence']}")


def row(loss: str, title: str, values: str, one: dict[str, Any], test: str) -> str:
    """Return one line of the table; `one` is a setting as `sweep confirm --json` has it."""
    fresh = f"{percent(one['confirmed_mean'])} ± {percent(one['standard_error'])}"
    cells = (loss, title, values, percent(one["search"]), fresh, test)
    return f"| {' | '.join(cells)} |"


def percent(share: float | None) -> str:
    """Return a share, or a dash where it is not known."""
    return "-" if share is None else f"{100 * share:.1f} %"


def sweep(*arguments: str) -> str:
    """Run a command of sweep and return what it printed."""
    command = [sys.executable, "-m", "sweep", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    main()

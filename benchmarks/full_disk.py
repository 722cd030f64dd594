"""Fills the disk under many short studies at random moments, and compares what becomes of them.

    python benchmarks/full_disk.py [--faults N] [--faults-a-study N] [--studies N] [--seed N]

Each study is run twice: once in peace, and once in a folder on a small disk of its own (a tmpfs,
which only root may mount). At a random moment that is filled but for some kilobytes, or none. The
study must end with one line and the exit code 75 or 1, unless it got by with what was left; then
there is room again, and the same command goes on, to the next fault and at last to its end. Both
folders are compared as after kills, see `faults.py`.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from short_studies import Comparison, Study, begin, finish, furnish, log_of, make_empty

if TYPE_CHECKING:
    from collections.abc import Iterator

DISK = 64 << 20
MOST_LEFT = 1 << 18
"""Bytes: more than this, and most of these studies end before the disk is full."""
CANNOT_MOUNT = 77
"""The exit code where there can be no small disk."""
PLACES = {
    "MLflow at": "MLflow's store",
    "mlruns/optuna.db": "the study store",
    "mlruns/checkpoints": "a checkpoint",
    "mlruns/pending": "a trial's files",
    "a temporary file": "a temporary file",
}
"""What an error says, and what it was that could not be written."""


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Let an empty folder be a disk of its own for the length of a block."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", os.fspath(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"a small disk cannot be mounted here: {done.stderr.strip()}", file=sys.stderr)
        sys.exit(CANNOT_MOUNT)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", os.fspath(folder)], check=True)
        folder.rmdir()


def fill(folder: Path, left: int) -> Path:
    """Fill a folder's disk but for so many bytes; return the file that does."""
    ballast = folder / "ballast"
    with ballast.open("wb") as file:
        while True:  # the study writes meanwhile
            room = shutil.disk_usage(folder).free - left
            if room <= 0:
                return ballast
            try:
                os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), room)
            except OSError:
                continue


def fill_once(study: Study, folder: Path, seconds: float, left: int) -> str:
    """Begin the command and fill its disk after some seconds; say what could not be written."""
    child = begin(study, folder)
    time.sleep(seconds)
    ballast = fill(folder, left)
    _, status = os.waitpid(child, 0)
    ballast.unlink()
    said = log_of(folder).read_text()
    log_of(folder).unlink()
    code = os.waitstatus_to_exitcode(status)
    if code == 0:
        return "nothing that ends a study"
    lines = said.splitlines()
    errors = [line for line in lines if line.startswith("sweep: error: ")]
    if code not in (1, 75) or "Traceback" in said or errors != lines[-1:]:
        sys.exit(f"{study} did not end in one line, but with {code}:\n{said}")
    if "B free on" not in errors[0]:
        sys.exit(f"{study} does not say that the disk is full:\n{said}")
    return next((place for words, place in PLACES.items() if words in errors[0]), "something else")


def main() -> None:
    """Fill, compare, and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--faults", type=int, default=60)
    parser.add_argument("--faults-a-study", type=int, default=4)
    parser.add_argument("--studies", type=int, default=1_000_000, help="at most so many")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rng = random.Random(asked.seed)  # noqa: S311 - moments, not secrets
    failed: Counter[str] = Counter()
    comparison = Comparison()
    with tempfile.TemporaryDirectory() as name:
        parent = Path(name)
        make_empty(parent)
        while failed.total() < asked.faults and comparison.compared["studies"] < asked.studies:
            study = replace(Study.draw(rng), more=0)
            peace = furnish(parent / "peace", study)
            seconds = finish(study, peace)
            with small_disk(parent / "trouble") as trouble:
                furnish(trouble, study)
                for _ in range(min(asked.faults_a_study, asked.faults - failed.total())):
                    left = rng.choice([0, int(MOST_LEFT ** rng.uniform(0.5, 1))])
                    failed[fill_once(study, trouble, rng.uniform(0, 0.8 * seconds), left)] += 1
                finish(study, trouble)
                comparison.take(study, peace, trouble)
            said = f"{failed.total()} faults, {comparison.compared['studies']} studies"
            print(f"{said}, {len(comparison.lost)} losses", file=sys.stderr)
            shutil.rmtree(peace)
    print(f"faults: {failed.total()}, seed {asked.seed}; what could not be written:")
    for what, count in sorted(failed.items()):
        print(f"  {what}: {count}")
    comparison.conclude()


if __name__ == "__main__":
    main()

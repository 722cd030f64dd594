"""Kills many short studies at random moments, and compares what becomes of them.

    python benchmarks/faults.py [--kills N] [--kills-a-study N] [--studies N] [--seed N]

Each study is run twice: once in peace, and once in a process that gets SIGKILL at a random moment
of its life, again and again, before the same command may finish it. Both folders are then compared
down to the last bit: every trial of Optuna's store, and every run of MLflow's with its status,
parameters, tags, files and each single point of its metrics. Trainers are threads of the process
that is killed, so they die with it; that nothing of its process group is left is looked at, too.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from short_studies import Comparison, Study, begin, finish, furnish, log_of, make_empty
from stores import Stores


def kill_once(study: Study, folder: Path, seconds: float) -> str:
    """Begin the command and kill it after some seconds; say in which state it left the study."""
    child = begin(study, folder)
    time.sleep(seconds)
    done, status = os.waitpid(child, os.WNOHANG)
    if done:
        if status != 0:
            sys.exit(f"{study} failed:\n{log_of(folder).read_text()}")
        return "over"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    try:
        os.killpg(child, 0)
    except ProcessLookupError:
        return Stores(folder).stage()
    sys.exit("a process outlived the one that was killed")


def main() -> None:
    """Kill, compare, and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--kills-a-study", type=int, default=8)
    parser.add_argument("--studies", type=int, default=1_000_000, help="at most so many")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rng = random.Random(asked.seed)  # noqa: S311 - moments, not secrets
    left: Counter[str] = Counter()
    comparison = Comparison()
    with tempfile.TemporaryDirectory() as name:
        parent = Path(name)
        make_empty(parent)
        kills = 0
        while kills < asked.kills and comparison.compared["studies"] < asked.studies:
            study = Study.draw(rng)
            peace, war = furnish(parent / "peace"), furnish(parent / "war")
            seconds = finish(study, peace)
            for _ in range(min(asked.kills_a_study, asked.kills - kills)):
                left[kill_once(study, war, rng.uniform(0, 1.1 * seconds))] += 1
            finish(study, war)
            comparison.take(study, peace, war)
            kills = left.total() - left["over"]
            said = f"{kills} kills, {comparison.compared['studies']} studies"
            print(f"{said}, {len(comparison.lost)} losses", file=sys.stderr)
            for folder in (peace, war):
                shutil.rmtree(folder)
    print(f"kills: {kills}, seed {asked.seed}")
    for stage, count in sorted(left.items()):
        print(f"  {stage}: {count}")
    comparison.conclude()


if __name__ == "__main__":
    main()

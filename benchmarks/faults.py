"""Kills many short studies at random moments, and compares what becomes of them.

    python benchmarks/faults.py [--kills N] [--kills-a-study N] [--studies N] [--seed N]

Each study is run twice: once in peace, and once in a process that gets SIGKILL at a random moment,
of its whole life or of the time in which trials train, again and again, before the same command may
finish it. Of some, more trials are asked for between two kills; their twin gets them from the same
pass on. Both folders are then compared down to the last bit: every trial of Optuna's store, and
every run of MLflow's with its status, parameters, tags, inputs, files and each single point of its
metrics; and no file may be left that waits for MLflow, nor a checkpoint. That nothing of a killed
process's group is left is looked at, too.
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

from short_studies import (
    Comparison,
    Study,
    begin,
    finish,
    furnish,
    log_of,
    make_empty,
    twin_of,
)
from stores import Stores

GIT_SECONDS = 5.0
"""Until a `git` that MLflow had begun has ended, too."""


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
    deadline = time.monotonic() + GIT_SECONDS
    while time.monotonic() < deadline:
        try:
            os.killpg(child, 0)
        except ProcessLookupError:
            return Stores(folder).stage()
        time.sleep(0.01)
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
            peace, war = furnish(parent / "peace", study), furnish(parent / "war", study)
            began = time.time()
            seconds = finish(study.raised, peace)
            spans = [(0, seconds), tuple(when - began for when in Stores(peace).training())]
            raised_after = rng.randrange(asked.kills_a_study)
            for number in range(min(asked.kills_a_study, asked.kills - kills)):
                now = study.raised if number > raised_after else study
                stage = kill_once(now, war, rng.uniform(*rng.choice(spans)))
                left[stage] += 1
                if stage == "over" and now.more == 0:
                    break
            finish(study.raised, war)
            if study.more:
                shutil.rmtree(peace)
                twin_of(study, war, peace)
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

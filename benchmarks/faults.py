"""Kills many short studies at random moments, and compares what becomes of them.

    python benchmarks/faults.py [--kills N] [--seed N]

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
from dataclasses import dataclass
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # the processes are forked, which threads do not survive

from stores import Stores, differences

KILLS_A_STUDY = 8
EMPTY = "empty"
CHECKPOINT_SECONDS = (0.0, 0.05, 2.0)
"""Between two checkpoints; the last is what users have, and longer than many of these studies."""


@dataclass(frozen=True)
class Study:
    """One command, and how often its trials are put into a checkpoint."""

    arguments: tuple[str, ...]
    checkpoint_seconds: float

    @classmethod
    def draw(cls, rng: random.Random) -> Study:
        """Return a random study that takes some seconds."""
        pairs = {
            "--loss": rng.choice(["softmax", "bce"]),
            "--sampler": rng.choice(["tpe", "random", "qmc"]),
            "--pruner": rng.choice(["none", "median", "hyperband"]),
            "--slots": str(rng.randint(1, 4)),
            "--trials": str(rng.randint(3, 7)),
            "--epochs": str(rng.randint(4, 25)),
            "--seed": str(rng.randrange(1000)),
            "--workers": str(rng.randint(1, 2)),
        }
        options = [word for pair in pairs.items() for word in pair]
        arguments = ("run", "--data", "digits", "--study", "study", *options)
        return cls(arguments, rng.choice(CHECKPOINT_SECONDS))


def begin(study: Study, folder: Path) -> int:
    """Run the command in a process of its own, in its own group; return the process's id."""
    child = os.fork()
    if child:
        return child
    os.setsid()
    os.chdir(folder)
    log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    import sweep.study.keeper
    from sweep.cli import main

    sweep.study.keeper.SECONDS = study.checkpoint_seconds
    try:
        main(list(study.arguments), prog_name="sweep")
    except SystemExit as done:
        os._exit(int(done.code or 0))
    finally:
        os._exit(99)


def finish(study: Study, folder: Path) -> float:
    """Run the command to its end; return the seconds it took."""
    began = time.monotonic()
    _, status = os.waitpid(begin(study, folder), 0)
    if status != 0:
        sys.exit(f"{' '.join(study.arguments)} failed in {folder}:\n{(folder / 'log').read_text()}")
    return time.monotonic() - began


def kill_once(study: Study, folder: Path, seconds: float) -> str:
    """Begin the command and kill it after some seconds; say in which state it left the study."""
    child = begin(study, folder)
    time.sleep(seconds)
    done, status = os.waitpid(child, os.WNOHANG)
    if done:
        if status != 0:
            sys.exit(f"{' '.join(study.arguments)} failed:\n{(folder / 'log').read_text()}")
        return "over"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    try:
        os.killpg(child, 0)
    except ProcessLookupError:
        return Stores(folder).stage()
    sys.exit("a process outlived the one that was killed")


def new_folder(parent: Path, name: str) -> Path:
    """Return a folder with an empty MLflow store, which takes seconds to make."""
    folder = parent / name
    (folder / "mlruns").mkdir(parents=True)
    shutil.copy(parent / EMPTY / "mlruns" / "mlflow.db", folder / "mlruns")
    return folder


def make_empty(parent: Path) -> None:
    """Make the store that is copied, and load all that the forked processes need."""
    from sklearn.datasets import load_digits

    from sweep.tracking.tracker import Tracker

    (parent / EMPTY / "mlruns").mkdir(parents=True)
    child = os.fork()
    if not child:
        os.chdir(parent / EMPTY)
        Tracker("digits")
        os._exit(0)
    os.waitpid(child, 0)
    load_digits()
    for module in ("sweep.cli.run", "sweep.study.loop", "sweep.data", "optuna.samplers"):
        __import__(module)


def main() -> None:
    """Kill, compare, and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rng = random.Random(asked.seed)  # noqa: S311 - moments, not secrets
    left: Counter[str] = Counter()
    compared: Counter[str] = Counter()
    lost: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        parent = Path(name)
        make_empty(parent)
        while (kills := sum(left.values()) - left["over"]) < asked.kills:
            study = Study.draw(rng)
            peace, war = (new_folder(parent, name) for name in ("peace", "war"))
            seconds = finish(study, peace)
            for _ in range(min(KILLS_A_STUDY, asked.kills - kills)):
                left[kill_once(study, war, rng.uniform(0, 1.1 * seconds))] += 1
            finish(study, war)
            expected, found = Stores(peace), Stores(war)
            compared += expected.counts()
            lost += [
                f"{' '.join(study.arguments)}: {line}" for line in differences(expected, found)
            ]
            print(
                f"{kills} kills, {compared['studies']} studies, {len(lost)} losses", file=sys.stderr
            )
            for folder in (peace, war):
                shutil.rmtree(folder)
    print(f"kills: {sum(left.values()) - left['over']}, seed {asked.seed}")
    for stage, count in sorted(left.items()):
        print(f"  {stage}: {count}")
    print("compared: " + ", ".join(f"{count:,} {what}" for what, count in compared.items()))
    print(f"losses: {len(lost)}")
    for line in lost:
        print(f"  {line}")
    sys.exit(bool(lost))


if __name__ == "__main__":
    main()

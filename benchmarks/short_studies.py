"""Short studies, run in peace and in trouble, and whether both come to the same."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # the processes are forked, which threads do not survive

from stores import Stores, differences

if TYPE_CHECKING:
    import random
    from pathlib import Path

MODULES = (
    *("sweep.cli.run", "sweep.study.loop", "sweep.data", "optuna.samplers", "optuna.storages"),
    *("mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store"),
    *("mlflow.pyfunc", "matplotlib.backends.backend_agg", "alembic.command", "git", "filelock"),
)
"""What every study needs, imported once: that takes as long as training."""
EMPTY, TEMPORARY = "empty", "tmp"
CHECKPOINT_SECONDS = (0.0, 0.05, 2.0)
"""Between two checkpoints; the last is what users have, and longer than many of these studies."""
PATIENCE = 1.0
"""Seconds that a study waits in the end for MLflow's store; users have more of them."""


@dataclass(frozen=True)
class Study:
    """One command, and how often its trials are put into a checkpoint."""

    arguments: tuple[str, ...]
    checkpoint_seconds: float

    def __str__(self) -> str:
        return " ".join(self.arguments)

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
    tempfile.tempdir = os.fspath(folder / TEMPORARY)
    log = os.open(log_of(folder), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    import sweep.study.keeper
    import sweep.tracking.courier
    from sweep.cli import main

    sweep.study.keeper.SECONDS = study.checkpoint_seconds
    sweep.tracking.courier.PATIENCE = PATIENCE
    try:
        main(list(study.arguments), prog_name="sweep")
    except SystemExit as done:
        os._exit(int(done.code or 0))
    except BaseException:  # noqa: BLE001 - shown, and the process ends
        traceback.print_exc()
    finally:
        os._exit(99)


def finish(study: Study, folder: Path) -> float:
    """Run the command to its end; return the seconds it took."""
    began = time.monotonic()
    _, status = os.waitpid(begin(study, folder), 0)
    if status != 0:
        sys.exit(f"{study} failed:\n{log_of(folder).read_text()}")
    return time.monotonic() - began


def log_of(folder: Path) -> Path:
    """Return where all is written that the studies of a folder say."""
    return folder.with_name(f"{folder.name}.log")


def furnish(folder: Path) -> Path:
    """Put an empty MLflow store, which takes seconds to make, into a new or empty folder."""
    (folder / "mlruns").mkdir(parents=True)
    (folder / TEMPORARY).mkdir()
    shutil.copy(folder.parent / EMPTY / "mlruns" / "mlflow.db", folder / "mlruns")
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
    for module in MODULES:
        import_module(module)


@dataclass
class Comparison:
    """What was compared so far, and what was lost or doubled."""

    compared: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)

    def take(self, study: Study, peace: Path, trouble: Path) -> None:
        """Compare a study's two folders."""
        expected, found = Stores(peace), Stores(trouble)
        self.compared += expected.counts()
        self.lost += [f"{study}: {line}" for line in differences(expected, found)]

    def conclude(self) -> None:
        """Print the result and end with 1 if anything was lost."""
        print(
            "compared: " + ", ".join(f"{count:,} {what}" for what, count in self.compared.items())
        )
        print(f"losses: {len(self.lost)}")
        for line in self.lost:
            print(f"  {line}")
        sys.exit(bool(self.lost))

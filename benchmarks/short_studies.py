"""Short studies, run in peace and in trouble, and whether both come to the same."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # the processes are forked, which threads do not survive

from stores import Stores, differences

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable

    from sweep.search import StudyRecord

MODULES = (
    *("sweep.cli.run", "sweep.analysis.session", "sweep.data", "sweep.tracking.client"),
    *("optuna.samplers", "optuna.storages", "optuna.importance", "sklearn.ensemble"),
    *("mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store"),
    *("mlflow.pyfunc", "matplotlib.backends.backend_agg", "alembic.command", "git", "filelock"),
)
"""What every study needs, imported once: that takes as long as training."""
EMPTY, TEMPORARY = "empty", "tmp"
CHECKPOINT_SECONDS = (0.0, 0.05, 2.0)
"""Between two checkpoints; the last is what users have, and longer than many of these studies."""
SECONDS_AT_END = 1.0
"""Seconds that a study waits in the end for MLflow's store; users have more of them."""
QUEUED: tuple[dict[str, float], ...] = (
    {},
    {"l2": 0.001, "learning_rate": 0.02},  # the sampler proposes the rest
    {
        "l2": 0.01,
        "learning_rate": 0.005,
        "decay_period": 7,
        "batch_size": 100,
        "flip_probability": 0.0,
    },
)


@dataclass(frozen=True)
class Study:
    """One command, what is queued before its first run, and how often its trials are checkpointed.

    `more` is how many trials are asked for on top of `trials` at some moment between two runs.
    """

    options: tuple[str, ...]
    trials: int
    more: int
    queued: tuple[dict[str, float], ...]
    checkpoint_seconds: float

    @property
    def arguments(self) -> list[str]:
        """What `sweep` is called with."""
        return ["run", "study", "--trials", str(self.trials), *self.options]

    def __str__(self) -> str:
        more = f", later --trials {self.trials + self.more}" if self.more else ""
        queued = f", queued {list(self.queued)}" if self.queued else ""
        checkpoints = f"checkpoints every {self.checkpoint_seconds} s"
        return f"sweep {' '.join(self.arguments)}{more}{queued}, {checkpoints}"

    @property
    def raised(self) -> Study:
        """The same study with all of its trials."""
        return replace(self, trials=self.trials + self.more, more=0)

    @classmethod
    def draw(cls, rng: random.Random) -> Study:
        """Return a random study that takes some seconds."""
        pairs = {
            "--data": "digits",
            "--loss": rng.choice(["softmax", "bce"]),
            "--sampler": rng.choice(["tpe", "random", "qmc"]),
            "--pruner": rng.choice(["halving", "median", "hyperband", "none"]),
            "--slots": str(rng.randint(1, 6)),
            "--epochs": str(rng.randint(4, 25)),
            "--seed": str(rng.randrange(1000)),
            "--workers": str(rng.randint(1, 2)),
        }
        return cls(
            options=tuple(word for pair in pairs.items() for word in pair),
            trials=rng.randint(3, 8),
            more=rng.choice([0, 0, rng.randint(1, 4)]),
            queued=tuple(rng.sample(QUEUED, rng.choice([0, 0, 1, 2]))),
            checkpoint_seconds=rng.choice(CHECKPOINT_SECONDS),
        )


def begin(study: Study, folder: Path) -> int:
    """Run the command in a process of its own, in its own group; return the process's id."""

    def run() -> None:
        import sweep.search.checkpoint
        import sweep.tracking.mirror
        from sweep.cli import main

        sweep.search.checkpoint.SECONDS = study.checkpoint_seconds
        sweep.tracking.mirror.CLOSE_SECONDS = SECONDS_AT_END
        main(study.arguments, prog_name="sweep")

    return _forked(run, folder)


def _forked(do: Callable[[], None], folder: Path) -> int:
    child = os.fork()
    if child:
        return child
    os.setsid()
    os.chdir(folder)
    tempfile.tempdir = os.fspath(folder / TEMPORARY)
    log = os.open(log_of(folder), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        do()
        os._exit(0)
    except SystemExit as done:
        os._exit(int(done.code or 0))
    except BaseException:  # noqa: BLE001 - shown, and the process ends
        traceback.print_exc()
    finally:
        os._exit(99)


def finish(study: Study, folder: Path) -> float:
    """Run the command to its end; return the seconds it took."""
    began = time.monotonic()
    _await(begin(study, folder), study, folder)
    return time.monotonic() - began


def _await(child: int, study: Study, folder: Path) -> None:
    _, status = os.waitpid(child, 0)
    if status != 0:
        sys.exit(f"{study} failed:\n{log_of(folder).read_text()}")


def log_of(folder: Path) -> Path:
    """Return where all is written that the studies of a folder say."""
    return folder.with_name(f"{folder.name}.log")


def furnish(folder: Path, study: Study, budgets: Iterable[tuple[int, int]] = ()) -> Path:
    """Let a new or empty folder be as it is before the first run of the study.

    An empty MLflow store, which takes seconds to make, lies there already. With `budgets` the
    study itself will have other trials than those that are asked for; see `Record`.
    """
    (folder / "mlruns").mkdir(parents=True)
    (folder / TEMPORARY).mkdir()
    shutil.copy(folder.parent / EMPTY / "mlruns" / "mlflow.db", folder / "mlruns")

    def prepare() -> None:
        record = _begun(study)
        for setting in study.queued:
            record.optuna.enqueue_trial(setting)
        if budgets:
            record.set_attribute("sweep:budgets", list(budgets))

    if study.queued or budgets:
        _await(_forked(prepare, folder), study, folder)
    return folder


def _begun(study: Study) -> StudyRecord:
    """Begin the study in the working folder, without a trial."""
    from sweep.cli.run import plan_of, run
    from sweep.search import begin_study, create_storage
    from sweep.workspace import Workspace

    workspace = Workspace()
    options = run.make_context("sweep", study.arguments[1:]).params
    for name in ("timeout", "workers", "tracking_uri", "dry_run"):
        del options[name]
    config, _ = plan_of(**options).settle()
    return begin_study(config, create_storage(workspace), workspace)


def twin_of(study: Study, trouble: Path, folder: Path) -> Path:
    """Run the study in peace with more trials from the same pass on as it had in trouble."""
    furnish(folder, study, Stores(trouble).budgets())
    finish(study.raised, folder)
    return folder


def make_empty(parent: Path) -> None:
    """Make the store that is copied, and load all that the forked processes need."""
    from sklearn.datasets import load_digits

    def make() -> None:
        from sweep.tracking import create_tables

        create_tables(Path("mlruns/mlflow.db"), Path("mlruns/artifacts").resolve())

    (parent / EMPTY / "mlruns").mkdir(parents=True)
    (parent / EMPTY / TEMPORARY).mkdir()
    os.waitpid(_forked(make, parent / EMPTY), 0)
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
        lost = [f"{study}: {line}" for line in differences(expected, found)]
        print(*lost, sep="\n", end="\n" if lost else "", file=sys.stderr)
        self.lost += lost

    def conclude(self) -> None:
        """Print the result and end with 1 if anything was lost."""
        print(
            "compared: " + ", ".join(f"{count:,} {what}" for what, count in self.compared.items())
        )
        print(f"losses: {len(self.lost)}")
        for line in self.lost:
            print(f"  {line}")
        sys.exit(bool(self.lost))

"""Lets many workers train one shared study, kills some of them, and compares both stores after.

    python benchmarks/crowd.py --storage URL --tracking-uri URI [--workers N] [--kills N]

Each worker is a process of its own, in one of a few folders that stand for machines; one that is
killed is replaced. Meanwhile the stores may be restarted: each `--between COMMAND` is run by the
shell once another part of the trials is finished.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # the processes are forked, which threads do not survive

from crowd_check import disagreements

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

STUDY = "crowd"
MACHINES = 4
PATIENCE_SECONDS = 1_200.0


@dataclass(kw_only=True)
class Crowd:
    """Many workers, and what happens to them.

    Attributes
    ----------
    storage, tracking_uri
        The stores, which all of them share.
    folder
        Where the machines' folders are made.
    workers, trials, epochs
        How many there are of each.
    kills
        So many workers get SIGKILL at a random moment, and are replaced.
    grace
        Seconds after which the others take over.
    seed
        Of the moments.
    between
        What is done meanwhile, each when another part of the trials is finished.

    """

    storage: str
    tracking_uri: str
    folder: Path
    workers: int = 24
    trials: int = 96
    epochs: int = 20
    kills: int = 8
    grace: float = 6.0
    seed: int = 0
    between: Sequence[Callable[[], object]] = ()
    endings: Counter[str] = field(default_factory=Counter, init=False)
    """How the workers ended: `0` and the other exit codes, or `killed`."""

    def run(self) -> None:
        """Train the study to its end, with all that is to happen meanwhile."""
        _load()
        self._run_alone(self._begin)
        rng = random.Random(self.seed)  # noqa: S311 - moments, no secrets
        alive = {self._fork(self._work, number) for number in range(self.workers)}
        parts = [(k + 1) / (len(self.between) + 1) for k in range(len(self.between))]
        events = list(zip(parts, self.between, strict=True))
        kills = sorted(rng.random() for _ in range(self.kills))
        began = time.monotonic()
        while alive:
            if time.monotonic() - began > PATIENCE_SECONDS:
                raise TimeoutError(f"{len(alive)} workers are not done")
            done = self._share_finished()
            while kills and done >= kills[0]:
                kills.pop(0)
                os.kill(rng.choice(sorted(alive)), signal.SIGKILL)
                alive.add(self._fork(self._work, len(alive)))
            while events and done >= events[0][0]:
                events.pop(0)[1]()
            alive -= self._reap(alive)
            time.sleep(0.2)

    def _begin(self) -> None:
        _sweep(
            *("run", "--data", "digits", "--study", STUDY, "--trials", str(self.trials)),
            *("--epochs", str(self.epochs), "--width", "2", "--storage", self.storage),
            *("--tracking-uri", self.tracking_uri, "--grace", str(self.grace), "--begin-only"),
        )

    def _work(self) -> None:
        _sweep(
            *("worker", STUDY, "--storage", self.storage, "--tracking-uri", self.tracking_uri),
            *("--slots", "2", "--workers", "1"),
        )

    def _share_finished(self) -> float:
        """Ask in a process of its own: a connection would not survive the next fork."""
        found = subprocess.run(
            [sys.executable, __file__, "--count", self.storage],
            capture_output=True,
            text=True,
            check=False,
        )
        return int(found.stdout or 0) / self.trials

    def _run_alone(self, work: Callable[[], None]) -> None:
        _, status = os.waitpid(self._fork(work, 0), 0)
        if status != 0:
            raise RuntimeError(self.said())

    def _fork(self, work: Callable[[], None], number: int) -> int:
        """Do something in a process of its own, on one of the machines; return its id."""
        child = os.fork()
        if child:
            return child
        machine = self.folder / f"machine-{number % MACHINES}"
        machine.mkdir(parents=True, exist_ok=True)
        os.chdir(machine)
        log = os.open(self.folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        try:
            work()
        except SystemExit as done:
            os._exit(int(done.code or 0))
        except BaseException:  # noqa: BLE001 - shown, and the process ends
            traceback.print_exc()
        finally:
            os._exit(99)

    def _reap(self, alive: set[int]) -> set[int]:
        ended = set()
        for process in alive:
            found, status = os.waitpid(process, os.WNOHANG)
            if found:
                ended.add(process)
                killed = os.WIFSIGNALED(status)
                self.endings["killed" if killed else str(os.WEXITSTATUS(status))] += 1
        return ended

    def said(self) -> str:
        """Return all that the workers printed."""
        return (self.folder / "log").read_text()


def _sweep(*arguments: str) -> None:
    from sweep.cli import main

    main(list(arguments), prog_name="sweep")


def _load() -> None:
    """Load what the forked processes need: each by itself would take seconds to."""
    import mlflow.store.tracking.rest_store  # noqa: F401
    import optuna  # noqa: F401
    import psycopg  # noqa: F401
    from sklearn.datasets import load_digits

    import sweep.study.loop
    import sweep.tracking.tracker
    import sweep.workers.worker  # noqa: F401

    load_digits()


def _print_count(storage: str) -> None:
    """Print how many trials are finished, as far as the database answers."""
    from sqlalchemy import create_engine, text

    query = "SELECT count(*) FROM trials WHERE state IN ('COMPLETE', 'PRUNED')"
    with create_engine(storage).connect() as connection:
        print(connection.scalar(text(query)))


def main() -> None:
    """Parse, run, compare and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--storage")
    parser.add_argument("--tracking-uri")
    parser.add_argument("--workers", type=int, default=24)
    parser.add_argument("--trials", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--kills", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--between", action="append", default=[], metavar="COMMAND")
    parser.add_argument("--log", type=Path, help="where to keep what the workers printed")
    parser.add_argument("--count", metavar="URL", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.count:
        _print_count(asked.count)
        return
    with tempfile.TemporaryDirectory() as folder:
        crowd = Crowd(
            storage=asked.storage,
            tracking_uri=asked.tracking_uri,
            folder=Path(folder),
            workers=asked.workers,
            trials=asked.trials,
            epochs=asked.epochs,
            kills=asked.kills,
            seed=asked.seed,
            between=[
                partial(subprocess.run, ["sh", "-c", one], check=True) for one in asked.between
            ],
        )
        began = time.monotonic()
        crowd.run()
        seconds = time.monotonic() - began
        if asked.log:
            asked.log.write_text(crowd.said())
        counted, wrong = disagreements(STUDY, asked.storage, asked.tracking_uri, asked.trials)
        print(f"{asked.workers} workers, {asked.trials} trials asked for, {seconds:.0f} s")
        print(f"workers ended: {dict(crowd.endings)}; restarts: {len(asked.between)}")
        print(", ".join(f"{count:,} {name}" for name, count in counted.items()))
        print(f"losses: {len(wrong)}")
        if wrong:
            sys.exit("\n".join([*wrong, crowd.said()]))


if __name__ == "__main__":
    main()

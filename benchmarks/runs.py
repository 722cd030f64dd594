"""`sweep run` as a process of its own in a folder of its own: what it took and what it found."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from sweep.analysis import selected_trial
from sweep.search import open_study
from sweep.workspace import Workspace


@dataclass(frozen=True)
class Ran:
    """A study that was run from nothing.

    Attributes
    ----------
    seconds : of the whole command.
    megabytes : of memory, at most.
    parts : seconds of each part of the time, as the command says it.
    trial_epochs : epochs of all trials.
    passes : over the rows.
    accuracy : on the validation rows, of the selected trial.
    """

    seconds: float
    megabytes: float
    parts: dict[str, float]
    trial_epochs: int
    passes: int
    accuracy: float

    @property
    def shares(self) -> str:
        """The parts in percent."""
        whole = sum(self.parts.values())
        shares = {name: 100 * part / whole for name, part in self.parts.items()}
        return ", ".join(f"{name} {share:.0f} %" for name, share in shares.items())


def run(*options: str) -> Ran:
    """Run a study from nothing and return what it took."""
    command = [sys.executable, "-m", "sweep", "run", "study", *options]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        began = time.perf_counter()
        with log.open("w") as out:
            process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - began
        if process.returncode:
            sys.exit(f"sweep run {' '.join(options)} ended with {process.returncode}")
        study = open_study("study", Workspace(Path(folder)))
        trials, best = study.trials(), selected_trial(study)
        times = re.search(r"^time: ([\d.]+) s \((.*)\)$", log.read_text(), flags=re.MULTILINE)
        assert times is not None  # noqa: S101 - every run that ends well says it
        shares = re.findall(r"(\w+) (\d+) %", times[2])
        return Ran(
            seconds=seconds,
            megabytes=usage.ru_maxrss / 1024,
            parts={name: float(times[1]) * int(share) / 100 for name, share in shares},
            trial_epochs=sum(trial.epochs for trial in trials),
            passes=max(trial.first_pass + trial.epochs for trial in trials),
            accuracy=best.last("val/accuracy"),
        )

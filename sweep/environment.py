"""What may change a number without a setting changing: versions, BLAS, threads, machine, git."""

from __future__ import annotations

import atexit
import gc
import platform
import subprocess
import sys
import warnings
from functools import cache
from importlib.metadata import version
from typing import TypeAlias

Environment: TypeAlias = dict[str, str]

PACKAGES = ("sweep", "numpy", "scipy", "optuna", "mlflow")
BLAS_THREADS = 1
"""Threads of every product in a training: with more, the order of a sum is not the same twice."""


@cache
def environment() -> Environment:
    """Return, name by name, what a later run is compared with; looked up once per process."""
    import numpy as np  # noqa: F401 - loads the BLAS that is to be described
    from threadpoolctl import threadpool_info

    from sweep_model.panels import KERNELS

    found = [info for info in threadpool_info() if info["user_api"] == "blas"]
    blas = sorted({f"{i['internal_api']} {i['version']} {i['architecture']}" for i in found})
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
        "kernels": str(KERNELS),
        "blas": "; ".join(blas) or "unknown",
        "blas_threads": str(BLAS_THREADS),
        "machine": f"{platform.system()} {platform.machine()}",
    }


def differences(recorded: Environment, present: Environment) -> list[str]:
    """Return a phrase `what recorded -> present` for each entry that is not the same."""
    return [
        f"{name} {recorded.get(name, 'unknown')} -> {present.get(name, 'unknown')}"
        for name in sorted(recorded.keys() | present.keys())
        if recorded.get(name) != present.get(name)
    ]


def print_warnings_of_packages() -> None:
    """Let the packages warn where PYTHONWARNINGS or -W makes an error of each warning.

    The next deprecation in MLflow, SQLAlchemy or Optuna would end the program. For a process of
    ours alone.
    """
    actions = (option.partition(":")[0] for option in sys.warnoptions)
    if any(action and "error".startswith(action) for action in actions):
        warnings.simplefilter("default")
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", PendingDeprecationWarning)


@cache
def collect_rarely() -> None:
    """Let Python look for cyclic garbage less often, and not at the end. For our own processes.

    Imports make hundreds of thousands of objects that stay; to look through them again and again
    takes an eighth of a short study, and a second when the process ends.
    """
    gc.set_threshold(50_000, 10, 10)
    atexit.register(gc.freeze)


@cache
def git_state() -> dict[str, str]:
    """Return commit, branch and whether files differ from it, for the working folder.

    Empty outside a checkout, before the first commit, and where git is not installed.
    """
    commit, branch = _git("rev-parse", "HEAD"), _git("rev-parse", "--abbrev-ref", "HEAD")
    status = _git("status", "--porcelain", "--untracked-files=no")
    if commit is None or branch is None or status is None:
        return {}
    return {"commit": commit, "branch": branch, "dirty": str(bool(status))}


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments, no shell
            ["git", *arguments],  # noqa: S607 - the user's own git
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()

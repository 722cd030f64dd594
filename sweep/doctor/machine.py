"""The machine and the packages that the numbers rest on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sweep.doctor.finding import ok, warn

if TYPE_CHECKING:
    from sweep.doctor.finding import Finding

TESTED_OPTUNA: Final = "5.0"
"""Its tables are written directly, see `sweep.study.recording`; pyproject.toml says the same."""
ENOUGH_MEMORY = 1.5e9
"""Bytes. Fifty trials on CIFAR-10 take 1.01 GB, see README.md."""
MEMORY = Path("/proc/meminfo")


def check_machine() -> list[Finding]:
    """Look at the interpreter, the packages, the cores and the memory."""
    return [check_python(), check_numpy(), check_optuna(), check_mlflow(), check_memory()]


def check_python() -> Finding:
    """Tell which Python and machine these are, and the cores that may be used."""
    from sweep.layout import cores

    machine = f"{platform.system()} {platform.machine()}"
    return ok("Python", f"{platform.python_version()} on {machine}, {_count(cores(), 'core')}")


def check_numpy() -> Finding:
    """Tell which BLAS does the products, with how many threads outside of trainings."""
    import numpy as np
    from threadpoolctl import threadpool_info

    found = [info for info in threadpool_info() if info["user_api"] == "blas"]
    if not found:
        return warn(
            "NumPy",
            f"{np.__version__}, with a BLAS whose threads cannot be held",
            "install NumPy as pip has it; else a training may not come out the same twice",
        )
    blas = {
        f"{info['internal_api']} {info['version']} for {info.get('architecture', 'any machine')}, "
        f"{_count(info['num_threads'], 'thread')}"
        for info in found
    }
    return ok("NumPy", f"{np.__version__}, {'; '.join(sorted(blas))} (in a training: 1 per worker)")


def check_optuna() -> Finding:
    """Tell whether this Optuna is one whose tables are known."""
    installed = version("optuna")
    if installed.startswith(f"{TESTED_OPTUNA}."):
        return ok("Optuna", installed)
    return warn(
        "Optuna",
        f"{installed}, and sweep was tested with {TESTED_OPTUNA}",
        f"pip install 'optuna=={TESTED_OPTUNA}.*'",
    )


def check_mlflow() -> Finding:
    """Tell whether the dashboards were looked at in this MLflow."""
    from sweep.tracking.saved_view import TESTED_MLFLOW, untested_mlflow

    untested = untested_mlflow()
    if untested is None:
        return ok("MLflow", f"{version('mlflow')}, with which the dashboards were tested")
    return warn(
        "MLflow",
        f"{untested}, and the dashboards were tested with {TESTED_MLFLOW}: `sweep ui` opens plain "
        "pages",
        f"pip install 'mlflow=={TESTED_MLFLOW}.*'",
    )


def check_memory() -> Finding:
    """Tell how much memory there is, and how much of it is to be had."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    free = _available()
    if free is None:
        return ok("memory", f"{total / 1e9:.1f} GB")
    said = f"{free / 1e9:.1f} of {total / 1e9:.1f} GB available"
    if free < ENOUGH_MEMORY:
        return warn("memory", said, "end what else is running: CIFAR-10 takes about 1 GB")
    return ok("memory", said)


def _available() -> float | None:
    """Return the bytes that a process may still take; None where the system does not say."""
    try:
        lines = MEMORY.read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024.0 if found else None


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"

"""The machine and the folder: versions, BLAS, disk and locks; nothing is changed."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from sweep.doctor.finding import Finding, Level
from sweep.environment import BLAS_THREADS, environment
from sweep.search.lock import holder, is_held

if TYPE_CHECKING:
    from pathlib import Path

    from sweep.workspace import Workspace
    from sweep_model.panels import Problem

ENOUGH_SPACE, LEAST_SPACE = 1e9, 5e7
"""Bytes. Fifty trials on CIFAR-10 take about 80 MB."""
CLASSES, LANES, IMAGE = 10, (4, 8), (3, 32, 32)
BATCH_SIZES = (50, 100, 200, 400)
"""What default studies train with, on the images of CIFAR-10 and on rows that are no images."""


def check_versions() -> Finding:
    """Say which Python, packages and BLAS train and record here."""
    from sweep.tracking.saved_view import TESTED_MLFLOW, untested_mlflow

    here = environment()
    said = ", ".join(f"{name} {value}" for name, value in here.items() if name != "blas_threads")
    if here["blas"] == "unknown":
        return Finding(
            Level.WARN,
            "versions",
            f"{said}: the threads of this BLAS cannot be limited, so a training may not come out "
            "the same twice",
            "install NumPy from pip",
        )
    if untested_mlflow() is not None:
        return Finding(
            Level.WARN,
            "versions",
            f"{said}: the dashboards were tested with MLflow {TESTED_MLFLOW}, so `sweep ui` opens "
            "plain pages",
            f"pip install 'mlflow=={TESTED_MLFLOW}.*'",
        )
    return Finding(Level.OK, "versions", said)


def check_lanes() -> Finding:
    """Say whether this BLAS gives a training the same bits in each lane of a panel."""
    from threadpoolctl import threadpool_limits

    from sweep_model.panels import lanes_agree

    with threadpool_limits(BLAS_THREADS, user_api="blas"):
        differing = [
            f"{lanes} lanes, batches of {size} {what}"
            for what, problem in {"images": _problem(images=True), "rows": _problem()}.items()
            for lanes in LANES
            for size in BATCH_SIZES
            if not lanes_agree(problem, lanes=lanes, batch_size=size)
        ]
    return lanes_finding(differing)


def lanes_finding(differing: list[str]) -> Finding:
    """Return what `check_lanes` says of the panels in which lanes differ."""
    if not differing:
        said = "a training has the same bits in each lane: trials may be moved"
        return Finding(Level.OK, "lanes", said)
    return Finding(
        Level.WARN,
        "lanes",
        "this BLAS gives a training other bits in another lane: trials are not moved, which is "
        "slower, and `sweep reproduce` may not match bit for bit",
        "install NumPy from pip, whose OpenBLAS was tested",
        tuple(differing),
    )


def _problem(*, images: bool = False) -> Problem:
    import numpy as np

    from sweep_model.losses import LOSSES
    from sweep_model.panels import Problem
    from sweep_model.preprocessing import MirrorBasis, MirrorRows

    n, features = 2 * max(BATCH_SIZES), int(np.prod(IMAGE))
    rows = np.random.default_rng(0).standard_normal((n, features), dtype=np.float32)
    basis = MirrorBasis(features, IMAGE if images else None)
    labels = np.arange(n) % CLASSES
    return Problem(
        rows=MirrorRows(rows, labels, basis),
        evaluation={},
        loss=LOSSES["softmax"],
        classes=CLASSES,
    )


def check_folder(workspace: Workspace) -> list[Finding]:
    """Say whether `mlruns/` may be written to, and how much of its disk is free."""
    folder = workspace.folder
    place = folder if folder.is_dir() else workspace.root
    return [_check_place(folder, place), check_space(shutil.disk_usage(place).free)]


def _check_place(folder: Path, place: Path) -> Finding:
    check = f"{folder}/"
    if folder.exists() and not folder.is_dir():
        return Finding(
            Level.FAIL, check, "is a file, not a folder", "move it away, or change the folder"
        )
    if not os.access(place, os.W_OK | os.X_OK):
        return Finding(
            Level.FAIL,
            check,
            f"{place.resolve()} cannot be written to",
            "work in a folder you may write to, e.g. a copy of this one",
        )
    if place != folder:
        return Finding(Level.OK, check, "not here yet: `sweep run` makes it")
    return Finding(Level.OK, check, f"{place.resolve()}, writable")


def check_space(free: float) -> Finding:
    """Judge how many bytes of the disk are free."""
    said, advice = f"{free / 1e9:.1f} GB free", "free some: fifty trials take about 0.1 GB"
    if free >= ENOUGH_SPACE:
        return Finding(Level.OK, "disk", said)
    return Finding(Level.WARN if free >= LEAST_SPACE else Level.FAIL, "disk", said, advice)


def check_locks(workspace: Workspace) -> Finding:
    """Say which locks are held, and by whom as far as they said."""
    held = [path for path in sorted(workspace.folder.glob("*.lock")) if is_held(path)]
    said = "; ".join(f"{path.name} is held by {holder(path)}" for path in held)
    return Finding(Level.OK, "locks", said or "none is held")

"""What the benchmarks share: rows, the machine in one line, medians with their ranges, tables."""

from __future__ import annotations

import os
import platform
import statistics
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_info

from sweep_model.training import Rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

BATCH_SIZES = (50, 100, 200, 400)
"""Of the default space."""
CLASSES, SHAPE, FEATURES = 10, (3, 32, 32), 3072
TRAINING_ROWS, SMALL_TRAINING_ROWS, VALIDATION_ROWS = 49_000, 5_000, 1_000


@dataclass(frozen=True, eq=False)
class Data:
    """Standardised rows in pixel order, and what they are."""

    name: str
    training: Rows
    validation: Rows


def load(folder: Path | None, training_rows: int) -> Data:
    """CIFAR-10 out of a folder, or without one random numbers of its shape.

    The time that training takes does not depend on the numbers in the rows.
    """
    if folder is None:
        rng = np.random.default_rng(0)
        return Data("random numbers", *(_random(rng, n) for n in (training_rows, VALIDATION_ROWS)))
    from sweep.data import open_source, prepare, split_rows

    source = open_source("cifar10", folder)
    dataset = source.development()
    prepared = prepare(dataset, split_rows(source, dataset, val_size=VALIDATION_ROWS))
    rows, labels = prepared.training.rows, prepared.training.labels
    return Data("CIFAR-10", Rows(rows[:training_rows], labels[:training_rows]), prepared.validation)


def _random(rng: np.random.Generator, n: int) -> Rows:
    return Rows(rng.standard_normal((n, FEATURES), dtype=np.float32), rng.integers(0, CLASSES, n))


def machine(*packages: str) -> str:
    """The machine, Python, NumPy with its BLAS and the versions of more packages, in one line."""
    blas = {
        f"{info['internal_api']} {info['version']} ({info['architecture']})"
        for info in threadpool_info()
        if info["user_api"] == "blas"
    }
    return ", ".join(
        (
            f"{platform.system()} {platform.machine()}",
            f"{os.cpu_count()} cores",
            f"Python {platform.python_version()}",
            f"NumPy {np.__version__}",
            *sorted(blas),
            *(f"{package} {installed(package) or 'missing'}" for package in packages),
        )
    )


def installed(package: str) -> str | None:
    """The version of a package, or None where there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@dataclass(frozen=True)
class Spread:
    """The median and the range of what was measured some times over."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise one value or more."""
        return cls(statistics.median(values), min(values), max(values))

    def __format__(self, number: str) -> str:
        """The median, then the range in brackets, each number in the given format."""
        return f"{self.median:{number}} ({self.least:{number}}-{self.most:{number}})"


class Table:
    """Columns that are printed line by line, while the next line is being measured."""

    def __init__(self, **widths: int) -> None:
        self._widths = list(widths.values())
        self.line(*(title.replace("_", " ") for title in widths))

    def line(self, *cells: object) -> None:
        """Print a line; numbers and what else starts a column right are for the caller."""
        padded = (
            f"{cell!s:<{-width}}" if width < 0 else f"{cell!s:>{width}}"
            for cell, width in zip(cells, self._widths, strict=True)
        )
        print(*padded, sep="  ", flush=True)

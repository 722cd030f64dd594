"""The engine of one machine: panels of trainings on threads with one BLAS thread each."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from sweep.config import TRAIN_CURVES
from sweep.environment import BLAS_THREADS, environment
from sweep_model.losses import LOSSES
from sweep_model.panels import Panels, Problem, lanes_agree
from sweep_model.preprocessing import MirrorRows
from sweep_model.training import Rows

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping

    from sweep.config import StudyConfig
    from sweep.data import Prepared
    from sweep.engine.protocol import Results
    from sweep.environment import Environment
    from sweep.timings import Timings
    from sweep_model.panels import LaneState
    from sweep_model.training import Training


class LocalEngine:
    """An `Engine` of this process; enter it to train.

    Parameters
    ----------
    data : training and validation rows.
    loss : `softmax` or `bce`.
    lanes : of every panel: part of what a training's bits depend on.
    train_curve : `sample` or `all`, see `StudyConfig`.
    further : metrics that validation rows are evaluated by, see `StudyConfig.further`.
    class_weights : of `weighted_accuracy`, see `StudyConfig.class_weights`.
    workers : threads; they do not affect results. None: one for each core.
    timings : gets the seconds of `training`, `evaluation` and `waiting` (for the slowest worker).
    first_pass : the number of the first pass.

    Attributes
    ----------
    operations : useful floating-point operations so far.
    machines : what others take part, see `RayEngine`.
    """

    machines: Mapping[str, int] = MappingProxyType({})

    def __init__(
        self,
        data: Prepared,
        *,
        loss: str,
        lanes: int,
        timings: Timings,
        train_curve: str = "sample",
        further: tuple[str, ...] = (),
        class_weights: tuple[float, ...] | None = None,
        workers: int | None = None,
        first_pass: int = 0,
    ) -> None:
        self.workers = workers or available_cores()
        self.timings, self.operations = timings, 0.0
        rows = shared_rows(data, loss, train_curve, further, class_weights)
        problems = rows.problems()
        self._operations = operations_an_epoch(problems[0])  # all have as many
        self._panels = Panels(*problems, lanes=lanes, next_pass=first_pass)
        self._lanes = LaneChecks(self._panels)
        self._threads = ThreadPoolExecutor(self.workers, thread_name_prefix="trainer")

    def __enter__(self) -> Self:
        from threadpoolctl import threadpool_limits

        self._limits = threadpool_limits(BLAS_THREADS, user_api="blas")
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()
        self._limits.restore_original_limits()

    @classmethod
    def of_study(
        cls,
        config: StudyConfig,
        data: Prepared,
        *,
        timings: Timings,
        workers: int | None = None,
        first_pass: int = 0,
    ) -> Self:
        """Return the engine that trains what a study trains, to the same bits."""
        return cls(
            data,
            loss=config.loss,
            lanes=config.lanes,
            train_curve=config.train_curve,
            further=config.further,
            class_weights=config.class_weights,
            timings=timings,
            workers=workers,
            first_pass=first_pass,
        )

    @property
    def next_pass(self) -> int:
        """The number of the next pass."""
        return self._panels.next_pass

    @property
    def lanes_agree(self) -> bool:
        """Whether this machine's BLAS gives the same bits in each lane, as far as was needed."""
        return self._lanes.agree

    @property
    def environment(self) -> Environment:
        """What a training's bits depend on besides itself."""
        return environment()

    def start(self, key: Hashable, training: Training) -> None:
        """Begin a training with the next pass."""
        self._lanes.check(training)
        self._panels.start(key, training)

    def drop(self, key: Hashable) -> None:
        """Take a training out."""
        self._panels.drop(key)

    def states(self, keys: Iterable[Hashable]) -> dict[Hashable, LaneState]:
        """Return what trainings carry between two passes, for `restore`."""
        return {key: self._panels.state(key) for key in keys}

    def restore(self, states: Mapping[Hashable, tuple[Training, LaneState]]) -> None:
        """Go on with trainings from their states, to the same bits."""
        for key, (training, state) in states.items():
            self._lanes.check(training)
            self._panels.restore(key, training, state)

    def run_pass(self) -> Results:
        """Train and evaluate each training for one epoch."""
        began, trainings = time.perf_counter(), len(self._panels)
        results, seconds = self._panels.run_pass(self._threads, self.workers)
        if trainings:
            self.operations += trainings * self._operations
            wall = time.perf_counter() - began
            parts = {
                "training": sum(one.training for one in seconds) / self.workers,
                "evaluation": sum(one.evaluation for one in seconds) / self.workers,
            }
            for part, share in parts.items():
                self.timings.add(part, share)
            self.timings.add("waiting", max(0.0, wall - sum(parts.values())))
        return results


class LaneChecks:
    """Looks once for every batch size whether trainings may be moved between lanes.

    Attributes
    ----------
    agree : whether BLAS gives the same bits in each lane, as far as was needed.
    """

    def __init__(self, panels: Panels) -> None:
        self._panels, self._sizes, self.agree = panels, set[int](), True

    def check(self, training: Training) -> None:
        """Look before a training of this batch size is put into a lane."""
        size = training.hyperparameters.batch_size
        if size not in self._sizes:
            self._sizes.add(size)
            problem, lanes = self._panels.problem_of(training), self._panels.lanes
            self.agree = self.agree and lanes_agree(problem, lanes=lanes, batch_size=size)
            self._panels.may_move = self.agree


def available_cores() -> int:
    """Return the cores that this process may use, also within a container."""
    from joblib import cpu_count

    return int(cpu_count())


class SharedRows(NamedTuple):
    """What `Problem`s are made of, no array twice: what is sent to other processes.

    Attributes
    ----------
    training, validation : rows, by the name of how they are normalised.
    shown : so many training rows are evaluated after every epoch.
    further, class_weights : metrics that validation rows are evaluated by, see `Problem`.
    held_out : whether training rows that a training leaves out validate it, and no others.
    draws : of training rows, which stand there one after the other; 0: they are one set.
    """

    training: Mapping[str, MirrorRows]
    validation: Mapping[str, MirrorRows]
    shown: int
    loss: str
    classes: int
    further: tuple[str, ...] = ()
    class_weights: tuple[float, ...] | None = None
    held_out: bool = False
    draws: int = 0

    def problems(self) -> list[Problem]:
        """Return a problem for each normalisation and draw; nothing is copied."""
        draws = range(max(1, self.draws))
        return [self._problem(normalise, draw) for normalise in self.training for draw in draws]

    def _problem(self, normalise: str, draw: int) -> Problem:
        every, evaluation, final = self.training[normalise], {}, {}
        size = len(every.labels) // max(1, self.draws)
        rows = every.part(slice(draw * size, (draw + 1) * size))
        if not self.held_out:
            evaluation = {"train": rows.first(self.shown), "val": self.validation[normalise]}
            final = {"final": rows} if self.shown < len(rows.labels) else {}
        return Problem(
            rows=rows,
            evaluation=evaluation,
            final=final,
            held_out=self.held_out,
            loss=LOSSES[self.loss],
            classes=self.classes,
            further={"val": self.further},
            class_weights=None if self.class_weights is None else np.array(self.class_weights),
            normalise=normalise,
            draw=draw,
        )


def shared_rows(
    data: Prepared,
    loss: str,
    train_curve: str,
    further: tuple[str, ...] = (),
    class_weights: tuple[float, ...] | None = None,
) -> SharedRows:
    """Return what trains: the validation rows are turned into the mirror basis."""
    if train_curve not in TRAIN_CURVES:
        raise ValueError(f"train_curve must be one of {TRAIN_CURVES}, got {train_curve!r}")
    training: dict[str, MirrorRows] = {}
    validation: dict[str, MirrorRows] = {}
    for each in data.normalisations:
        if not isinstance(each.training, MirrorRows):
            raise TypeError("rows must be in the mirror basis: prepare(..., mirrored=True)")
        training[each.normalise] = each.training
        if isinstance(each.validation, Rows):
            validation[each.normalise] = MirrorRows.of(each.validation, data.image_shape)
    rows = data.size
    return SharedRows(
        training=training,
        validation=validation or training,
        shown=rows if train_curve == "all" else min(data.sample, rows),
        loss=loss,
        classes=len(data.class_names),
        further=further,
        class_weights=class_weights,
        held_out=data.folds is not None,
        draws=data.draws,
    )


def operations_an_epoch(problem: Problem) -> float:
    """4 n d k for training and 2 d k a row to evaluate, floating-point operations."""
    evaluated = sum(len(rows.labels) for rows in problem.evaluation.values())
    n, features = problem.rows.rows.shape
    evaluated += n if problem.held_out else 0
    return float(features * problem.classes * (4 * n + 2 * evaluated))

"""Doubles of what a study talks to, all in memory: its logic is tested in milliseconds."""

from __future__ import annotations

from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from math import log10
from typing import TYPE_CHECKING, Any

import numpy as np

from sweep.environment import environment
from sweep.search.lock import Interrupts
from sweep.search.record import Budget, Queued
from sweep.search.runner import Runner
from sweep.search.trials import Listener, Status, TrialRecord
from sweep.timings import Timings
from sweep_model.panels import LaneState
from sweep_model.training import EpochResult, Evaluation

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping

    from optuna.storages import RDBStorage
    from sqlalchemy import Connection

    from sweep.config import StudyConfig
    from sweep.data import Prepared
    from sweep.search.checkpoint import Progress
    from sweep_model.training import DivergedError, Training

SHAPE = (3, 4)
"""Classes and features of the rows that nobody trains on."""
Numbers = tuple[float, float]
"""Validation accuracy and validation loss after an epoch."""


class DiedError(BaseException):
    """The process died here; nobody catches it."""


class Fate:
    """Counts writes, and dies in place of write number `last`, from 0."""

    def __init__(self, last: int | None = None) -> None:
        self.writes, self.last = 0, last
        self.died = False

    def write(self) -> None:
        if self.writes == self.last:
            self.died = True
            raise DiedError
        self.writes += 1


@contextmanager
def dying(storage: RDBStorage, fate: Fate) -> Iterator[Fate]:
    """Count what is committed to a database; a process that dies lets go of the database."""
    from sqlalchemy import event

    changes = 0

    def commit(connection: Connection) -> None:
        nonlocal changes
        now = connection.connection.driver_connection.total_changes
        if now != changes:  # else it has only read
            fate.write()
        changes = now

    event.listen(storage.engine, "commit", commit)
    try:
        yield fate
    except DiedError:
        storage.remove_session()
        storage.engine.dispose()
    finally:
        event.remove(storage.engine, "commit", commit)


class MemoryRecord:
    """The record of a study; `queue` is what users queued, `foreign` how many trials are theirs."""

    def __init__(self, *, queue: Iterable[Mapping[str, Any]] = (), foreign: int = 0) -> None:
        self.fate = Fate()
        self._trials: dict[int, TrialRecord] = {}
        self._budgets: list[Budget] = []
        self._numbers = foreign
        self._queue: list[Queued] = []
        self.refused: dict[int, str] = {}
        for params in queue:
            self.enqueue(params)

    def enqueue(self, params: Mapping[str, Any]) -> None:
        """Queue a setting as a user does."""
        self._queue.append(Queued(self._new_number(), dict(params)))

    def add_foreign(self) -> None:
        """Let another program put a trial into the study."""
        self._new_number()

    def replace(self, trial: TrialRecord) -> None:
        """Change what is on record, as no run of the study does."""
        self._trials[trial.number] = trial

    def trials(self) -> list[TrialRecord]:
        return [deepcopy(self._trials[number]) for number in sorted(self._trials)]

    def queued(self) -> list[Queued]:
        return list(self._queue)

    def budgets(self) -> list[Budget]:
        return list(self._budgets)

    def add_budget(self, budget: Budget) -> None:
        self.fate.write()
        self._budgets.append(budget)

    def begin(self, trial: TrialRecord, queued: Queued | None) -> int:
        self.fate.write()
        if queued is not None:
            self._take(queued)
        number = self._new_number() if queued is None else queued.number
        self._trials[number] = deepcopy(replace(trial, number=number))
        return number

    def refuse(self, queued: Queued, reason: str) -> None:
        self.fate.write()
        self._take(queued)
        self.refused[queued.number] = reason

    def end(self, trial: TrialRecord) -> None:
        self.fate.write()
        assert self._trials[trial.number].status == Status.RUNNING
        self._trials[trial.number] = deepcopy(trial)

    def _take(self, queued: Queued) -> None:
        (waiting,) = (each for each in self._queue if each.number == queued.number)
        self._queue.remove(waiting)

    def _new_number(self) -> int:
        self._numbers += 1
        return self._numbers - 1


class MemoryCheckpoints:
    """The checkpoint of a study, due after every pass whose number `every` divides; None: never."""

    def __init__(self, every: int | None = 1) -> None:
        self.fate = Fate()
        self.every, self._asked = every, 0
        self.kept: dict[int, Progress] = {}

    def is_due(self) -> bool:
        self._asked += 1
        return self.every is not None and self._asked % self.every == 0

    def load(self) -> dict[int, Progress]:
        return deepcopy(self.kept)

    def save(self, trials: Mapping[int, Progress]) -> None:
        self.fate.write()
        self.kept = deepcopy(dict(trials))

    def forget(self) -> None:
        self.fate.write()
        self.kept = {}


def landscape(training: Training, epoch: int) -> Numbers:
    """What a training comes to: rising curves of different heights, that cross."""
    setting = training.hyperparameters
    steps = setting.rate(0) * 50 / setting.batch_size
    height = 0.4 - 0.05 * (log10(steps) + 2) ** 2 - 0.02 * (log10(setting.l2 + 1e-9) + 2) ** 2
    slowness = 1 + 9 * setting.flip_probability + setting.decay_period / 10
    accuracy = height * (1 - 0.5 ** (epoch / slowness))
    return accuracy, 2.3 - accuracy + setting.l2 / 10


class ScriptedEngine:
    """An engine that trains nothing: results come from a function of training and epoch.

    What a training carries is its number and epoch, so that it cannot go on from a wrong state.

    Attributes
    ----------
    trained : number and epoch of all that it was asked to train, in order.
    """

    def __init__(
        self, script: Callable[[Training, int], Numbers | DivergedError] = landscape
    ) -> None:
        self.script, self.next_pass = script, 0
        self.environment, self.lanes_agree = environment(), True
        self.running: dict[Hashable, Training] = {}
        self.trained: list[tuple[int, int]] = []

    def start(self, key: Hashable, training: Training) -> None:
        assert training.first_pass == self.next_pass
        assert key not in self.running
        self.running[key] = training

    def drop(self, key: Hashable) -> None:
        del self.running[key]

    def states(self, keys: Iterable[Hashable]) -> dict[Hashable, LaneState]:
        return {key: self._state(self.running[key]) for key in keys}

    def restore(self, states: Mapping[Hashable, tuple[Training, LaneState]]) -> None:
        for key, (training, state) in states.items():
            assert key not in self.running
            assert self._state(training).weights.tolist() == state.weights.tolist()
            assert self._state(training).bias.tolist() == state.bias.tolist()
            self.running[key] = training

    def run_pass(self) -> dict[Hashable, EpochResult | DivergedError]:
        self.next_pass += 1
        results: dict[Hashable, EpochResult | DivergedError] = {}
        for key, training in list(self.running.items()):
            epoch = self.next_pass - training.first_pass
            assert epoch <= training.epochs, "it has had its last epoch"
            self.trained.append((training.number, epoch))
            numbers = self.script(training, epoch)
            if isinstance(numbers, Exception):
                results[key] = numbers
                del self.running[key]
            else:
                results[key] = _result(training, epoch, *numbers)
        return results

    def _state(self, training: Training) -> LaneState:
        epoch = self.next_pass - training.first_pass
        bias = np.full(SHAPE[0], training.number, np.float32)
        return LaneState(np.full(SHAPE, epoch, np.float32), bias)


def _result(training: Training, epoch: int, accuracy: float, loss: float) -> EpochResult:
    evaluation = Evaluation(loss=loss, cost=loss + training.hyperparameters.l2, accuracy=accuracy)
    validation = replace(evaluation, further={"averaged_accuracy": accuracy, "averaged_loss": loss})
    rate = training.hyperparameters.rate(epoch - 1)
    return EpochResult(epoch, rate, {"train": evaluation, "val": validation})


class MemoryMirror:
    """Remembers what it was shown, in order and by number."""

    def __init__(self) -> None:
        self.fate = Fate()
        self.shown: list[TrialRecord] = []

    def update(self, trials: Iterable[TrialRecord]) -> None:
        for trial in trials:
            self.fate.write()
            self.shown.append(deepcopy(trial))

    @property
    def latest(self) -> dict[int, TrialRecord]:
        return {trial.number: trial for trial in self.shown}


class Watcher(Listener):
    """Keeps the warnings, and counts passes; `at` is done at the end of the pass of that number."""

    def __init__(self, at: Mapping[int, Callable[[], object]] | None = None) -> None:
        self.warnings: list[str] = []
        self.known: list[int] = []
        self.passes, self._at = 0, dict(at or {})

    def trial_known(self, trial: TrialRecord) -> None:
        self.known.append(trial.number)

    def pass_ended(self, training: int) -> None:
        del training
        self._at.get(self.passes, lambda: None)()
        self.passes += 1

    def warned(self, text: str) -> None:
        self.warnings.append(text)


def tiny_rows(config: StudyConfig) -> Prepared:
    """Return twelve training and three validation rows of 3 classes, without images."""
    from sweep.data import Dataset, Split, prepare

    labels = np.arange(15) % 3
    rows = np.random.default_rng(0).normal(size=(15, SHAPE[1])).astype(np.float32)
    dataset = Dataset(
        name=config.data.name,
        rows=rows,
        labels=labels,
        class_names=("ant", "bee", "cat"),
        image_shape=None,
    )
    return prepare(dataset, Split(train=np.arange(12), val=np.arange(12, 15)), mirrored=True)


@dataclass
class MemoryStudy:
    """A study in memory: what outlives a process, and how to run it in another one."""

    config: StudyConfig
    record: MemoryRecord = field(default_factory=MemoryRecord)
    checkpoints: MemoryCheckpoints = field(default_factory=MemoryCheckpoints)
    mirror: MemoryMirror = field(default_factory=MemoryMirror)
    script: Callable[[Training, int], Numbers | DivergedError] = landscape
    engine: ScriptedEngine = field(init=False)
    listener: Watcher = field(init=False)

    def run(
        self,
        trials: int,
        *,
        seconds: float | None = None,
        clock: Callable[[], float] = lambda: 0.0,
        at: Mapping[int, Callable[[], object]] | None = None,
        interrupts: Interrupts | None = None,
        fate: Fate | None = None,
    ) -> str:
        """Run the study in a process of its own; return why it stopped."""
        self.engine, self.listener = ScriptedEngine(self.script), Watcher(at)
        self.mirror.fate = Fate()
        self.mirror.update(t for t in self.record.trials() if t.status != Status.RUNNING)
        for part in (self.record, self.checkpoints, self.mirror):
            part.fate = fate or Fate()
        runner = Runner(
            self.config,
            tiny_rows(self.config),
            record=self.record,
            engine=self.engine,
            checkpoints=self.checkpoints,
            pending=None,
            mirror=self.mirror,
            listener=self.listener,
            timings=Timings(),
            clock=clock,
        )
        return runner.run(trials, interrupts or Interrupts(), seconds=seconds)

    @property
    def outcome(self) -> list[dict[str, Any]]:
        """What an interruption must not change, trial by trial."""
        return [outcome(trial) for trial in self.record.trials()]


def outcome(trial: TrialRecord) -> dict[str, Any]:
    """Return all of a trial on record but its times."""
    return {name: value for name, value in vars(trial).items() if name not in TIMES}


TIMES = ("times", "began", "ended")


class NoStore:
    """A tracker of a store that has no runs."""

    def runs(self, **_):
        return []

    def call(self, function, *args):
        return function(self, *args)

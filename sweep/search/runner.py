"""The loop over the passes, for a search and for a fixed list of trainings.

In a study the scheduler decides, the engine trains, and record and mirror are told.

Every start begins at pass 0. A trial's epoch comes from the record if the trial has ended there,
else from the checkpoint as far as that goes, else from the engine; an engine in which nothing
trains costs nothing, so what is known is replayed in milliseconds. Between two passes, in this
order:

1. the results are taken in, and the scheduler says which trials end;
2. each of them gets its files and then its end on record, and is handed to the mirror;
3. a checkpoint is written, if it is time, and the mirror is handed the running trials;
4. the scheduler says which trials begin, and each is begun on record and started.

Wherever a process dies, a trial that has no end on record is still running, and comes out the same.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Protocol, TypeVar

import numpy as np

from sweep.config import class_weights
from sweep.engine import TrainersLostError, open_engine
from sweep.errors import StoreUnreachableError, SweepError
from sweep.search.checkpoint import Progress
from sweep.search.halving import BASELINE
from sweep.search.lock import InterruptedStudyError
from sweep.search.record import Budget
from sweep.search.scheduler import Outcome, Scheduler
from sweep.search.training_log import TrainingLog, WeightImages
from sweep.search.trials import Listener, Status, TrialRecord, tally
from sweep.timings import Timings
from sweep_model.preprocessing import largest_eigenvalue
from sweep_model.training import Training

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
    from pathlib import Path
    from signal import Signals

    from sweep.config import StudyConfig
    from sweep.data import Prepared
    from sweep.engine import Engine, Results
    from sweep.search.checkpoint import Checkpoints
    from sweep.search.halving import Trial
    from sweep.search.lock import Interrupts
    from sweep.search.record import Queued, Record
    from sweep_model import Floats
    from sweep_model.classifier import LinearClassifier
    from sweep_model.training import EpochResult


Key = TypeVar("Key", bound="Hashable")
Returned = TypeVar("Returned")
FAILURES = 10
"""So many failed trials in a row are a mistake in the space: they end the study."""


def passes(
    engine: Engine,
    interrupts: Interrupts,
    *,
    begin: Callable[[], bool],
    stop: Callable[[Signals], NoReturn],
) -> Iterator[Results]:
    """Yield what each pass comes to: the only loop over epochs.

    Before each of them `begin` starts what is to train and says whether one is to be run, and
    `stop` ends all where a signal came.
    """
    while begin():
        if interrupts.received is not None:
            stop(interrupts.received)
        yield engine.run_pass()


def training_of(config: StudyConfig, trial: TrialRecord, data: Prepared) -> Training:
    """Return the training of a trial, which decides its bits."""
    return Training(
        hyperparameters=trial.hyperparameters,
        epochs=config.epochs,
        seed=config.training_seed,
        number=trial.number,
        first_pass=trial.first_pass,
        row_weights=row_weights(config.class_weight, data),
        normalise=config.normalise_of(trial.params),
    )


def row_weights(class_weight: str, data: Prepared) -> Floats | None:
    """Return how much each training row counts; None: all the same.

    Raises
    ------
    SweepError
        There are more or fewer weights than classes.

    """
    weights = class_weights(class_weight)
    if weights is None:
        return data.balanced_weights if class_weight == "balanced" else None
    names = data.class_names
    if len(weights) != len(names):
        raise SweepError(
            f"--class-weight {class_weight:.80}: {data.name} has {len(names)} classes, and "
            f"each needs a weight: got {len(weights)}; give them in the order of the classes, "
            "which `sweep data info` lists"
        )
    return np.array(weights)[data.training.labels[: data.size]]


def record_epoch(log: TrainingLog, result: EpochResult, engine: Engine, key: Hashable) -> None:
    """Record an epoch of a training, and its weights as an image where that is kept."""
    log.record(result)
    if log.wants_image(result.epoch):
        log.take_image(engine.states([key])[key], result.epoch)


def train_list(
    engine: Engine,
    logs: Mapping[Key, TrainingLog],
    interrupts: Interrupts,
    *,
    unfinished: str,
    last_epoch: int | None = None,
    on_pass: Callable[[Results], object] = lambda _: None,
) -> dict[Key, LinearClassifier | str]:
    """Run trainings that all begin with the next pass; return what each came to, by its key.

    That is its classifier or, where it diverged, in a phrase when. All end after `last_epoch`,
    if it is given. `unfinished` is the line where a signal ends them.
    """

    def stop(received: Signals) -> NoReturn:
        raise InterruptedStudyError(f"{unfinished} (stopped by {received.name})", received)

    for key, log in logs.items():
        engine.start(key, log.training)
    left = dict(logs)
    outcomes: dict[Key, LinearClassifier | str] = {}
    for results in passes(engine, interrupts, begin=lambda: bool(left), stop=stop):
        for key, log in list(left.items()):
            result = results[key]
            if isinstance(result, Exception):
                outcomes[key] = str(result)
            else:
                record_epoch(log, result, engine, key)
                if result.epoch not in (last_epoch, log.training.epochs):
                    continue
                outcomes[key] = log.classifier(engine.states([key])[key])
                engine.drop(key)
            del left[key]
        on_pass(results)
    return outcomes


def outlasting(
    train: Callable[[], Returned],
    interrupts: Interrupts,
    *,
    unfinished: str,
    warned: Callable[[str], None],
) -> Returned:
    """Return what `train` returns; do it anew where an engine has lost trainers.

    Raises
    ------
    InterruptedStudyError
        A signal had come; `unfinished` is its line.
    """
    while True:
        try:
            return train()
        except TrainersLostError as error:
            interrupts.raise_received(unfinished)
            warned(f"{error}; what is lost is trained again")


class Trained(NamedTuple):
    """What one training came to.

    Attributes
    ----------
    trial : as it ended, COMPLETE, PRUNED or FAILED.
    log : what was measured.
    classifier : None where it failed.
    lanes_agree : whether this machine gives the same bits in each lane.
    """

    trial: TrialRecord
    log: TrainingLog
    classifier: LinearClassifier | None
    lanes_agree: bool

    def write_files(self, folder: Path, *, title: str) -> TrialRecord:
        """Write the classifier and figures, if it has any; return the trial, which says how."""
        if self.classifier is None:
            return self.trial
        trouble = self.log.write_files(folder, self.classifier, title=title, figures=True)
        return replace(self.trial, trouble=trouble)


def train_alone(
    config: StudyConfig,
    trial: TrialRecord,
    log: TrainingLog,
    interrupts: Interrupts,
    *,
    unfinished: str,
    last_epoch: int | None = None,
    on_epoch: Callable[[int, dict[str, float]], None] = lambda *_: None,
    ray: str | None = None,
    warned: Callable[[str], None] = lambda _: None,
) -> Trained:
    """Train what `log` is of, alone in one panel, to its end or to `last_epoch`.

    `ray` is the address of a Ray cluster to train on; `warned` is told what goes wrong there.

    Raises
    ------
    InterruptedStudyError
        After Ctrl-C or SIGTERM; `unfinished` is its line.

    """

    def on_pass(results: Results) -> None:
        if not isinstance(results[0], Exception):
            on_epoch(log.epoch, {name: curve[-1] for name, curve in log.curves.items()})

    def train() -> LinearClassifier | str:
        log.clear()
        (outcome,) = train_list(
            engine,
            {0: log},
            interrupts,
            unfinished=unfinished,
            last_epoch=last_epoch,
            on_pass=on_pass,
        ).values()
        return outcome

    trial = replace(trial, began=int(time.time() * 1000))
    with open_engine(
        config,
        log.data,
        timings=Timings(),
        workers=1 if ray in (None, "local") else None,
        ray=ray,
        first_pass=log.training.first_pass,
        warned=warned,
        stopped=interrupts.came,
    ) as engine:
        outcome = outlasting(train, interrupts, unfinished=unfinished, warned=warned)
    where = engine.environment
    if isinstance(outcome, str):
        failed = log.ended(trial, Status.FAILED, reason=outcome, where=where)
        return Trained(failed, log, None, engine.lanes_agree)
    log.measure(outcome)
    status = Status.COMPLETE if log.epoch == log.training.epochs else Status.PRUNED
    ended = log.ended(trial, status, digest=outcome.digest, where=where)
    return Trained(ended, log, outcome, engine.lanes_agree)


class TrialMirror(Protocol):
    """Who is shown trials once they are safe: the mirror, or nobody."""

    def update(self, trials: Iterable[TrialRecord]) -> None:
        """Take in how trials stand."""


class _Live(NamedTuple):
    """A trial that trains, or is replayed from the checkpoint."""

    number: int
    log: TrainingLog


class Runner:
    """One run of a study.

    Parameters
    ----------
    config, data
        The study's.
    record
        Of the study, whose lock the caller holds.
    engine
        Empty, before its first pass.
    checkpoints
        The study's.
    pending
        Where files wait for MLflow; None where nobody wants them.
    mirror
        Is shown trials.
    listener
        Who watches.
    timings
        Where the time goes.
    clock
        Seconds, for the deadline.

    """

    def __init__(
        self,
        config: StudyConfig,
        data: Prepared,
        *,
        record: Record,
        engine: Engine,
        checkpoints: Checkpoints,
        pending: Path | None,
        mirror: TrialMirror,
        listener: Listener,
        timings: Timings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config, self.data, self.record, self.engine = config, data, record, engine
        self.checkpoints, self.pending, self.mirror = checkpoints, pending, mirror
        self.listener, self.timings, self._clock = listener, timings, clock
        self.scheduler = Scheduler(
            config,
            rows=data.size,
            classes=len(data.class_names),
            eigenvalues={
                each.normalise: largest_eigenvalue(each.training.rows[: each.sample])
                for each in data.normalisations
            },
        )
        self._ended: dict[int, TrialRecord] = {}
        self._begun: dict[int, TrialRecord] = {}
        for trial in record.trials():
            known = self._begun if trial.status == Status.RUNNING else self._ended
            known[trial.index] = trial
        self._progress = checkpoints.load()
        """By number what is not yet replayed to its end."""
        self._live: dict[int, _Live] = {}
        self._queue: list[Queued] | None = None
        self._claims: dict[int, Queued] = {}
        self._budgets = record.budgets()
        self._known = self._known_passes()
        self._deadline: float | None = None

    @property
    def begun_anew(self) -> list[int]:
        """The numbers of the running trials of which no checkpoint knows an epoch."""
        return [t.number for t in self._begun.values() if t.number not in self._progress]

    def run(
        self,
        trials: int,
        interrupts: Interrupts,
        *,
        seconds: float | None = None,
        since: float | None = None,
    ) -> str:
        """Train until so many trials are finished; say in a phrase why the study stopped.

        The seconds after which no trial begins count from `since`, by the clock; None: from now.

        Raises
        ------
        InterruptedStudyError
            After Ctrl-C or SIGTERM, at the end of a pass; the same command goes on from there.
        SweepError
            Every trial fails, or the study cannot go on as it was.
        StoreUnreachableError
            The record cannot be written; what it has is kept.

        """
        began = self._clock() if since is None else since
        self._deadline = None if seconds is None else began + seconds
        for trial in self._ended.values():
            self.listener.trial_known(trial)
        self._allow(trials, from_pass=self._known)
        for results in passes(self.engine, interrupts, begin=self._begin_pass, stop=self._stop):
            self._end_pass(results)
        self.checkpoints.forget()
        if self.scheduler.finished >= trials:
            if self.scheduler.finished == trials:
                return f"{trials} of {trials} trials finished"
            return f"{self.scheduler.finished} trials finished, {trials} asked for"
        if self.scheduler.exhausted:
            return "the grid has no point left"
        return f"the time of {seconds:g} s is up"

    # Budgets

    def _known_passes(self) -> int:
        """The first pass of which neither record nor checkpoint knows anything."""
        budgets = [budget.first_pass for budget in self._budgets]
        ended = [  # a pass in which a trial fails leaves no point
            trial.first_pass + trial.epochs + (trial.status == Status.FAILED)
            for trial in self._ended.values()
        ]
        begun = [
            trial.first_pass + len(self._progress[trial.number].times)
            if trial.number in self._progress
            else trial.first_pass + 1
            for trial in self._begun.values()
        ]
        return max(budgets + ended + begun, default=0)

    def _budget(self, at_pass: int) -> int:
        return next((b.trials for b in reversed(self._budgets) if b.first_pass <= at_pass), 0)

    def _budget_changes_later(self) -> bool:
        return any(budget.first_pass > self.scheduler.next_pass for budget in self._budgets)

    def _allow(self, trials: int, *, from_pass: int) -> None:
        """Change the budget from a pass on: on record first, so that a restart decides the same."""
        if self._budgets and self._budget(from_pass) == trials:
            return
        budget = Budget(from_pass, trials)
        self.record.add_budget(budget)
        self._budgets.append(budget)

    # Beginning

    def _begin_pass(self) -> bool:
        """Let trials begin with the next pass; return whether one is to be run."""
        if self._deadline is not None and self._clock() >= self._deadline:
            self._allow(0, from_pass=max(self._known, self.scheduler.next_pass))
        self._begin_trials()
        return bool(self.scheduler.running) or self._budget_changes_later()

    def _begin_trials(self) -> None:
        with self.timings.part("sampling"):
            self._queue = None
            budget = self._budget(self.scheduler.next_pass)
            begun = list(self.scheduler.begin(budget, self._given))
        with self.timings.part("record"):
            for trial in begun:
                self._begin(trial)
        self._take_up()

    def _given(self, index: int) -> Mapping[str, Any] | None:
        """The setting of a trial that is on record, or that somebody queued."""
        known = self._ended.get(index) or self._begun.get(index)
        if known is not None:
            return known.params
        queued = None if index == BASELINE else self._next_queued()
        if queued is None:
            return None
        self._claims[index] = queued
        return queued.params

    def _next_queued(self) -> Queued | None:
        if self._queue is None:
            self._queue = self.record.queued()
        while self._queue:
            queued = self._queue.pop(0)
            try:
                return queued._replace(params=self.config.space.check(queued.params))
            except SweepError as error:
                self.record.refuse(queued, str(error))
                self.listener.warned(f"the queued trial {queued.number} is not tried: {error}")
        return None

    def _begin(self, trial: Trial) -> None:
        known = self._ended.get(trial.index) or self._begun.get(trial.index)
        if known is None:
            queued = self._claims.pop(trial.index, None)
            begun = TrialRecord(
                number=-1 if queued is None else queued.number,
                index=trial.index,
                params=trial.params,
                first_pass=trial.first_pass,
                began=int(time.time() * 1000),
            )
            known = replace(begun, number=self.record.begin(begun, queued))
            self._begun[trial.index] = known
        elif known.first_pass != trial.first_pass:
            self._refuse(
                known,
                f"it began in pass {known.first_pass}, and would now in pass {trial.first_pass}",
            )
        if known.status != Status.RUNNING:
            return
        training = training_of(self.config, known, self.data)
        log = TrainingLog.begun(training, self.data, self.config.loss)
        if known.number not in self._progress:
            self.engine.start(known.number, training)
        self._live[trial.index] = _Live(known.number, log)
        self.listener.trial_began(known.number)

    # Passes

    def _end_pass(self, results: Results) -> None:
        running = {trial.index: trial for trial in self.scheduler.running}
        outcomes = {index: self._outcome(trial, results) for index, trial in running.items()}
        ended = self.scheduler.take(outcomes)
        for trial in ended:
            self._end(trial)
        if any(trial.status == Status.FAILED for trial in ended):
            self._refuse_failures()
        if self._live and self.checkpoints.is_due():
            self._save()
        self.listener.pass_ended(len(self._live))

    def _outcome(self, trial: Trial, results: Results) -> Outcome | str:
        """What an epoch of a trial came to: from the record, the checkpoint or the engine."""
        ended, epoch = self._ended.get(trial.index), trial.epoch
        if ended is not None:
            if epoch < ended.epochs:
                return self._from_curves(ended.curves, epoch)
            if ended.status == Status.FAILED:
                return ended.reason
            self._refuse(ended, f"it ended after epoch {epoch}, and would now go on")
        live = self._live[trial.index]
        if live.number in self._progress:
            return self._from_curves(self._progress[live.number].curves, epoch)
        result = results[live.number]
        if isinstance(result, Exception):
            return str(result)
        with self.timings.part("figures"):
            record_epoch(live.log, result, self.engine, live.number)
        self.listener.epoch_ended(
            live.number, result.epoch, live.log.curves[self.config.metric][epoch]
        )
        return self._from_curves(live.log.curves, epoch)

    def _from_curves(self, curves: Mapping[str, list[float]], epoch: int) -> Outcome:
        is_last = epoch + 1 == self.config.epochs
        signal = self.config.metric if is_last else self.config.signal
        return Outcome(curves[signal][epoch], curves["val/loss"][epoch])

    def _take_up(self) -> None:
        """Let trials train of which the checkpoint knows no more."""
        for trial in self.scheduler.running:
            live = self._live.get(trial.index)
            progress = None if live is None else self._progress.get(live.number)
            if live is None or progress is None or trial.epoch < len(progress.times):
                continue
            log = live.log
            log.curves, log.times = progress.curves, progress.times
            if progress.images and log.images is not None:
                shape = log.images.image_shape
                log.images = WeightImages.restored(self.data.class_names, shape, progress.images)
            self.engine.restore({live.number: (log.training, progress.state)})
            del self._progress[live.number]

    # Ends

    def _end(self, trial: Trial) -> None:
        known = self._ended.get(trial.index)
        if known is not None:
            if (known.status, known.epochs) != (trial.status, trial.epoch):
                self._refuse(
                    known,
                    f"it was {known.status} after epoch {known.epochs}, and would "
                    f"now be {trial.status} after epoch {trial.epoch}",
                )
            return
        live = self._live.pop(trial.index)
        if live.number in self._progress:
            self._refuse(
                self._begun[trial.index], "its checkpoint goes on after the pass that ends it"
            )
        ended = self._write_end(trial, live)
        with self.timings.part("record"):
            self.record.end(ended)
        self._begun.pop(trial.index)
        self._ended[trial.index] = ended
        self.mirror.update([ended])
        self.listener.trial_ended(ended)

    def _write_end(self, trial: Trial, live: _Live) -> TrialRecord:
        """Write the trial's files; return its end."""
        digest = None
        if trial.status != Status.FAILED:
            state = self.engine.states([live.number])[live.number]
            self.engine.drop(live.number)
            with self.timings.part("record"):
                classifier = live.log.classifier(state)
                digest = classifier.digest
                live.log.measure(classifier)
                if self.pending is not None:
                    complete = trial.status == Status.COMPLETE
                    self._write_files(self.pending, live, classifier, figures=complete)
        return live.log.ended(
            self._begun[trial.index],
            trial.status,
            reason=trial.reason,
            digest=digest,
            where=self.engine.environment,
        )

    def _write_files(
        self, pending: Path, live: _Live, classifier: LinearClassifier, *, figures: bool
    ) -> None:
        folder = pending / f"trial-{live.number:03d}"
        title = f"{self.config.study} · trial {live.number:03d}"
        try:
            live.log.write_files(folder, classifier, title=title, figures=figures, draw=False)
        except OSError as error:
            from sweep.io import with_room

            raise StoreUnreachableError(
                f"{folder}: cannot be written: {with_room(str(error.strerror), folder)}; "
                "make room or mend the permissions, then run the same command again"
            ) from error

    def _refuse_failures(self) -> None:
        """Raise where so many trials in a row failed; they are in a row by index, not by time."""
        row = 0
        for trial in self.scheduler.trials:
            row = row + 1 if trial.status == Status.FAILED else 0
            if row == FAILURES:
                raise SweepError(
                    f"study {self.config.study!r}: {FAILURES} trials in a row failed, the last: "
                    f"{trial.reason}; narrow the space, e.g. --set learning_rate=1e-4:1e-2:log, "
                    "and name a new study"
                )

    # Interruptions

    def _save(self) -> None:
        """Write a checkpoint of what trains, and show it to the mirror."""
        if any(trial.number in self._progress for trial in self._begun.values()):
            return  # the last one knows more than has been replayed
        with self.timings.part("checkpoints"):
            states = self.engine.states(live.number for live in self._live.values())
            self.checkpoints.save(
                {
                    live.number: Progress(
                        state=states[live.number],
                        curves=live.log.curves,
                        times=live.log.times,
                        images={} if live.log.images is None else live.log.images.state(),
                    )
                    for live in self._live.values()
                }
            )
        self.mirror.update(self.running())

    def running(self) -> list[TrialRecord]:
        """Return the trials that train, as far as they have come."""
        return [
            replace(
                self._begun[index],
                curves={name: list(values) for name, values in live.log.curves.items()},
                times=list(live.log.times),
            )
            for index, live in self._live.items()
            if live.number not in self._progress
        ]

    def _stop(self, received: Signals) -> NoReturn:
        """Leave what trains; the next run of the study goes on with it."""
        self._save()
        counts = tally([*self._ended.values(), *self._begun.values()])
        raise InterruptedStudyError(
            f"study {self.config.study!r} stopped by {received.name}: {counts}; "
            f"`sweep run {self.config.study}` goes on from here",
            received,
        )

    def _refuse(self, trial: TrialRecord, why: str) -> NoReturn:
        raise SweepError(
            f"study {self.config.study!r}: trial {trial.number} cannot be replayed: {why}; was it "
            "begun by another version of sweep? Use that one, or name a new study"
        )

"""One training outside any search, with a run of its own in MLflow."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import uuid4

from sweep.curves import best_epoch
from sweep.disks import scratch_folder
from sweep.engine import LocalEngine, train_all
from sweep.errors import SweepError
from sweep.search.interrupts import Interrupts
from sweep.search.training_log import LEARNING_RATE, TrainingLog, parameters
from sweep.search.trials import Status
from sweep.timings import Timings
from sweep.tracking.mirror import Mirror, RunState
from sweep.tracking.provenance import inputs, provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from sweep.config import DataConfig
    from sweep.data import Prepared
    from sweep.engine import Results
    from sweep.tracking.tracker import Tracker
    from sweep_model.classifier import LinearClassifier
    from sweep_model.training import Training

SEND_SECONDS = 3.0
"""A run is brought up to date so often while it trains."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One training that is to be run.

    Attributes
    ----------
    epochs
        After which it is stopped; None for its own last.
    lanes, train_curve
        Of the study, or what a study would have.
    name, tags, note
        Of its run.

    """

    training: Training
    data: Prepared
    data_config: DataConfig
    loss: str
    lanes: int
    train_curve: str
    epochs: int | None = None
    name: str
    tags: Mapping[str, object]
    note: str = ""


@dataclass(frozen=True)
class OneTraining:
    """What it came to; the classifier is None where it failed.

    Attributes
    ----------
    state
        Of its run, which is still open.
    lanes_agree
        Whether this machine gives the same bits in each lane.

    """

    log: TrainingLog
    status: Status
    reason: str
    classifier: LinearClassifier | None
    state: RunState
    mirror: Mirror
    lanes_agree: bool

    def close(self, status: str, *, title: str, **tags: object) -> str:
        """Draw the figures, and end the run with all of its files and more tags; return its id."""
        closing = replace(
            self.state,
            tags={**self.state.tags, **tags},
            status=status,
            ended=int(time.time() * 1000),
            complete=True,
        )
        if self.classifier is None:
            return self.mirror.update(closing)
        with scratch_folder() as folder:
            files = folder / "files"
            trouble = self.log.write_files(files, self.classifier, title=title, figures=True)
            tags = {**closing.tags, **({"artifact_error": trouble} if trouble else {})}
            return self.mirror.update(replace(closing, files=files, tags=tags))


def run_one(
    asked: Asked,
    tracker: Tracker,
    *,
    unfinished: str,
    on_epoch: Callable[[int, dict[str, float]], None] = lambda *_: None,
) -> OneTraining:
    """Train and keep the run up to date; it is left open, but where an exception ends it as FAILED.

    `unfinished` opens the line that an interruption is reported with. The caller listens for
    signals, too, so that none takes away what has trained to its end.

    Raises
    ------
    InterruptedStudyError
        After Ctrl-C or SIGTERM; the run says so.

    """
    training, mirror = asked.training, Mirror(tracker)
    log = TrainingLog.begun(training, asked.data, asked.loss)
    began = int(time.time() * 1000)
    key, failures = uuid4().hex, []
    engine = LocalEngine(
        asked.data,
        loss=asked.loss,
        lanes=asked.lanes,
        train_curve=asked.train_curve,
        workers=1,
        timings=Timings(),
        first_pass=training.first_pass,
    )
    sent, last = time.monotonic(), asked.epochs or training.epochs

    def state() -> RunState:
        return _state(asked, log, key, began)

    def on_pass(results: Results) -> bool:
        nonlocal sent
        result = results[key]
        if isinstance(result, Exception):
            failures.append(str(result))
            return False
        log.record(result)
        if log.wants_image(result.epoch):
            log.take_image(engine.states([key])[key], result.epoch)
        on_epoch(result.epoch, {name: curve[-1] for name, curve in log.curves.items()})
        if time.monotonic() - sent >= SEND_SECONDS:
            mirror.update(state())
            sent = time.monotonic()
        if result.epoch == last:
            return True
        if interrupts.received is not None:
            interrupts.raise_received(f"{unfinished}: stopped by {interrupts.received.name}")
        return False

    trainings: dict[Hashable, Training] = {key: training}
    classifier = None
    try:
        mirror.update(state())
        with Interrupts().listening() as interrupts, engine:
            left = train_all(engine, trainings, on_pass)
        if not failures:
            classifier = log.classifier(left[key])
            log.measure(classifier)
    except BaseException as error:
        with suppress(SweepError):
            ended = int(time.time() * 1000)
            tags = {**asked.tags, "reason": f"{type(error).__name__}: {error}"}
            mirror.update(replace(state(), status="FAILED", ended=ended, tags=tags))
        raise
    status = Status.FAILED if failures else Status.COMPLETE
    reason = failures[0] if failures else ""
    digest = "" if classifier is None else classifier.digest
    closing = state()
    tags = {**closing.tags, "status": status, "reason": reason, "weights_digest": digest}
    closing = replace(closing, tags=tags)
    return OneTraining(log, status, reason, classifier, closing, mirror, engine.lanes_agree)


def _state(asked: Asked, log: TrainingLog, key: str, began: int) -> RunState:
    training = log.training
    setting = training.hyperparameters
    given = parameters(setting, loss=asked.loss, epochs=training.epochs, seed=training.seed)
    metrics = dict(log.metrics)
    if log.epoch:
        epoch, accuracy = best_epoch(log.curves)
        metrics |= {"best/val_accuracy": accuracy, "best/epoch": epoch}
    return RunState(
        key=key,
        name=asked.name,
        parameters=given | {"first_pass": training.first_pass, "lanes": asked.lanes},
        curves={**log.curves, LEARNING_RATE: [setting.rate(e) for e in range(log.epoch)]},
        times=log.times,
        metrics=metrics,
        tags={**asked.tags, **provenance(asked.data_config)},
        note=asked.note,
        inputs=inputs(asked.data_config, asked.data),
        began=began,
    )

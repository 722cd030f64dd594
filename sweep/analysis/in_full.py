"""A pruned trial that a confirmation has selected, trained from its own first pass to its end."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from sweep.engine import LocalEngine, train_all
from sweep.environment import environment
from sweep.errors import SweepError
from sweep.search.record import IN_FULL
from sweep.search.study_run import pending_files, trial_key, trial_state
from sweep.search.training_log import TrainingLog
from sweep.search.trials import Status, TrialRecord
from sweep_model.hyperparameters import Hyperparameters
from sweep_model.training import Training

if TYPE_CHECKING:
    from pathlib import Path

    from sweep.data import Prepared
    from sweep.engine import Results
    from sweep.search.interrupts import Interrupts
    from sweep.search.record import StudyRecord
    from sweep.timings import Timings
    from sweep.tracking.mirror import RunState

SUFFIX = "-in-full"


def in_full(study: StudyRecord, trial: TrialRecord) -> TrialRecord:
    """Return the trial as it stands after all epochs, if that is on record; else as it ended."""
    plain = study.attribute(IN_FULL, {}).get(str(trial.number))
    return trial if plain is None else TrialRecord(**{**plain, "status": Status(plain["status"])})


def train_in_full(
    study: StudyRecord, trial: TrialRecord, data: Prepared, timings: Timings, interrupts: Interrupts
) -> None:
    """Train a pruned trial to its end, unless that is on record: its first epochs are the same.

    Its files wait for MLflow, see `in_full_state`; the caller has the study's lock.

    Raises
    ------
    SweepError
        It diverged after the epoch at which it was pruned.

    """
    if in_full(study, trial).status == Status.COMPLETE:
        return
    config, key = study.config, trial.number
    training = Training(
        hyperparameters=Hyperparameters(**trial.params),
        epochs=config.epochs,
        seed=config.training_seed,
        number=trial.number,
        first_pass=trial.first_pass,
    )
    log, began = TrainingLog.begun(training, data, config.loss), int(time.time() * 1000)
    engine = LocalEngine(
        data,
        loss=config.loss,
        lanes=config.lanes,
        train_curve=config.train_curve,
        workers=1,
        timings=timings,
        first_pass=trial.first_pass,
    )

    def on_pass(results: Results) -> bool:
        result = results[key]
        if isinstance(result, Exception):
            raise SweepError(
                f"trial {trial.number} of {study.name!r}, pruned at epoch {trial.epochs}, has no "
                f"weights of all epochs: {result}; confirm with another --top"
            )
        log.record(result)
        if log.wants_image(result.epoch):
            log.take_image(engine.states([key])[key], result.epoch)
        interrupts.raise_received(
            f"trial {trial.number} was not trained to its end; the same command does that;"
        )
        return False

    with engine:
        classifier = log.classifier(train_all(engine, {key: training}, on_pass)[key])
    log.measure(classifier)
    title = f"{study.name} · trial {trial.number:03d} in full"
    folder = in_full_files(study, trial.number)
    trouble = log.write_files(folder, classifier, title=title, figures=True)
    complete = replace(
        trial,
        status=Status.COMPLETE,
        reason="",
        curves=log.curves,
        times=log.times,
        metrics=log.metrics,
        weights_digest=classifier.digest,
        environment=environment(),
        trouble=trouble,
        began=began,
        ended=int(time.time() * 1000),
    )
    known = study.attribute(IN_FULL, {})
    study.set_attribute(IN_FULL, {**known, str(trial.number): vars(complete)})


def run_key(study: StudyRecord, trial: TrialRecord) -> str:
    """Return the key of the run that has the weights of a selected trial."""
    key = trial_key(study, trial.number)
    return f"{key}{SUFFIX}" if str(trial.number) in study.attribute(IN_FULL, {}) else key


def in_full_state(study: StudyRecord, trial: TrialRecord, data: Prepared | None) -> RunState:
    """Return what MLflow is to know of a trial that was trained in full after the search."""
    state = trial_state(study, in_full(study, trial), data)
    return replace(
        state,
        key=run_key(study, trial),
        name=f"{state.name}{SUFFIX}",
        tags={**state.tags, "role": "in-full"},
        files=in_full_files(study, trial.number),
    )


def in_full_states(study: StudyRecord, data: Prepared | None) -> list[RunState]:
    """Return the states of all trials of a study that were trained in full after the search."""
    known: dict[str, object] = study.attribute(IN_FULL, {})
    return [in_full_state(study, study.trial(int(number)), data) for number in known]


def in_full_files(study: StudyRecord, number: int) -> Path:
    """Return where the files of such a trial wait for MLflow."""
    folder = pending_files(study, number)
    return folder.with_name(f"{folder.name}{SUFFIX}")

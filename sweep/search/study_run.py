"""The runs of a study as MLflow shows them: the parent run, and one below it for each trial."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from sweep.curves import best_epoch
from sweep.search.study_note import study_note
from sweep.search.training_log import LEARNING_RATE, parameters
from sweep.search.trial_note import trial_note
from sweep.search.trials import Status, TrialRecord, rank
from sweep.tracking.mirror import RunState
from sweep.tracking.provenance import inputs, provenance
from sweep_model.hyperparameters import Hyperparameters

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from sweep.data import Prepared
    from sweep.search.record import StudyRecord
    from sweep.tracking.mirror import BackgroundMirror


STUDY_SECONDS = 2.0
"""The study's own run is brought up to date so often."""


def study_key(study: StudyRecord) -> str:
    """Return the key of a study's own run."""
    return study.identity


def trial_key(study: StudyRecord, number: int) -> str:
    """Return the key of a trial's run."""
    return f"{study.identity}/trial-{number:03d}"


def trial_state(study: StudyRecord, trial: TrialRecord, data: Prepared | None) -> RunState:
    """Return what MLflow is to know of a trial; without the rows, all but its inputs."""
    config = study.config
    setting = Hyperparameters(**trial.params)
    given = parameters(setting, loss=config.loss, epochs=config.epochs, seed=config.training_seed)
    tags: dict[str, object] = {
        "role": "trial",
        **study.tags,
        "trial": trial.number,
        "status": trial.status,
        "reason": trial.reason,
        "weights_digest": trial.weights_digest or "",
        "artifact_error": trial.trouble,
        **provenance(config.data, trial.environment or None),
    }
    ended = trial.status != Status.RUNNING
    metrics = dict(trial.metrics)
    if ended and trial.epochs:
        epoch, accuracy = best_epoch(trial.curves)
        metrics |= {"best/val_accuracy": accuracy, "best/epoch": epoch}
    if trial.status == Status.COMPLETE:  # by which the dashboard puts the best first
        metrics |= {f"final/val_{name}": trial.last(f"val/{name}") for name in ("accuracy", "loss")}
    rates = [setting.rate(epoch) for epoch in range(trial.epochs)]
    return RunState(
        key=trial_key(study, trial.number),
        name=f"trial-{trial.number:03d}",
        parent=study_key(study),
        parameters=given | {"first_pass": trial.first_pass, "lanes": config.lanes},
        curves={**trial.curves, LEARNING_RATE: rates},
        times=trial.times,
        metrics=metrics,
        tags={name: value for name, value in tags.items() if value != ""},
        note=trial_note(config, trial),
        inputs=[] if data is None else inputs(config.data, data),
        files=pending_files(study, trial.number) if ended else None,
        status=trial.status.mlflow,
        began=trial.began,
        ended=trial.ended,
        complete=ended,
    )


def pending_files(study: StudyRecord, number: int) -> Path:
    """Return where a trial's files wait for MLflow."""
    return study.workspace.pending(study.name) / f"trial-{number:03d}"


def study_state(
    study: StudyRecord,
    trials: Sequence[TrialRecord],
    data: Prepared | None,
    *,
    note: str,
    status: str = "RUNNING",
    files: Path | None = None,
) -> RunState:
    """Return what MLflow is to know of the study's own run.

    The best so far is logged against the number of finished trials: the optimisation history.
    """
    config = study.config
    finished = sorted(
        (trial for trial in trials if trial.status in (Status.COMPLETE, Status.PRUNED)),
        key=lambda trial: (trial.first_pass + trial.epochs, trial.index),  # as they end
    )
    order, best = rank(config), None
    history: dict[str, list[float | None]] = {"best/val_accuracy": [], "best/val_loss": []}
    for trial in finished:
        if trial.status == Status.COMPLETE:
            best = trial if best is None else min(best, trial, key=order)
        for metric in ("accuracy", "loss"):
            value = None if best is None else best.last(f"val/{metric}")
            history[f"best/val_{metric}"].append(value)
    names = ("loss", "epochs", "seed", "sampler", "pruner", "objective", "train_curve")
    return RunState(
        key=study_key(study),
        name=study.name,
        parameters={
            **{name: getattr(config, name) for name in names},
            "val_size": config.data.val_size,
            "split_seed": config.data.split_seed,
            "slots": config.slots,
            "lanes": config.lanes,
            **{f"sampler.{name}": value for name, value in config.sampler_arguments.items()},
            **{f"space.{name}": str(axis) for name, axis in config.space.axes.items()},
        },
        curves=history,
        times=[trial.ended or 0 for trial in finished],
        tags={"role": "study", **study.tags, **provenance(config.data)},
        note=note,
        inputs=[] if data is None else inputs(config.data, data),
        status=status,
        files=files,
        began=min((trial.began for trial in trials), default=int(time.time() * 1000)),
        ended=None if status == "RUNNING" else int(time.time() * 1000),
    )


class StudyMirror:
    """Hands the trials of one study to the mirror, with the study's own run.

    Parameters
    ----------
    study
        The study.
    data
        Its rows.
    background
        The mirror.

    """

    def __init__(self, study: StudyRecord, data: Prepared, background: BackgroundMirror) -> None:
        self.study, self.data, self._background = study, data, background
        self._trials = {trial.number: trial for trial in study.trials()}
        self._note = study_note(study, list(self._trials.values()))
        self._ended, self._due = False, 0.0

    def begin(self, complete: Iterable[str]) -> None:
        """Hand over what the store lacks, all but the runs with the `complete` keys."""
        known, missing = set(complete), []
        for trial in self._trials.values():
            if trial_key(self.study, trial.number) in known:  # it has the files, too
                shutil.rmtree(pending_files(self.study, trial.number), ignore_errors=True)
            elif trial.status != Status.RUNNING:
                missing.append(trial)
        self._background.update([self._study_state()])
        self._background.update(trial_state(self.study, trial, self.data) for trial in missing)

    def update(self, trials: Iterable[TrialRecord]) -> None:
        """Take in how trials stand."""
        states = []
        for trial in trials:
            self._trials[trial.number] = trial
            self._ended |= trial.status != Status.RUNNING
            states.append(trial_state(self.study, trial, self.data))
        if self._ended and time.monotonic() >= self._due:  # its state goes through all trials
            self._ended = False
            states.append(self._study_state())
            self._due = time.monotonic() + STUDY_SECONDS
        self._background.update(states)

    def stop(self, running: Iterable[TrialRecord], status: str) -> None:
        """Mark what goes on only with the next run of the study as KILLED, and the study's run."""
        now = int(time.time() * 1000)
        states = [trial_state(self.study, trial, self.data) for trial in running]
        self._background.update(replace(state, status="KILLED", ended=now) for state in states)
        self._background.update([replace(self._study_state(), status=status, ended=now)])

    def _study_state(self) -> RunState:
        return study_state(self.study, list(self._trials.values()), self.data, note=self._note)

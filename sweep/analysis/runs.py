"""The runs of a study as MLflow shows them: the parent run, and one below it for each trial."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from sweep.curves import best_epoch
from sweep.errors import StoreUnreachableError
from sweep.io import with_room, write_whole
from sweep.search import (
    IN_FULL,
    LEARNING_RATE,
    REFITS,
    Status,
    TrialRecord,
    draw_files,
    parameters,
    rank,
    remove_files,
    study_note,
    trial_note,
)
from sweep.tracking import RunState, inputs, provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from sweep.config import StudyConfig
    from sweep.data import Prepared
    from sweep.search import StudyRecord
    from sweep.tracking import AnyMirror, BackgroundMirror, Mirror


SUFFIX, REFIT_SUFFIX = "-in-full", "-refit"
KEPT = "run.json"
"""Beside the files of a run that stands in no record."""
STUDY_SECONDS = 2.0
"""The study's own run is brought up to date so often."""


def trial_key(study: StudyRecord, number: int) -> str:
    """Return the key of a trial's run."""
    return f"{study.identity}/trial-{number:03d}"


def trial_state(study: StudyRecord, trial: TrialRecord, data: Prepared | None) -> RunState:
    """Return what MLflow is to know of a trial; without the rows, all but its inputs."""
    ended = trial.status != Status.RUNNING
    return replace(
        training_state(
            study.config,
            trial,
            data,
            key=trial_key(study, trial.number),
            name=f"trial-{trial.number:03d}",
            tags={"role": "trial", **study.tags, "trial": trial.number},
            note=trial_note(study.config, trial),
        ),
        parent=study.identity,
        files=pending_files(study, trial.number) if ended else None,
    )


def training_state(
    config: StudyConfig,
    trial: TrialRecord,
    data: Prepared | None,
    *,
    key: str,
    name: str,
    tags: Mapping[str, object],
    note: str = "",
    seed: int | None = None,
) -> RunState:
    """Return what MLflow is to know of a training, whose seed is the config's unless given."""
    setting, seed = trial.hyperparameters, config.training_seed if seed is None else seed
    given = parameters(setting, loss=config.loss, epochs=config.epochs, seed=seed)
    given |= {name: value for name, value in trial.params.items() if name not in given}
    tags = {
        **tags,
        "status": trial.status,
        "reason": trial.reason,
        "weights_digest": trial.weights_digest or "",
        "artifact_error": trial.trouble,
        **provenance(config.data, trial.environment or None),
    }
    ended = trial.status != Status.RUNNING
    metrics = dict(trial.metrics)
    if ended and trial.curves.get("val/accuracy"):
        epoch, accuracy = best_epoch(trial.curves)
        metrics |= {"best/val_accuracy": accuracy, "best/epoch": epoch}
    if trial.status == Status.COMPLETE:  # by which the dashboard puts the best first
        metrics |= {
            f"final/{_flat(metric)}": trial.last(metric)
            for metric in ("val/accuracy", "val/loss", config.metric)
            if metric in trial.curves
        }
    rates = [setting.rate(epoch) for epoch in range(trial.epochs)]
    return RunState(
        key=key,
        name=name,
        parameters=given | {"first_pass": trial.first_pass, "lanes": config.lanes},
        curves={**trial.curves, LEARNING_RATE: rates},
        times=trial.times,
        metrics=metrics,
        tags={name: value for name, value in tags.items() if value != ""},
        note=note,
        inputs=[] if data is None else inputs(config.data, data),
        status=trial.status.mlflow,
        began=trial.began,
        ended=trial.ended,
        final=ended,
    )


def _flat(metric: str) -> str:
    return metric.replace("/", "_")


def draw_there(_: object, files: Path) -> str:
    """Draw what waits to be drawn of a run's files; return what went wrong.

    Raises
    ------
    StoreUnreachableError
        The disk is full; what waits, waits on.

    """
    try:
        return draw_files(files)
    except OSError as error:
        raise StoreUnreachableError(
            f"{files}: cannot be written: {with_room(str(error.strerror), files)}"
        ) from error


def draw_pending(
    state: RunState, mirror: AnyMirror, warned: Callable[[str], None] = lambda _: None
) -> RunState:
    """Draw what waits of a run, in the mirror's process; return its state, tagged where that fails.

    Raises
    ------
    StoreUnreachableError
        The disk is full; what waits, waits on.

    """
    if state.files is None or not state.final:
        return state
    trouble = mirror.call(draw_there, state.files.absolute())
    if not trouble:
        return state
    warned(f"{state.name}: not all of its files: {trouble}")
    return replace(state, tags={**state.tags, "artifact_error": trouble})


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
    metrics = dict.fromkeys(("val/accuracy", "val/loss", config.metric))
    history: dict[str, list[float | None]] = {f"best/{_flat(metric)}": [] for metric in metrics}
    for trial in finished:
        if trial.status == Status.COMPLETE:
            best = trial if best is None else min(best, trial, key=order)
        for metric in metrics:
            value = None if best is None else best.last(metric)
            history[f"best/{_flat(metric)}"].append(value)
    names = (
        *("loss", "epochs", "seed", "sampler", "pruner"),
        *("objective", "train_curve"),
    )
    return RunState(
        key=study.identity,
        name=study.name,
        parameters={
            **{name: getattr(config, name) for name in names},
            "class_weight": config.class_weight[:500],  # MLflow takes 6,000 characters
            "val_size": config.data.val_size,
            "split_seed": config.data.split_seed,
            **{
                name: value
                for name in ("folds", "few_shot", "draws")
                if (value := getattr(config.data, name))
            },
            "normalise": config.data.normalise,
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


def in_full(study: StudyRecord, trial: TrialRecord) -> TrialRecord:
    """Return the trial as it stands after all epochs, if that is on record; else as it ended."""
    plain = study.attribute(IN_FULL, {}).get(str(trial.number))
    return trial if plain is None else TrialRecord(**{**plain, "status": Status(plain["status"])})


def in_full_files(study: StudyRecord, number: int) -> Path:
    """Return where the files of a trial that was trained in full wait for MLflow."""
    folder = pending_files(study, number)
    return folder.with_name(f"{folder.name}{SUFFIX}")


def run_key(study: StudyRecord, trial: TrialRecord) -> str:
    """Return the key of the run that has the weights of a selected trial."""
    key = trial_key(study, trial.number)
    return f"{key}{SUFFIX}" if str(trial.number) in study.attribute(IN_FULL, {}) else key


def in_full_states(study: StudyRecord, data: Prepared | None) -> list[RunState]:
    """Return what MLflow is to know of the trials that were trained in full after the search."""
    states = []
    for number in map(int, study.attribute(IN_FULL, {})):
        trial = in_full(study, study.trial(number))
        state = trial_state(study, trial, data)
        states.append(
            replace(
                state,
                key=run_key(study, trial),
                name=f"{state.name}{SUFFIX}",
                tags={**state.tags, "role": "in-full"},
                files=in_full_files(study, number),
            )
        )
    return states


def find_refit(study: StudyRecord, trial: TrialRecord) -> TrialRecord | None:
    """Return what a trial came to on training and validation rows; None where it was not tried."""
    plain = study.attribute(REFITS, {}).get(str(trial.number))
    return None if plain is None else TrialRecord(**{**plain, "status": Status(plain["status"])})


def refit_files(study: StudyRecord, number: int) -> Path:
    """Return where the files of a trial that was trained on all rows wait for MLflow."""
    folder = pending_files(study, number)
    return folder.with_name(f"{folder.name}{REFIT_SUFFIX}")


def refit_key(study: StudyRecord, number: int) -> str:
    """Return the key of the run of a trial that was trained on all rows."""
    return f"{trial_key(study, number)}{REFIT_SUFFIX}"


def refit_states(study: StudyRecord) -> list[RunState]:
    """Return what MLflow is to know of the trials that were trained on all rows."""
    states = []
    for number in map(int, study.attribute(REFITS, {})):
        trial = find_refit(study, study.trial(number))
        assert trial is not None  # noqa: S101 - it is on record
        state = training_state(
            study.config,
            trial,
            None,
            key=refit_key(study, number),
            name=f"trial-{number:03d}{REFIT_SUFFIX}",
            tags={"role": "refit", **study.tags, "trial": number},
            note=f"Trial {number} of `{study.name}`, trained on training and validation rows.",
        )
        states.append(replace(state, parent=study.identity, files=refit_files(study, number)))
    return states


def kept_files(study: StudyRecord, name: str) -> Path:
    """Return where the files of a run that stands in no record wait, see `keep_run`."""
    return study.workspace.pending(study.name) / name / "files"


def keep_run(state: RunState) -> None:
    """Let a run that stands in no record wait for MLflow beside its `kept_files`."""
    assert state.files is not None  # noqa: S101 - see `kept_files`
    state.files.mkdir(parents=True, exist_ok=True)
    plain = vars(state) | {"files": None}
    write_whole(state.files.with_name(KEPT), json.dumps(plain).encode())


def kept_runs(pending: Path) -> list[RunState]:
    """Return the runs that `keep_run` has put by in a folder."""
    return [
        RunState(**json.loads(file.read_bytes()) | {"files": file.with_name("files")})
        for file in sorted(pending.glob(f"*/{KEPT}"))
    ]


def send_kept_runs(study: StudyRecord, mirror: Mirror) -> int:
    """Let MLflow have the runs of a study that were put by; return how many."""
    kept = kept_runs(study.workspace.pending(study.name))
    for state in kept:
        send_kept_run(state, mirror)
    return len(kept)


def send_kept_run(state: RunState, mirror: Mirror) -> None:
    """Let MLflow have a run that was put by, and forget it then."""
    assert state.files is not None  # noqa: S101 - see `keep_run`
    mirror.update(state)
    shutil.rmtree(state.files.parent, ignore_errors=True)


class StudyMirror:
    """Hands the trials of one study to the mirror, with the study's own run.

    Parameters
    ----------
    study : the study.
    data : its rows.
    background : the mirror.
    """

    def __init__(self, study: StudyRecord, data: Prepared, background: BackgroundMirror) -> None:
        self.study, self.data, self._background = study, data, background
        self._trials = {trial.number: trial for trial in study.trials()}
        self._note = study_note(study, list(self._trials.values()))
        self._ended, self._due = False, 0.0

    def begin(self, finished: Iterable[str]) -> None:
        """Hand over what the store lacks, all but the runs with these keys."""
        sent, missing = set(finished), []
        for trial in self._trials.values():
            if trial_key(self.study, trial.number) in sent:  # it has the files, too
                remove_files(pending_files(self.study, trial.number))
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

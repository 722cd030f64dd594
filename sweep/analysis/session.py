"""One `sweep run` of a study: from its lock to its champion."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweep.analysis.champion import register_champion
from sweep.analysis.importance import importances
from sweep.analysis.in_full import in_full_states
from sweep.analysis.selection import find_selected, grounds
from sweep.disks import with_room
from sweep.engine import LocalEngine
from sweep.errors import StoreUnreachableError, SweepError
from sweep.search.checkpoint import Checkpoints
from sweep.search.dashboard import colour_runs, ensure_view
from sweep.search.experiment_note import experiment_note
from sweep.search.interrupts import InterruptedStudyError, Interrupts
from sweep.search.lock import study_lock
from sweep.search.record import begin_study
from sweep.search.runner import Runner
from sweep.search.storage import create_storage
from sweep.search.study_note import study_note
from sweep.search.study_run import StudyMirror, study_state, trial_key, trial_state
from sweep.search.trials import Status, tally
from sweep.tracking.mirror import BackgroundMirror, Mirror

if TYPE_CHECKING:
    from collections.abc import Collection

    from sweep.config import StudyConfig
    from sweep.data import Prepared
    from sweep.search.listener import Listener
    from sweep.search.record import StudyRecord
    from sweep.timings import Timings
    from sweep.tracking.mirror import RunState
    from sweep.tracking.tracker import Tracker
    from sweep.workspace import Workspace


@dataclass(frozen=True)
class Session:
    """What a run of a study came to.

    Attributes
    ----------
    study
        On record.
    why
        It stopped, in a phrase.
    operations
        Useful floating-point operations of training and evaluation.
    lanes_agree
        Whether trials may be moved between lanes on this machine.

    """

    study: StudyRecord
    why: str
    operations: float
    lanes_agree: bool


def run_study(
    config: StudyConfig,
    data: Prepared,
    workspace: Workspace,
    tracker: Tracker,
    *,
    trials: int,
    listener: Listener,
    timings: Timings,
    seconds: float | None = None,
    workers: int | None = None,
    kept: Collection[str] = (),
) -> Session:
    """Begin a study or go on with it, until so many trials are finished.

    Raises
    ------
    InterruptedStudyError
        After Ctrl-C or SIGTERM; the same command goes on from there.
    SweepError
        Another process runs the study, it was begun with another config, or every trial fails.
    StoreUnreachableError
        The record cannot be written; what it has is kept.

    """
    with study_lock(workspace, config.study), Interrupts().listening() as interrupts:
        with timings.part("sampling"):
            study = begin_study(config, create_storage(workspace), workspace, kept)
        with timings.part("tracking"):
            _introduce(study, data, tracker)
            mirror = Mirror(tracker)
            complete = mirror.complete(**study.tags)
        engine = LocalEngine(
            data,
            loss=study.config.loss,
            lanes=study.config.lanes,
            train_curve=study.config.train_curve,
            workers=workers,
            timings=timings,
        )
        with engine, BackgroundMirror(mirror, listener.warned) as background:
            trials_mirror = StudyMirror(study, data, background)
            runner = Runner(
                study.config,
                data,
                record=study,
                engine=engine,
                checkpoints=Checkpoints(
                    workspace.checkpoint(study.name), study.identity, listener.warned
                ),
                pending=workspace.pending(study.name),
                mirror=trials_mirror,
                listener=listener,
                timings=timings,
            )
            with suppress(StoreUnreachableError):
                for number in runner.begun_anew:
                    mirror.discard(trial_key(study, number))
            trials_mirror.begin(complete)
            try:
                why = runner.run(trials, interrupts, seconds=seconds)
            except SweepError as error:
                trials_mirror.stop(
                    runner.running(),
                    "KILLED" if isinstance(error, InterruptedStudyError) else "FAILED",
                )
                raise
            finally:
                with timings.part("tracking"):
                    left = background.close()
        _report_left(left, listener)
        finalize(study, data, mirror, listener, timings)
    return Session(study, why, engine.operations, engine.lanes_agree)


def sync_study(study: StudyRecord, tracker: Tracker) -> int:
    """Send MLflow what it lacks of a study; return of how many trials.

    Raises
    ------
    SweepError
        Another process runs the study.
    StoreUnreachableError
        MLflow does not answer.

    """
    with study_lock(study.workspace, study.name):
        mirror = Mirror(tracker)
        complete = mirror.complete(**study.tags)
        whole, *others = recorded_states(study)
        missing = [state for state in others if state.key not in complete]
        for state in (whole, *missing):
            mirror.update(state)
    return len(missing)


def recorded_states(study: StudyRecord, data: Prepared | None = None) -> list[RunState]:
    """Return what MLflow is to know of a study that does not run: its own run comes first.

    Without the rows, all but the runs' inputs.
    """
    trials = study.trials()
    note = study_note(study, trials, find_selected(study), grounds(study))
    status = "KILLED" if tally(trials).running else "FINISHED"
    ended = [trial for trial in trials if trial.status != Status.RUNNING]
    return [
        study_state(study, trials, data, note=note, status=status),
        *(trial_state(study, trial, data) for trial in ended),
        *in_full_states(study, data),
    ]


def _introduce(study: StudyRecord, data: Prepared, tracker: Tracker) -> None:
    """Let MLflow have the experiment's description and the study's page."""
    with suppress(StoreUnreachableError):  # it was there a moment ago, and gets all of it later
        ensure_view(tracker, study)
        names = {run.info.run_name for run in tracker.runs(role="study")} | {study.name}
        tracker.describe(experiment_note(data, sorted(names)))


def _report_left(left: Collection[object], listener: Listener) -> None:
    if left:
        listener.warned(
            f"MLflow lacks the latest of {len(left)} runs; "
            "the same command sends it when the store is back"
        )


def finalize(
    study: StudyRecord, data: Prepared, mirror: Mirror, listener: Listener, timings: Timings
) -> None:
    """Log the figures of a study and its note, and register the selected trial's model."""
    from sweep.analysis.overview import overview_figures
    from sweep.tracking.images import write_figure

    trials = study.trials()
    selected = find_selected(study)
    folder = study.workspace.pending(study.name) / "study"
    with timings.part("figures"):
        found = importances(study)
        figures = overview_figures(study.config, trials, selected, found)
        try:
            for name, figure in figures.items():
                write_figure(folder / "figures" / f"{name}.png", figure)
        except OSError as error:  # the study is done all the same
            listener.warned(
                f"{folder}: cannot be written: {with_room(str(error.strerror), folder)}; not all "
                "figures of the study are logged; the same command again logs them"
            )
    note = study_note(study, trials, selected, grounds(study))
    with timings.part("tracking"):
        try:
            mirror.update(
                study_state(study, trials, data, note=note, status="FINISHED", files=folder)
            )
            shutil.rmtree(folder, ignore_errors=True)
            ensure_view(mirror.tracker, study, found.shares)
            colour_runs(mirror.tracker, study)
            register_champion(study, mirror)
        except StoreUnreachableError as error:
            listener.warned(f"{error}; the figures of the study are not logged")
        except SweepError as error:  # the study is done all the same
            listener.warned(f"no champion is registered: {error}")

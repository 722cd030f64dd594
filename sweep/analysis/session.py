"""A run of a study from its lock to its champion, and what MLflow lacks of it."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

from sweep.analysis.confirm import confirmation_key, confirmation_of, confirmation_state
from sweep.analysis.importance import importances, record_importances
from sweep.analysis.runs import (
    StudyMirror,
    draw_pending,
    in_full_states,
    kept_files,
    pending_files,
    refit_states,
    send_kept_runs,
    study_state,
    trial_key,
    trial_state,
)
from sweep.analysis.selection import (
    fetch_classifier,
    find_selected,
    grounds,
    register_champion,
    selected_trial,
)
from sweep.engine import check_cluster, open_engine
from sweep.errors import StoreUnreachableError, SweepError
from sweep.io import with_room
from sweep.search import (
    Checkpoints,
    InterruptedStudyError,
    Interrupts,
    Runner,
    Status,
    as_optuna,
    at_first_rung,
    begin_study,
    best_trial,
    complete,
    course_of,
    create_storage,
    experiment_note,
    first_rung,
    outlasting,
    ranked,
    remove_files,
    study_lock,
    study_note,
    tally,
)
from sweep.timings import Timings
from sweep.tracking import (
    BackgroundMirror,
    Mirror,
    Tracker,
    colour_runs,
    ensure_view,
    study_figures,
    study_ids,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from matplotlib.figure import Figure

    from sweep.analysis.importance import Importances
    from sweep.config import StudyConfig
    from sweep.data import Prepared
    from sweep.engine import Engine
    from sweep.search import Listener, StudyRecord, TrialRecord
    from sweep.tracking import AnyMirror, RunState
    from sweep.workspace import Workspace
    from sweep_model.classifier import LinearClassifier


@dataclass(frozen=True)
class Session:
    """What a run of a study came to.

    Attributes
    ----------
    study : on record.
    why : it stopped, in a phrase.
    operations : useful floating-point operations of training and evaluation.
    lanes_agree : whether trials may be moved between lanes on this machine.
    timings : where the time went.
    machines : of a Ray cluster, by name, and the actors on each at the end.
    """

    study: StudyRecord
    why: str
    operations: float
    lanes_agree: bool
    timings: Timings
    machines: Mapping[str, int]


def run_study(
    config: StudyConfig,
    data: Prepared,
    workspace: Workspace,
    mirror: AnyMirror,
    *,
    trials: int,
    listener: Listener,
    timings: Timings,
    seconds: float | None = None,
    workers: int | None = None,
    ray: str | None = None,
) -> Session:
    """Begin a study or go on with it, until so many trials are finished.

    It trains on `workers` threads, or on the Ray cluster at an address.

    Raises
    ------
    InterruptedStudyError
        After Ctrl-C or SIGTERM; the same command goes on from there.
    SweepError
        Another process runs the study, it was begun with another config, or every trial fails.
    StoreUnreachableError
        The record cannot be written; what it has is kept.

    """
    if ray is not None:
        check_cluster(ray)  # before the study is on record
    with study_lock(workspace, config.study), Interrupts().listening() as interrupts:
        with timings.part("tracking"):
            mirror.connect()  # before the study is on record
        with timings.part("record"):
            study = begin_study(config, create_storage(workspace), workspace)
        with open_engine(
            study.config,
            data,
            timings=timings,
            workers=workers,
            ray=ray,
            noted=listener.noted,
            warned=listener.warned,
            stopped=interrupts.came,
        ) as engine:
            why, figures = _search(
                study,
                data,
                engine,
                mirror,
                interrupts,
                trials=trials,
                seconds=seconds,
                listener=listener,
                timings=timings,
            )
        with timings.part("tracking"):
            finalize(study, data, mirror, figures, listener)
    return Session(
        study, why, engine.operations, engine.lanes_agree, timings, dict(engine.machines)
    )


def run_in_memory(
    config: StudyConfig,
    data: Prepared,
    scratch: Workspace,
    *,
    trials: int,
    listener: Listener,
    workers: int | None = None,
) -> tuple[StudyRecord, LinearClassifier]:
    """Run a study of which nobody else hears; return it, and the selected trial's model.

    Nothing of it is in a store or in MLflow; `scratch` is used meanwhile and needed no more. No
    signal is caught: Ctrl-C ends it at once.

    Raises
    ------
    SweepError
        Every trial failed.

    """
    from optuna.storages import InMemoryStorage

    study, timings = begin_study(config, InMemoryStorage(), scratch), Timings()
    with open_engine(config, data, timings=timings, workers=workers) as engine:
        Runner(
            config,
            data,
            record=study,
            engine=engine,
            checkpoints=Checkpoints(
                scratch.checkpoint(study.name), study.identity, listener.warned
            ),
            pending=scratch.pending(study.name),
            mirror=_BestAlone(study),
            listener=listener,
            timings=timings,
        ).run(trials, Interrupts())
    return study, fetch_classifier(study, selected_trial(study), None)


class _BestAlone:
    """Stands where the mirror would: of the ended trials it leaves the files of the best alone."""

    def __init__(self, study: StudyRecord) -> None:
        self._study = study
        self._best: TrialRecord | None = None

    def update(self, trials: Iterable[TrialRecord]) -> None:
        for trial in trials:
            if trial.status == Status.RUNNING:
                continue
            ended = [trial] if self._best is None else [self._best, trial]
            self._best = best_trial(self._study.config, ended)
            for each in ended:
                if each is not self._best:
                    remove_files(pending_files(self._study, each.number))


def _search(
    study: StudyRecord,
    data: Prepared,
    engine: Engine,
    mirror: AnyMirror,
    interrupts: Interrupts,
    *,
    trials: int,
    seconds: float | None,
    listener: Listener,
    timings: Timings,
) -> tuple[str, str]:
    """Run the trials, and show them to MLflow meanwhile.

    Returns
    -------
    Why they ended, in a phrase, and of what there are figures, see `draw_overview`.
    """
    with timings.part("tracking"):
        finished = set() if mirror.is_new else mirror.finished_keys(**study.tags)
        shown = "" if mirror.is_new else mirror.call(study_figures, study.tags)
    introduce = partial(_introduce, study, data, mirror)
    prepare = partial(draw_pending, mirror=mirror, warned=listener.warned)
    with BackgroundMirror(mirror, listener.warned, first=introduce, prepare=prepare) as background:
        trials_mirror = StudyMirror(study, data, background)
        checkpoints = Checkpoints(
            study.workspace.checkpoint(study.name),
            study.identity,
            listener.warned,
            environment=lambda: engine.environment,
        )
        make_runner = partial(
            Runner,
            study.config,
            data,
            record=study,
            engine=engine,
            checkpoints=checkpoints,
            pending=study.workspace.pending(study.name),
            mirror=trials_mirror,
            listener=listener,
            timings=timings,
        )
        runner = make_runner()
        if not mirror.is_new:
            with suppress(StoreUnreachableError):
                for number in runner.begun_anew:
                    mirror.discard(trial_key(study, number))
        trials_mirror.begin(finished)
        began, is_new = time.monotonic(), True

        def run() -> str:
            """Run what is left, of a second runner where the first has lost its machines."""
            nonlocal runner, is_new
            runner, is_new = runner if is_new else make_runner(), False
            return runner.run(trials, interrupts, seconds=seconds, since=began)

        try:
            unfinished = f"study {study.name!r} stopped; `sweep run {study.name}` goes on from here"
            why = outlasting(run, interrupts, unfinished=unfinished, warned=listener.warned)
        except SweepError as error:
            status = "KILLED" if isinstance(error, InterruptedStudyError) else "FAILED"
            trials_mirror.stop(runner.running(), status)
            raise
        else:
            with timings.part("figures"):  # while the mirror sends what is left
                figures = draw_overview(study, shown, listener)
        finally:
            with timings.part("tracking"):
                left = background.close()
    if left:
        listener.warned(
            f"MLflow lacks the latest of {len(left)} runs; "
            "the same command sends it when the store is back"
        )
    return why, figures


def sync_study(
    study: StudyRecord, tracker: Tracker, warned: Callable[[str], None] = lambda _: None
) -> int:
    """Send MLflow what it lacks of a study; return how many runs, besides the study's own.

    `warned` is told why no champion is registered, where one should be.

    Raises
    ------
    SweepError
        Another process runs the study.
    StoreUnreachableError
        MLflow does not answer.

    """
    with study_lock(study.workspace, study.name):
        mirror, confirmation = Mirror(tracker), confirmation_of(study)
        sent = mirror.finished_keys(**study.tags)
        whole, *others = recorded_states(study)
        missing = [state for state in others if state.key not in sent]
        if confirmation is not None and confirmation_key(study, confirmation) not in sent:
            files = kept_files(study, "confirm")
            missing.append(confirmation_state(study, confirmation, files))
        for state in (whole, *missing):
            mirror.update(draw_pending(state, mirror))
        kept = send_kept_runs(study, mirror)
        _register_champion(study, mirror, warned)
    return len(missing) + kept


def _register_champion(
    study: StudyRecord, mirror: AnyMirror, warned: Callable[[str], None]
) -> None:
    try:
        register_champion(study, mirror)
    except StoreUnreachableError:
        raise
    except SweepError as error:  # the study is done all the same
        warned(f"no champion is registered: {error}")


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
        *refit_states(study),
    ]


def _introduce(study: StudyRecord, data: Prepared, mirror: AnyMirror) -> None:
    """Let MLflow have the experiment's description and the study's page."""
    with suppress(StoreUnreachableError):  # it gets all of it later
        if mirror.is_new:
            mirror.finished_keys(**study.tags)
        mirror.call(ensure_view, study.config, study.tags)
        mirror.call(Tracker.describe, experiment_note(data, [study.name]))


def draw_overview(study: StudyRecord, shown: str, listener: Listener) -> str:
    """Write the figures of a study where they wait for MLflow, unless it has those of these trials.

    `shown` tells of which it has them; return of which it will.
    """
    from sweep.plots import DRAWING
    from sweep.tracking import write_figure

    trials, selected, ranking = study.trials(), find_selected(study), record_importances(study)
    metric = study.config.metric
    results = [(t.number, t.status, t.epochs, t.curves.get(metric, [])[-1:]) for t in trials]
    content = json.dumps([version("sweep"), results, selected and selected.number])
    figures = hashlib.sha256(content.encode()).hexdigest()
    if figures == shown:
        return figures
    folder = study.workspace.pending(study.name) / "study"
    try:
        with DRAWING:
            for name, figure in overview_figures(study.config, trials, selected, ranking).items():
                write_figure(folder / "figures" / f"{name}.png", figure)
    except OSError as error:  # the study is done all the same
        listener.warned(
            f"{folder}: cannot be written: {with_room(str(error.strerror), folder)}; not all "
            "figures of the study are logged; the same command again logs them"
        )
        return ""
    return figures


def finalize(
    study: StudyRecord, data: Prepared, mirror: AnyMirror, figures: str, listener: Listener
) -> None:
    """Log the figures of a study and its note, and register the selected trial's model."""
    trials = study.trials()
    note = study_note(study, trials, find_selected(study), grounds(study))
    folder = study.workspace.pending(study.name) / "study"
    state = study_state(study, trials, data, note=note, status="FINISHED", files=folder)
    try:
        mirror.update(replace(state, tags={**state.tags, "figures": figures}))
        shutil.rmtree(folder, ignore_errors=True)
        mirror.call(ensure_view, study.config, study.tags, importances(study).shares)
        colour_trials(mirror, study)
        _register_champion(study, mirror, listener.warned)
    except SweepError as error:
        listener.warned(f"{error}; the figures of the study are not logged")


def colour_trials(mirror: Tracker | AnyMirror, study: StudyRecord) -> None:
    """Give the trials' points and curves on MLflow's pages their colours: the better, the darker.

    A run has one colour on all pages, so each study has a hue of its own, told by its turn in the
    experiment. Ranks decide, not values, so that the best are told apart; what ended otherwise is
    grey.
    """
    from sweep.plots import PALE, result_colours

    trials, studies = study.trials(), mirror.call(study_ids)
    best_first = [trial.number for trial in complete(ranked(study.config, trials))]
    turn = studies.index(study.identity) if study.identity in studies else len(studies)
    shades = dict(zip(best_first, result_colours(len(best_first), family=turn), strict=True))
    ended = [trial.number for trial in trials if trial.status != Status.RUNNING]
    mirror.call(colour_runs, study.tags, dict.fromkeys(ended, PALE) | shades)


def overview_figures(
    config: StudyConfig,
    trials: Sequence[TrialRecord],
    selected: TrialRecord | None,
    ranking: Importances,
) -> dict[str, Figure]:
    """Draw the course of a search and, by the values at the first rung, its space."""
    from sweep.plots import history_figure, importance_figure, parallel_figure, slice_figure

    number = None if selected is None else selected.number
    direction, objective = config.direction, config.metric
    rung, compared = first_rung(config), at_first_rung(config, trials)
    course = course_of(config, trials)
    return {
        "history": history_figure(
            as_optuna(config, trials),
            direction=direction,
            objective=objective,
            selected=number,
            baseline=None if course.baseline is None else course.baseline.number,
            rungs=[rung.epoch for rung in course.rungs],
            best_so_far=course.best_so_far,
        ),
        "parallel_coordinates": parallel_figure(
            compared, direction=direction, objective=objective, selected=number, epoch=rung
        ),
        "slice": slice_figure(
            compared, direction=direction, objective=objective, selected=number, epoch=rung
        ),
        "importance": importance_figure(
            ranking.shares,
            objective=objective,
            intervals=ranking.intervals,
            reason=ranking.reason,
            epoch=rung,
        ),
    }

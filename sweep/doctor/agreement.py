"""Whether MLflow says of a study what its record says, trial by trial; and making it so again."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweep.analysis import (
    draw_pending,
    pending_files,
    recorded_states,
    send_kept_runs,
    trial_key,
    trial_state,
)
from sweep.data import reopen_data, reopen_source
from sweep.search import Status, study_lock, tally
from sweep.tracking import COMPLETE, KEY, Mirror, Tracker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mlflow.entities import Run

    from sweep.search import StudyRecord, TrialRecord
    from sweep.tracking import RunState


@dataclass(frozen=True)
class Disagreement:
    """One thing that MLflow and the record of a study say differently.

    Attributes
    ----------
    message
        What is wrong, in a phrase.
    wrong_run
        MLflow's id of the run that says something wrong: as MLflow takes nothing back, it has to be
        deleted. None where the run only lacks something.
    trial
        The trial that gets a new run in its place; None where none does.

    """

    message: str
    wrong_run: str | None = None
    trial: int | None = None


def compare(study: StudyRecord, tracker: Tracker | None) -> list[Disagreement]:
    """Compare a study and its trials that have ended with their runs.

    `tracker` is None where MLflow has no experiment of the study.
    """
    by_key: defaultdict[str | None, list[Run]] = defaultdict(list)
    for run in [] if tracker is None else tracker.runs(**study.tags):
        if run.data.tags.get("sweep.role") in ("study", "trial"):
            by_key[run.data.tags.get(KEY)].append(run)
    trials = study.trials()
    results = list(_compare_study(trials, by_key.pop(study.identity, [])))
    for trial in trials:
        runs = by_key.pop(trial_key(study, trial.number), [])
        if trial.status != Status.RUNNING:  # the next `sweep run` takes care of it
            results += _compare_trial(study, trial, runs, tracker)
    for run in (run for runs in by_key.values() for run in runs):
        results.append(Disagreement(f"run {run.info.run_name} stands in no record", _id(run)))
    return results


def _compare_study(trials: Sequence[TrialRecord], runs: Sequence[Run]) -> Iterator[Disagreement]:
    if not runs:
        if trials:
            yield Disagreement("the study has no run")
        return
    yield from _doubled("the study", runs)
    if runs[0].info.status == "RUNNING" and not tally(trials).running:
        yield Disagreement("the study's run is RUNNING, although nobody runs it")


def _doubled(what: str, runs: Sequence[Run]) -> Iterator[Disagreement]:
    for other in runs[1:]:  # the mirror knows the oldest
        yield Disagreement(f"{what} has {len(runs)} runs", _id(other))


def _compare_trial(
    study: StudyRecord, trial: TrialRecord, runs: Sequence[Run], tracker: Tracker | None
) -> Iterator[Disagreement]:
    what = f"trial {trial.number}"
    if not runs or tracker is None:
        yield Disagreement(f"{what} has no run")
        return
    yield from _doubled(what, runs)
    run, state = runs[0], trial_state(study, trial, None)
    if run.info.status != state.status:
        yield Disagreement(f"{what}: its run is {run.info.status}, not {state.status}")
    complete = COMPLETE in run.data.tags
    if not complete:
        yield Disagreement(f"{what}: its run was never completed")
    for message, wrong in _differences(state, run, tracker):
        if wrong:
            yield Disagreement(f"{what}: {message}", _id(run), trial.number)
        elif complete:
            yield Disagreement(f"{what}: {message}")


def _differences(state: RunState, run: Run, tracker: Tracker) -> Iterator[tuple[str, bool]]:
    """Yield what a run says otherwise, and whether it is wrong; else it is only missing."""
    parameters = {name: str(value) for name, value in state.parameters.items()}
    for expected, logged in ((parameters, run.data.params), (state.metrics, run.data.metrics)):
        for name, value in expected.items():
            if name not in logged:
                yield f"{name} is missing", False
            elif logged[name] != value:
                yield f"{name} is {logged[name]}, not {value}", True
    for name, curve in state.curves.items():
        points = _points(run, name, tracker)
        counts = Counter(step for step, _ in points)
        recorded = dict(enumerate(curve, start=1))
        wrong = {step for step, value in points if counts[step] > 1 or recorded.get(step) != value}
        if wrong:
            yield f"{name} is another {_epochs(wrong)}", True
        elif counts.keys() != recorded.keys():
            yield f"{name} is missing {_epochs(recorded.keys() - counts.keys())}", False


def _points(run: Run, metric: str, tracker: Tracker) -> list[tuple[int, float]]:
    if metric not in run.data.metrics:
        return []
    with tracker.reaching():
        history = tracker.client.get_metric_history(_id(run), metric)
    return [(point.step, point.value) for point in history]


def _epochs(steps: set[int]) -> str:
    more = f" and {len(steps) - 1} more" if len(steps) > 1 else ""
    return f"in epoch {min(steps)}{more}"


def _id(run: Run) -> str:
    return str(run.info.run_id)


def waiting_files(study: StudyRecord) -> list[Path]:
    """Return the folders whose files MLflow does not have yet: of ended trials and other runs."""
    pending = study.workspace.pending(study.name)
    return sorted([*pending.glob("trial-*"), *pending.glob("reproduce-*")])


@dataclass(frozen=True)
class Repaired:
    """What was done: how many things were put right, and which trials have a new run."""

    changes: int
    replaced: tuple[int, ...] = ()


def repair(study: StudyRecord, tracking_uri: str | None = None) -> Repaired:
    """Make MLflow say what the record says, under the study's lock.

    An experiment that was deleted is brought back. Runs that say something wrong are deleted, which
    `mlflow runs restore` undoes; their files go to the new runs. Then MLflow is handed the study
    and every trial that has ended.

    Raises
    ------
    SweepError
        Another process runs the study, its data are not to be found, or the store does not answer.

    """
    with study_lock(study.workspace, study.name):
        name, workspace = study.config.data.name, study.workspace
        tracker = Tracker(name, workspace, uri=tracking_uri, restore=True)
        results, waiting = compare(study, tracker), waiting_files(study)
        if not results and not waiting:
            return Repaired(int(tracker.restored))
        data = reopen_data(study.config.data, reopen_source(study.config.data))
        replaced = {each.trial: each.wrong_run for each in results if each.trial is not None}
        for number, run in replaced.items():
            _keep_files(study, number, str(run), tracker)
        with tracker.reaching():
            for run in {each.wrong_run for each in results if each.wrong_run is not None}:
                tracker.client.delete_run(run)
        mirror = Mirror(tracker)
        for state in recorded_states(study, data):
            mirror.update(draw_pending(state, mirror))
        send_kept_runs(study, mirror)
    return Repaired(len(results) or len(waiting), tuple(sorted(replaced)))


def _keep_files(study: StudyRecord, number: int, run: str, tracker: Tracker) -> None:
    """Let the files of a run that will be deleted wait for the new one."""
    folder = pending_files(study, number)
    if folder.exists():
        return
    partial = folder.with_name(f".{folder.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    with tracker.reaching():
        if tracker.client.list_artifacts(run):
            tracker.client.download_artifacts(run, "", str(partial))
    partial.rename(folder)

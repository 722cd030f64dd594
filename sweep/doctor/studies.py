"""The studies of the folder: their two stores compared, and who runs them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sweep.doctor.agreement import disagreements
from sweep.doctor.finding import fail, ok, warn
from sweep.study.keeper import outbox_folder
from sweep.study.lock import runner_of
from sweep.study.results import ending, tally
from sweep.study.run_command import run_command
from sweep.study.storage import FOLDER
from sweep.tracking.outbox import NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlflow.entities import Run as MlflowRun

    from sweep.doctor.agreement import Disagreement, Points
    from sweep.doctor.finding import Finding
    from sweep.study.opening import OpenStudy
    from sweep.tracking.tracker import Tracker

REPAIR = "sweep doctor --repair"
ELSEWHERE = ("trial", "reproduce")
"""Roles of runs that their trials tell of, or that are written without the study's lock, so that
nobody knows who lives."""


@dataclass(frozen=True)
class Copy:
    """What MLflow has of a study.

    Attributes
    ----------
    tracker
        The store; None where it has no such experiment.
    runs
        All of the study's runs, of whatever role.

    """

    tracker: Tracker | None
    runs: Sequence[MlflowRun]

    def of_role(self, role: str) -> list[MlflowRun]:
        """Return the runs of one role."""
        return [run for run in self.runs if run.data.tags.get("sweep.role") == role]

    def history(self, run_id: str, metric: str) -> Points:
        """Return the steps and values of a metric of a run."""
        if self.tracker is None:
            return []
        with self.tracker.reaching():
            history = self.tracker.client.get_metric_history(run_id, metric)
        return [(point.step, point.value) for point in history]


def read_copy(study: OpenStudy, uri: str) -> Copy:
    """Read what a store has of a study; nothing is created in it."""
    from sweep.errors import StoreUnreachableError, SweepError
    from sweep.tracking.tracker import Tracker, newest_experiment

    name = study.settings.data.name
    try:
        newest_experiment(uri, name)  # a Tracker would create it
    except StoreUnreachableError:
        raise
    except SweepError:
        return Copy(None, [])
    tracker = Tracker(name, uri=uri)
    return Copy(tracker, tracker.runs(**study.tags))


def compare(study: OpenStudy, copy: Copy) -> list[Disagreement]:
    """Return what the study's record and its copy say differently."""
    return disagreements(study, copy.of_role("trial"), copy.history)


def check_study(study: OpenStudy, copy: Copy) -> list[Finding]:
    """Look at one study; while somebody runs it, its copy lags behind and is left alone."""
    check = f"study {study.name}"
    runner = runner_of(study.name)
    if runner is not None:
        return [ok(check, f"is being run by {runner}; looked at when that has ended")]
    letters = list(outbox_folder(study.name).glob(NAMES))
    if letters:
        return [
            warn(
                check,
                f"{tally(study.trials())}; {outbox_folder(study.name)} holds {len(letters)} of the "
                "letters that MLflow is to get",
                f"{REPAIR}, or the study's own `sweep run`, sends what waits there",
            )
        ]
    if study.trials() and not copy.of_role("study"):
        return [
            warn(
                check,
                f"{tally(study.trials())}; none has a run in this MLflow store: it was imported, "
                "or MLflow's store is another or was lost",
                f"{REPAIR} gives each its run, from the record",
            )
        ]
    found = compare(study, copy)
    first = (
        fail(check, f"{len(found)} disagree with MLflow", REPAIR, tuple(map(str, found)))
        if found
        else ok(check, f"{tally(study.trials())}; both stores say the same")
    )
    return [
        first,
        *_check_running(study, copy),
        *_check_clock(study, copy),
        *_check_files(study, copy),
    ]


def _check_running(study: OpenStudy, copy: Copy) -> list[Finding]:
    """Tell what stands as running although nobody runs the study."""
    trials = [trial.number for trial in study.trials() if ending(trial) is None]
    left = [f"trial {number}" for number in trials] + [
        f"the {run.data.tags.get('sweep.role')} run {run.info.run_name} ({run.info.run_id})"
        for run in copy.runs
        if run.info.status == "RUNNING" and run.data.tags.get("sweep.role") not in ELSEWHERE
    ]
    if not left:
        return []
    wanted = max(1, tally(study.trials()).finished + len(trials))
    return [
        warn(
            f"study {study.name}",
            f"{len(left)} left as running by a process that has ended",
            f"go on with it: {run_command(study.settings, wanted)}",
            tuple(left),
        )
    ]


def _check_files(study: OpenStudy, copy: Copy) -> list[Finding]:
    """Tell whether the files of runs lie in another folder: MLflow keeps its full name."""
    if copy.tracker is None:
        return []
    place = copy.tracker.files_in()
    if place is None or place.is_relative_to(FOLDER.resolve()):
        return []
    return [
        warn(
            f"study {study.name}",
            f"MLflow keeps the files of its runs in {place}, as this folder was moved or copied",
            f"move it back, or begin anew here: `sweep export {study.name}` there and "
            "`sweep import` here",
        )
    ]


def _check_clock(study: OpenStudy, copy: Copy) -> list[Finding]:
    """Tell whether anything is said to have happened later than now."""
    now = time.time()
    times = [
        moment.timestamp()
        for trial in study.trials()
        for moment in (trial.datetime_start, trial.datetime_complete)
        if moment is not None
    ]
    times += [run.info.start_time / 1000 for run in copy.runs if run.info.start_time]
    latest = max(times, default=now)
    if latest <= now:
        return []
    said = datetime.fromtimestamp(latest).astimezone().isoformat(" ", "seconds")
    return [
        warn(
            f"study {study.name}",
            f"records a time in the future, {said}",
            "set this machine's clock; no number depends on it, only the order of MLflow's runs",
        )
    ]

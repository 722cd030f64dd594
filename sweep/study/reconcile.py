"""Make the two stores agree again after a death: Optuna's is the truth, MLflow's the copy.

Run twice in a row, the second time changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.hyperparameters import Hyperparameters
from sweep.curves import new_curves
from sweep.study import attributes
from sweep.study.records import seat_of
from sweep.study.results import ending
from sweep.study.training_run import WHOLE, log_best, log_curves
from sweep.study.trial_life import create_trial_run, trial_parameters
from sweep.study.trial_note import trial_note
from sweep.tracking.provenance import log_provenance
from sweep.tracking.run import PARENT, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from mlflow.entities import Run as MlflowRun
    from optuna.trial import FrozenTrial

    from sweep.data import Prepared
    from sweep.study.ending import Ending
    from sweep.study.opening import OpenStudy
    from sweep.tracking.tracker import Tracker


REBUILT = "rebuilt"
"""The tag of a run that was made from the record: another one of the trial has more."""


def reconcile(
    study: OpenStudy, parent: Run, data: Prepared, rebuilt: Callable[[int], None] = lambda _: None
) -> int:
    """Give every finished trial one MLflow run of the matching status; return what changed.

    The caller holds the study's lock, so nobody trains: a run of a trial that was left in training
    is KILLED until it goes on. `rebuilt` is told of each trial whose run had to be made from the
    record, which holds no images and no weights.
    """
    found = parent.tracker.runs(role="trial", **study.tags)
    if study.settings.shared:
        found = drop_superseded(found, study, parent.tracker)
    runs = {int(run.data.tags["sweep.trial"]): run for run in found}
    changes = sum(_adopt(run, parent) for run in found)
    for trial in study.trials():
        how, run = ending(trial), runs.get(trial.number)
        if how is None:
            if run is None or run.info.status != "RUNNING":
                continue
            Run(parent.tracker, run.info.run_id).end("KILLED")
        elif run is None:
            fresh = create_trial_run(study, trial.number, _attempt(trial), parent)
            if study.settings.shared:
                fresh.tags({REBUILT: True})
            _complete(fresh, study, trial, how, data)
            rebuilt(trial.number)
        elif f"sweep.{WHOLE}" not in run.data.tags:
            _complete(Run(parent.tracker, run.info.run_id), study, trial, how, data)
        elif run.info.status != how.mlflow_status:
            Run(parent.tracker, run.info.run_id).end(how.mlflow_status)
        else:
            continue
        changes += 1
    return changes


def drop_superseded(
    found: Sequence[MlflowRun], study: OpenStudy, tracker: Tracker
) -> list[MlflowRun]:
    """Delete the runs of attempts that another worker repeated; return the others, one per trial.

    A finished trial's run that is not whole is deleted as well: the rest of it may still lie on a
    machine that is away, and must find nothing that was completed without it. When that comes, its
    run is the whole one, and the rebuilt one goes.
    """
    trials = study.trials()
    kept: dict[int, MlflowRun] = {}
    for run in sorted(found, key=_lacks):
        tags = run.data.tags
        trial = trials[int(tags["sweep.trial"])]
        superseded = tags["sweep.attempt"] != str(_attempt(trial))
        whole = f"sweep.{WHOLE}" in tags or not trial.state.is_finished()
        if trial.number in kept or superseded or not whole:
            with tracker.reaching():
                tracker.client.delete_run(run.info.run_id)
        else:
            kept[trial.number] = run
    return list(kept.values())


def _lacks(run: MlflowRun) -> tuple[bool, bool]:
    """Return a key that sorts the run first which has most of its trial."""
    return f"sweep.{WHOLE}" not in run.data.tags, f"sweep.{REBUILT}" in run.data.tags


def _attempt(trial: FrozenTrial) -> int:
    """Return which attempt at a trial counts: of a shared study, that of its last lease."""
    known = trial.user_attrs
    attempt: int = known.get(attributes.LEASE, {}).get("attempt", known.get(attributes.ATTEMPT, 1))
    return attempt


def _adopt(run: MlflowRun, parent: Run) -> bool:
    """Put a run under the study's own, and say whether it lay elsewhere: that one may be lost."""
    if run.data.tags.get(PARENT) == parent.id:
        return False
    with parent.tracker.reaching():
        parent.tracker.client.set_tag(run.info.run_id, PARENT, parent.id)
    return True


def unfinished_runs(study: OpenStudy, tracker: Tracker, states: Collection[int]) -> dict[int, str]:
    """Return the runs of the trials that were left in training, by the trial's number.

    `states` are the numbers of those that a checkpoint knows, and whose points up to it are sent.
    A run is deleted where it has points of another training, or lacks those of this one.
    """
    left = {trial.number for trial in study.trials() if not trial.state.is_finished()}
    if not left:
        return {}
    runs: dict[int, str] = {}
    for run in tracker.runs(role="trial", **study.tags):
        number = int(run.data.tags["sweep.trial"])
        if number not in left:
            continue
        if bool(run.data.metrics) != (number in states):
            with tracker.reaching():
                tracker.client.delete_run(run.info.run_id)
        else:
            runs[number] = run.info.run_id
    return runs


def _complete(run: Run, study: OpenStudy, trial: FrozenTrial, how: Ending, data: Prepared) -> None:
    """Log what the run lacks of the trial's record; its images and weights stand in no record."""
    settings = study.settings
    log_provenance(run, settings.data, data)
    trained_with = trial.user_attrs.get(attributes.ENVIRONMENT, {})
    run.tags({f"environment.{name}": value for name, value in trained_with.items()})
    if len(trial.params) == len(settings.space.axes):
        hyperparameters = Hyperparameters(**trial.params)
        run.parameters(trial_parameters(settings, hyperparameters, seat_of(trial)))
        curves = new_curves() | trial.user_attrs.get(attributes.CURVES, {})
        log_curves(run, curves, hyperparameters, missing=True)
        if curves["val/accuracy"] and not run.steps("best/epoch"):
            log_best(run, curves)
        run.note(
            trial_note(
                settings,
                trial.number,
                hyperparameters,
                seat_of(trial),
                curves=curves,
                ending=how,
                reason=trial.user_attrs.get(attributes.REASON, ""),
            )
        )
    run.flush()
    known = {
        "reason": trial.user_attrs.get(attributes.REASON),
        "weights_digest": trial.user_attrs.get(attributes.WEIGHTS_DIGEST),
    }
    run.tags({"ending": how, **{key: value for key, value in known.items() if value}, WHOLE: True})
    run.end(how.mlflow_status)

"""Make the two stores agree again after a death: Optuna's is the truth, MLflow's the copy.

Run twice in a row, the second time changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.curves import new_curves
from sweep.study import attributes
from sweep.study.records import seat_of
from sweep.study.results import ending
from sweep.study.training_run import WHOLE, log_best, log_curves
from sweep.study.trial_life import create_trial_run, trial_parameters
from sweep.study.trial_note import trial_note
from sweep.tracking.provenance import log_provenance
from sweep.tracking.run import PARENT, Run
from sweep_model.hyperparameters import Hyperparameters

if TYPE_CHECKING:
    from collections.abc import Collection

    from mlflow.entities import Run as MlflowRun
    from optuna.trial import FrozenTrial

    from sweep.data import Prepared
    from sweep.study.ending import Ending
    from sweep.study.opening import OpenStudy
    from sweep.tracking.tracker import Tracker


def reconcile(study: OpenStudy, parent: Run, data: Prepared) -> int:
    """Give every finished trial one MLflow run of the matching status; return what changed.

    The caller holds the study's lock, so nobody trains: a run of a trial that was left in training
    is KILLED until it goes on.
    """
    found = parent.tracker.runs(role="trial", **study.tags)
    runs = {int(run.data.tags["sweep.trial"]): run for run in found}
    changes = sum(_adopt(run, parent) for run in found)
    for trial in study.trials():
        how, run = ending(trial), runs.get(trial.number)
        if how is None:
            if run is None or run.info.status != "RUNNING":
                continue
            Run(parent.tracker, run.info.run_id).end("KILLED")
        elif run is None:
            attempt = trial.user_attrs.get(attributes.ATTEMPT, 1)
            fresh = create_trial_run(study, trial.number, attempt, parent)
            _complete(fresh, study, trial, how, data)
        elif f"sweep.{WHOLE}" not in run.data.tags:
            _complete(Run(parent.tracker, run.info.run_id), study, trial, how, data)
        elif run.info.status != how.mlflow_status:
            Run(parent.tracker, run.info.run_id).end(how.mlflow_status)
        else:
            continue
        changes += 1
    return changes


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

"""Make the two stores agree again after a death: Optuna's is the truth, MLflow's the copy.

Run twice in a row, the second time changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.hyperparameters import Hyperparameters
from sweep.study import attributes
from sweep.study.ending import Ending
from sweep.study.recording import finish_trial
from sweep.study.records import seat_of
from sweep.study.results import ending
from sweep.study.training_run import LEARNING_RATE, WHOLE, log_best
from sweep.study.trial_life import create_trial_run, trial_parameters
from sweep.tracking.provenance import log_provenance
from sweep.tracking.run import Run

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from sweep.data import Prepared
    from sweep.study.opening import OpenStudy

DIED = "the process ended without a word"


def heal(study: OpenStudy) -> int:
    """Finish the trials that a dead process left running; return how many.

    The caller holds the study's lock, so nobody is training them. They count as interrupted, and
    will be trained again.
    """
    from optuna.trial import TrialState

    left = [trial for trial in study.trials() if trial.state == TrialState.RUNNING]
    for trial in left:
        finish_trial(
            study,
            trial._trial_id,  # noqa: SLF001 - Optuna's own name for it
            Ending.INTERRUPTED,
            [],
            {attributes.REASON: DIED, attributes.ENDING: str(Ending.INTERRUPTED)},
        )
    return len(left)


def reconcile(study: OpenStudy, parent: Run, data: Prepared) -> int:
    """Give every finished trial one MLflow run of the matching status; return what changed."""
    found = parent.tracker.runs(role="trial", **study.tags)
    runs = {int(run.data.tags["sweep.trial"]): run for run in found}
    changes = 0
    for trial in study.trials():
        how, run = ending(trial), runs.get(trial.number)
        if how is None:
            continue
        if run is None:
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


def _complete(run: Run, study: OpenStudy, trial: FrozenTrial, how: Ending, data: Prepared) -> None:
    """Log what the run lacks of the trial's record; its images and weights stand in no record."""
    settings = study.settings
    log_provenance(run, settings.data, data)
    trained_with = trial.user_attrs.get(attributes.ENVIRONMENT, {})
    run.tags({f"environment.{name}": value for name, value in trained_with.items()})
    if len(trial.params) == len(settings.space.axes):
        hyperparameters = Hyperparameters(**trial.params)
        run.parameters(trial_parameters(settings, hyperparameters, seat_of(trial)))
        curves = trial.user_attrs.get(attributes.CURVES, {})
        rates = [hyperparameters.rate(epoch) for epoch in range(len(curves.get("val/loss", [])))]
        for metric, values in {**curves, LEARNING_RATE: rates}.items():
            there = run.steps(metric)
            for epoch, value in enumerate(values, start=1):
                if epoch not in there:
                    run.metrics({metric: value}, epoch)
        if curves.get("val/accuracy") and not run.steps("best/epoch"):
            log_best(run, curves)
    run.flush()
    known = {
        "reason": trial.user_attrs.get(attributes.REASON),
        "weights_digest": trial.user_attrs.get(attributes.WEIGHTS_DIGEST),
    }
    run.tags({"ending": how, **{key: value for key, value in known.items() if value}, WHOLE: True})
    run.end(how.mlflow_status)

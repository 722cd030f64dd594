"""Train a study's setting again: on all rows, for the model to be used, or on each of its draws.

The search has judged the setting on the validation rows, so nothing is left to judge the new model
on but the test rows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sweep.analysis.runs import find_refit, refit_files
from sweep.errors import SweepError
from sweep.search import (
    REFITS,
    Interrupts,
    TrainingLog,
    study_lock,
    train_alone,
    training_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweep.data import Prepared
    from sweep.search import StudyRecord, TrialRecord
    from sweep_model.classifier import LinearClassifier


def refit(study: StudyRecord, trial: TrialRecord, rows: Callable[[], Prepared]) -> TrialRecord:
    """Return the trial as it comes out when it is trained on all development `rows`.

    Seed, number and epochs are the trial's own. What is on record is not trained again. Its files
    wait for MLflow, see `refit_states`.

    Raises
    ------
    SweepError
        It diverged, or another process runs the study.

    """
    with study_lock(study.workspace, study.name), Interrupts().listening() as interrupts:
        if (existing := find_refit(study, trial)) is not None:
            return existing
        data, what = rows(), f"trial {trial.number} of {study.name!r}"
        log = TrainingLog.begun(training_of(study.config, trial, data), data, study.config.loss)
        trained = train_alone(
            study.config,
            trial,
            log,
            interrupts,
            unfinished=f"the same command trains {what} on all rows",
        )
        if trained.classifier is None:
            raise SweepError(
                f"{what} {trained.trial.reason} on training and validation rows; "
                f"`sweep test {study.name}` tests the model of the search"
            )
        # Its validation rows are among those that it was trained on.
        log.curves = {name: curve for name, curve in log.curves.items() if _of_training(name)}
        log.metrics = {name: value for name, value in log.metrics.items() if _of_training(name)}
        ended = replace(trained.trial, curves=log.curves, metrics=log.metrics)
        title = f"{study.name} · trial {trial.number:03d} on training and validation rows"
        files = refit_files(study, trial.number)
        ended = trained._replace(trial=ended).write_files(files, title=title)
        others = study.attribute(REFITS, {})
        study.set_attribute(REFITS, {**others, str(trial.number): vars(ended)})
        return ended


def draw_models(study: StudyRecord, trial: TrialRecord, data: Prepared) -> list[LinearClassifier]:
    """Return the model of each draw of a trial, trained again: the study keeps their mean alone.

    Raises
    ------
    SweepError
        It diverged, which it did not in the search: the machine or the versions are others.

    """
    what = f"trial {trial.number} of {study.name!r}"
    log = TrainingLog.begun(training_of(study.config, trial, data), data, study.config.loss)
    with Interrupts().listening() as interrupts:
        unfinished = f"the same command trains {what} on its draws"
        trained = train_alone(study.config, trial, log, interrupts, unfinished=unfinished)
    if trained.classifier is None:
        raise SweepError(f"{what} {trained.trial.reason}; `sweep reproduce` says what differs")
    return log.repeats(trained.classifier)


def _of_training(metric: str) -> bool:
    return metric.startswith(("train/", "final/train_"))

"""Which trial a study answers with, its weights, and its registered model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.analysis.confirm import confirmation_of
from sweep.analysis.runs import find_refit, in_full, refit_key, run_key
from sweep.errors import StoreUnreachableError, SweepError
from sweep.search import best_trial, tally
from sweep.tracking import (
    CLASSIFIER,
    ClassifierGoneError,
    champion_run,
    download_classifier,
    model_name,
    register,
)
from sweep_model.classifier import LinearClassifier

if TYPE_CHECKING:
    from sweep.search import StudyRecord, TrialRecord
    from sweep.tracking import AnyMirror, Tracker


def find_selected(study: StudyRecord) -> TrialRecord | None:
    """Return the trial that the study answers with; None before any is complete.

    That is the winner of its confirmation or, until there is one, the best by its objective. A
    winner that the search had pruned stands as it came out when it was trained in full, so that a
    selected trial has all of its epochs.
    """
    confirmation = confirmation_of(study)
    if confirmation is not None:
        return in_full(study, study.trial(confirmation.selected))
    return best_trial(study.config, study.trials())


def selected_trial(study: StudyRecord) -> TrialRecord:
    """Return the trial that the study answers with, see `find_selected`, or refuse."""
    selected = find_selected(study)
    if selected is None:
        counts = tally(study.trials())
        if counts.failed and not (counts.finished or counts.running):
            raise SweepError(
                f"study {study.name!r} has no complete trial: all {counts.failed} failed; "
                "begin a new one with a narrower space, e.g. a lower learning_rate"
            )
        raise SweepError(
            f"study {study.name!r} has no complete trial yet; go on with `sweep run {study.name}`"
        )
    return selected


def grounds(study: StudyRecord) -> str:
    """Return in a phrase why the selected trial is the selected one."""
    confirmation = confirmation_of(study)
    if confirmation is None:
        return f"best by {study.config.objective}, not confirmed"
    later = tally(study.trials()).finished - confirmation.finished
    return f"confirmed on {len(confirmation.seeds)} fresh seeds" + (
        f", before the last {later} trials finished" if later > 0 else ""
    )


def fetch_classifier(
    study: StudyRecord, trial: TrialRecord, tracker: Tracker | AnyMirror | None
) -> LinearClassifier:
    """Return the weights that a trial ended with, from wherever they were kept.

    That is the folder of what MLflow does not have yet, the trial's own run or, where the MLflow
    store was lost since, a reproduction of it.

    Raises
    ------
    StoreUnreachableError
        They do not wait here, and MLflow, the tracker, is away.
    SweepError
        No run has the file, or it is not the one that the study recorded.

    """
    digest = trial.weights_digest or ""
    for file in study.workspace.pending(study.name).rglob(CLASSIFIER):
        classifier = LinearClassifier.load(file)
        if classifier.digest == digest:
            return classifier
    if tracker is None:
        raise StoreUnreachableError(
            f"trial {trial.number} of {study.name!r}: MLflow has the weights that it ended with, "
            "and does not answer; start its server, then run the same command again"
        )
    try:
        return tracker.call(download_classifier, digest)
    except ClassifierGoneError as error:
        raise SweepError(
            f"trial {trial.number} of {study.name!r}: the weights that it ended with are gone: "
            f"{error}; `sweep reproduce {study.name} --trial {trial.number}` makes them anew"
        ) from error


def register_champion(study: StudyRecord, mirror: AnyMirror) -> str | None:
    """Register the selected trial's model as `champion`; None where there is nothing to do.

    That is the one of training and validation rows, where it was trained on them.

    Raises
    ------
    SweepError
        The weights are gone.

    """
    selected = find_selected(study)
    if selected is None:
        return None
    refit = find_refit(study, selected)
    key = run_key(study, selected) if refit is None else refit_key(study, selected.number)
    run_id = mirror.run_id(key)
    if run_id is None:
        return None
    name = mirror.call(model_name, study.tags)
    if mirror.call(champion_run, name) == run_id:
        return None
    classifier = fetch_classifier(study, refit or selected, mirror)
    return mirror.call(register, run_id, classifier, name=name, tags=study.tags)

"""A trial's classifier, fetched from its run and checked against the record."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sweep.analysis.in_full import in_full_files, run_key
from sweep.analysis.selection import find_selected, refuse_unfinished
from sweep.disks import scratch_folder
from sweep.errors import StoreUnreachableError, SweepError
from sweep.search.study_run import pending_files
from sweep.search.training_log import CLASSIFIER_FILE, CLASSIFIER_FOLDER
from sweep.tracking.champion import champion_run, model_name, register
from sweep_model.classifier import LinearClassifier

if TYPE_CHECKING:
    from mlflow.entities import Run

    from sweep.search.record import StudyRecord
    from sweep.search.trials import TrialRecord
    from sweep.tracking.mirror import Mirror
    from sweep.tracking.tracker import Tracker

KEPT = f"{CLASSIFIER_FOLDER}/{CLASSIFIER_FILE}"


def fetch_classifier(study: StudyRecord, trial: TrialRecord, tracker: Tracker) -> LinearClassifier:
    """Return the weights that a trial ended with, from wherever they were kept.

    That is the folder of what MLflow does not have yet, the trial's own run or, where the MLflow
    store was lost since, a reproduction of it.

    Raises
    ------
    SweepError
        No run has the file, or it is not the one that the study recorded.

    """
    digest, trouble = trial.weights_digest, "no run in MLflow has them"
    for folder in (in_full_files(study, trial.number), pending_files(study, trial.number)):
        if (folder / KEPT).is_file():
            classifier = LinearClassifier.load(folder / KEPT)
            if classifier.digest == digest:
                return classifier
    for run in tracker.runs(weights_digest=digest):
        try:
            classifier = _download(run, tracker)
        except StoreUnreachableError:
            raise
        except (SweepError, ValueError) as error:
            trouble = str(error)
            continue
        if classifier.digest == digest:
            return classifier
        trouble = f"run {run.info.run_id} has others, of digest {classifier.digest[:12]}"
    raise SweepError(
        f"trial {trial.number} of {study.name!r}: the weights that it ended with are gone: "
        f"{trouble}; `sweep reproduce {study.name} --trial {trial.number}` makes them anew"
    )


def _download(run: Run, tracker: Tracker) -> LinearClassifier:
    client, run_id = tracker.client, run.info.run_id
    with scratch_folder() as folder, tracker.reaching():
        if KEPT not in {item.path for item in client.list_artifacts(run_id, CLASSIFIER_FOLDER)}:
            raise SweepError(f"run {run_id} has no {KEPT}")
        return LinearClassifier.load(Path(client.download_artifacts(run_id, KEPT, str(folder))))


def register_champion(study: StudyRecord, mirror: Mirror) -> str | None:
    """Register the selected trial's model as `champion`; None where there is nothing to do.

    Raises
    ------
    SweepError
        The weights are gone, or not those of all epochs.

    """
    selected, tracker = find_selected(study), mirror.tracker
    run_id = None if selected is None else mirror.run_id(run_key(study, selected))
    if selected is None or run_id is None:
        return None
    refuse_unfinished(study, selected)
    name = model_name(tracker, study.tags)
    if champion_run(tracker, name) == run_id:
        return None
    classifier = fetch_classifier(study, selected, tracker)
    return register(tracker, run_id, classifier, name=name, tags=study.tags)

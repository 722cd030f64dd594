"""The chosen trial's model, fetched from its run and checked against the record."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.disks import scratch_folder
from sweep.errors import StoreUnreachableError, SweepError
from sweep.study import attributes
from sweep.study.results import find_chosen
from sweep.study.training_run import CLASSIFIER_FILE, CLASSIFIER_FOLDER
from sweep.tracking.champion import champion_run, crown, model_name
from sweep.tracking.run import Run
from sweep_model.linear import LinearClassifier

if TYPE_CHECKING:
    from mlflow.entities import RunInfo
    from optuna.trial import FrozenTrial

    from sweep.study.opening import OpenStudy
    from sweep.tracking.tracker import Tracker


def fetch_classifier(study: OpenStudy, trial: FrozenTrial, tracker: Tracker) -> LinearClassifier:
    """Return the weights that a trial ended with, from whichever run kept them.

    That is the trial's own run or, where the MLflow store was lost since, a reproduction of it.

    Raises
    ------
    SweepError
        No run has the file, or it is not the one that the study recorded.

    """
    digest = trial.user_attrs.get(attributes.WEIGHTS_DIGEST)
    trouble = "no run in MLflow has them"
    for run in tracker.runs(weights_digest=digest):
        try:
            classifier = _download_classifier(run.info, tracker)
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


def _download_classifier(info: RunInfo, tracker: Tracker) -> LinearClassifier:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

    kept = f"{CLASSIFIER_FOLDER}/{CLASSIFIER_FILE}"
    with scratch_folder() as folder, tracker.reaching():
        files: Any = get_artifact_repository(info.artifact_uri, tracking_uri=tracker.uri)
        if kept not in {item.path for item in files.list_artifacts(CLASSIFIER_FOLDER)}:
            raise SweepError(f"run {info.run_id} has no {kept}")
        # What lies on this machine is read where it is, even if there is no room for a copy.
        here = isinstance(files, LocalArtifactRepository)
        path = files.download_artifacts(kept, None if here else str(folder))
        return LinearClassifier.load(Path(path))


def trial_run(study: OpenStudy, trial: FrozenTrial, tracker: Tracker) -> Run | None:
    """Return the trial's run in this MLflow store, which may be younger than the trial."""
    found = tracker.runs(role="trial", **study.tags, trial=trial.number)
    return Run(tracker, found[0].info.run_id) if found else None


def crown_chosen(study: OpenStudy, tracker: Tracker) -> str | None:
    """Register the chosen trial's model as `champion`; None where there is nothing to do.

    Raises
    ------
    SweepError
        The weights are gone.

    """
    chosen = find_chosen(study)
    run = trial_run(study, chosen, tracker) if chosen is not None else None
    if chosen is None or run is None:
        return None
    name = model_name(tracker, study.tags)
    if champion_run(tracker, name) == run.id:
        return None
    classifier = fetch_classifier(study, chosen, tracker)
    with scratch_folder() as folder:
        path = folder / CLASSIFIER_FILE
        classifier.save(path)
        return crown(run, path, classifier, name=name, tags=study.tags)

"""The chosen trial's model: logged with its signature and registered as `champion`."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.errors import StoreUnreachableError, SweepError
from sweep.io import scratch_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sweep.tracking.client import Tracker
    from sweep_model.classifier import LinearClassifier

ALIAS = "champion"
CLASSIFIER = "classifier/classifier.npz"
"""Where a run keeps its weights, among its artifacts."""


class ClassifierGoneError(SweepError):
    """No run has the weights."""


def download_classifier(tracker: Tracker, digest: str) -> LinearClassifier:
    """Return the classifier with this digest from whichever run has it.

    Raises
    ------
    ClassifierGoneError
        None has; the message says in a phrase why.

    """
    reason = "no run in MLflow has them"
    for run in tracker.runs(weights_digest=digest):
        try:
            classifier = _download(tracker, run.info.run_id)
        except StoreUnreachableError:
            raise
        except (SweepError, ValueError) as error:
            reason = str(error)
            continue
        if classifier.digest == digest:
            return classifier
        reason = f"run {run.info.run_id} has others, of digest {classifier.digest[:12]}"
    raise ClassifierGoneError(reason)


def _download(tracker: Tracker, run_id: str) -> LinearClassifier:
    from sweep_model.classifier import LinearClassifier

    folder = CLASSIFIER.rpartition("/")[0]
    with scratch_folder() as scratch, tracker.reaching():
        if CLASSIFIER not in {item.path for item in tracker.client.list_artifacts(run_id, folder)}:
            raise SweepError(f"run {run_id} has no {CLASSIFIER}")
        path = tracker.client.download_artifacts(run_id, CLASSIFIER, str(scratch))
        return LinearClassifier.load(Path(path))


def champion_run(tracker: Tracker, name: str) -> str | None:
    """Return the id of the run whose model is the champion; None where there is none."""
    from mlflow.exceptions import MlflowException

    with tracker.reaching():
        try:
            return str(tracker.client.get_model_version_by_alias(name, ALIAS).run_id)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise


def model_name(tracker: Tracker, tags: Mapping[str, str]) -> str:
    """Return what the study's model is registered as: its name, unless a namesake's has that."""
    with tracker.reaching():
        models = tracker.client.search_registered_models(f"name = '{tags['study']}'")
    if models and models[0].tags.get("sweep.study_id") != tags["study_id"]:
        return f"{tags['study']}-{tags['study_id'][:8]}"
    return tags["study"]


def register(
    tracker: Tracker,
    run_id: str,
    classifier: LinearClassifier,
    *,
    name: str,
    tags: Mapping[str, str],
) -> str:
    """Log the model of a trial's run and point `models:/NAME@champion` at it.

    The process's own tracking address stays as it is. Returns the model's address.
    """
    from mlflow.entities import LoggedModelOutput

    client = tracker.client
    with scratch_folder() as folder, tracker.reaching(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about type hints and examples
        _save(classifier, folder)
        model = client.create_logged_model(
            tracker.experiment_id, "model", run_id, model_type="pyfunc"
        )
        client.log_model_artifacts(model.model_id, str(folder / "model"))
        client.finalize_logged_model(model.model_id, "READY")
        client.log_outputs(run_id, models=[LoggedModelOutput(model.model_id, step=0)])
        if not client.search_registered_models(f"name = '{name}'"):
            client.create_registered_model(name, {f"sweep.{key}": tags[key] for key in tags})
        # Not `model.model_uri`, which MLflow would look up at the process's tracking address.
        version = client.create_model_version(
            name, model.artifact_location, run_id, model_id=model.model_id, await_creation_for=0
        )
        client.set_registered_model_alias(name, ALIAS, str(version.version))
    return f"models:/{name}@{ALIAS}"


def _save(classifier: LinearClassifier, folder: Path) -> None:
    """Write MLflow's model into `folder/model`."""
    import mlflow.pyfunc
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    import sweep_model

    classes, features = classifier.weights.shape
    float32 = np.dtype(np.float32)
    raw = float32 if classifier.standardiser.fits_float32 else np.dtype(np.float64)
    path = folder / "classifier.npz"
    classifier.save(path)
    mlflow.pyfunc.save_model(
        folder / "model",
        python_model=str(Path(__file__).with_name("served.py")),
        artifacts={"classifier": str(path)},
        code_paths=[str(Path(sweep_model.__file__).parent)],
        signature=ModelSignature(
            # Without names: a named one reaches the model as a dictionary of arrays.
            inputs=Schema([TensorSpec(raw, (-1, features))]),
            outputs=Schema([TensorSpec(float32, (-1, classes))]),
        ),
        pip_requirements=[f"numpy=={np.__version__}"],
    )

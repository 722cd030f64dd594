"""The chosen trial's model: logged with its signature and registered as `champion`."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow import MlflowClient
    from mlflow.models import ModelSignature
    from mlflow.models.model import ModelInfo

    from sweep.tracking.run import Run
    from sweep.tracking.tracker import Tracker
    from sweep_model.linear import LinearClassifier

ALIAS = "champion"


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
        found = tracker.client.search_registered_models(f"name = '{tags['study']}'")
    if found and found[0].tags.get("sweep.study_id") != tags["study_id"]:
        return f"{tags['study']}-{tags['study_id'][:8]}"
    return tags["study"]


def crown(
    run: Run,
    classifier_file: Path,
    classifier: LinearClassifier,
    *,
    name: str,
    tags: Mapping[str, str],
) -> str:
    """Log the model to a trial's run and point `models:/NAME@champion` at it.

    Returns the model's address.
    """
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    client = run.tracker.client
    classes, features = classifier.weights.shape
    float32 = np.dtype(np.float32)
    signature = ModelSignature(
        # Without names: a named one reaches the model as a dictionary of arrays.
        inputs=Schema([TensorSpec(float32, (-1, features))]),
        outputs=Schema([TensorSpec(float32, (-1, classes))]),
    )
    with run.tracker.reaching(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about type hints and examples
        ended = client.get_run(run.id).info
        try:
            info = _log_model(run.id, classifier_file, signature)
        finally:
            # Opening a run to log into it moves its end; put it back where training ended.
            client.set_terminated(run.id, ended.status, ended.end_time)
        _register(client, name, info, run.id, tags)
    return f"models:/{name}@{ALIAS}"


def _log_model(run_id: str, classifier_file: Path, signature: ModelSignature) -> ModelInfo:
    import mlflow
    import numpy as np

    import sweep_model

    with mlflow.start_run(run_id=run_id):
        info: ModelInfo = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(Path(__file__).with_name("served.py")),
            artifacts={"classifier": str(classifier_file)},
            code_paths=[str(Path(sweep_model.__file__).parent)],
            signature=signature,
            pip_requirements=[f"numpy=={np.__version__}"],
        )
    return info


def _register(
    client: MlflowClient, name: str, info: ModelInfo, run_id: str, tags: Mapping[str, str]
) -> None:
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name, {f"sweep.{key}": tags[key] for key in tags})
    version = client.create_model_version(
        name, info.model_uri, run_id, model_id=info.model_id, await_creation_for=0
    )
    client.set_registered_model_alias(name, ALIAS, str(version.version))

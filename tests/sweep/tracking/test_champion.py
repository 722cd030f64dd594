import os
from pathlib import Path

import mlflow
import numpy as np
import pytest

from sweep.errors import StoreUnreachableError
from sweep.tracking.champion import champion_run, model_name, register
from sweep_model.classifier import LinearClassifier
from sweep_model.losses import BCE
from sweep_model.preprocessing import Standardiser

TAGS = {"study": "digits-bce", "study_id": "0123456789abcdef"}


@pytest.fixture
def classifier(rng):
    return LinearClassifier(
        weights=rng.normal(size=(3, 4)).astype(np.float32),
        bias=rng.normal(size=3).astype(np.float32),
        standardiser=Standardiser(np.full(4, 0.5, np.float32), np.full(4, 2.0, np.float32)),
        loss=BCE,
        image_shape=(1, 2, 2),
        class_names=("a", "b", "c"),
    )


@pytest.fixture
def finish(tracker):
    """Return a function that makes a run which has ended."""

    def finish(name):
        run = tracker.client.create_run(tracker.experiment_id, run_name=name)
        tracker.client.set_terminated(run.info.run_id, "FINISHED", 1_700_000_000_000)
        return run.info.run_id

    return finish


def test_before_anything_is_registered_there_is_no_champion(tracker):
    assert champion_run(tracker, "digits-bce") is None


def test_a_store_that_is_away_is_not_taken_for_one_without_a_champion(tracker, monkeypatch):
    def away(*_):
        raise mlflow.MlflowException("no answer")

    monkeypatch.setattr(tracker.client, "get_model_version_by_alias", away)
    with pytest.raises(StoreUnreachableError, match="no answer"):
        champion_run(tracker, "digits-bce")


def test_the_model_serves_what_the_classifier_predicts(
    tracker, finish, classifier, rng, monkeypatch
):
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    environment, folder = dict(os.environ), Path.cwd()
    run_id = finish("trial-003")
    address = register(tracker, run_id, classifier, name="digits-bce", tags=TAGS)
    assert (mlflow.get_tracking_uri(), mlflow.get_registry_uri()) == before
    assert (dict(os.environ), Path.cwd()) == (environment, folder)
    assert tracker.uri not in before
    assert address == "models:/digits-bce@champion"
    assert champion_run(tracker, "digits-bce") == run_id
    run = tracker.client.get_run(run_id)
    assert (run.info.status, run.info.end_time) == ("FINISHED", 1_700_000_000_000)
    (output,) = run.outputs.model_outputs
    model = tracker.client.get_logged_model(output.model_id)
    assert (model.source_run_id, model.status) == (run_id, "READY")
    version = tracker.client.get_model_version_by_alias("digits-bce", "champion")
    assert version.source == model.artifact_location

    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracker.uri)
    served = mlflow.pyfunc.load_model(address)
    rows = rng.normal(size=(5, 4)).astype(np.float32)
    assert np.array_equal(served.predict(rows), classifier.probabilities(rows))
    assert [spec.shape for spec in served.metadata.signature.inputs] == [(-1, 4)]
    assert [spec.shape for spec in served.metadata.signature.outputs] == [(-1, 3)]
    with pytest.raises(mlflow.MlflowException, match="shape"):
        served.predict(rows[:, :3])


def test_the_alias_moves_on_and_a_namesake_of_another_folder_gets_its_own_model(
    tracker, finish, classifier
):
    assert model_name(tracker, TAGS) == "digits-bce"
    runs = [finish(name) for name in ("first", "second")]
    for run_id in runs:
        register(tracker, run_id, classifier, name="digits-bce", tags=TAGS)
        assert champion_run(tracker, "digits-bce") == run_id
    versions = tracker.client.search_model_versions("name = 'digits-bce'")
    assert {version.run_id for version in versions} == set(runs)
    assert model_name(tracker, TAGS) == "digits-bce"
    assert model_name(tracker, TAGS | {"study_id": "f" * 32}) == "digits-bce-ffffffff"
    assert model_name(tracker, TAGS | {"study": "other"}) == "other"

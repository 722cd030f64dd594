import mlflow
import numpy as np
import pytest

from sweep.errors import StoreUnreachableError
from sweep.tracking.champion import champion_run, crown, model_name
from sweep.tracking.run import Run
from sweep.tracking.tracker import Tracker
from sweep_model.linear import LinearClassifier
from sweep_model.losses import BCE
from sweep_model.standardise import Standardiser

TAGS = {"study": "digits-bce", "study_id": "0123456789abcdef"}


@pytest.fixture
def tracker(workspace):
    del workspace
    return Tracker("digits")


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
def crowned(tracker, classifier, tmp_path):
    """Return the address of a model and the run that it was logged to, which had ended."""
    path = tmp_path / "classifier.npz"
    classifier.save(path)
    run = Run.create(tracker, "trial-003", tags={})
    run.end("FINISHED")
    ended = tracker.client.get_run(run.id).info.end_time
    address = crown(run, path, classifier, name="digits-bce", tags=TAGS)
    assert tracker.client.get_run(run.id).info.end_time == ended
    return address, run


def test_before_anything_is_registered_there_is_no_champion(tracker):
    assert champion_run(tracker, "digits-bce") is None


def test_a_store_that_is_away_is_not_taken_for_one_without_a_champion(tracker, monkeypatch):
    def away(*_):
        raise mlflow.MlflowException("no answer")

    monkeypatch.setattr(tracker.client, "get_model_version_by_alias", away)
    with pytest.raises(StoreUnreachableError, match="no answer"):
        champion_run(tracker, "digits-bce")


def test_the_model_serves_what_the_classifier_predicts(crowned, tracker, classifier, rng):
    address, run = crowned
    assert address == "models:/digits-bce@champion"
    assert champion_run(tracker, "digits-bce") == run.id
    assert tracker.client.get_run(run.id).info.status == "FINISHED"

    served = mlflow.pyfunc.load_model(address)
    rows = rng.normal(size=(5, 4)).astype(np.float32)
    assert np.array_equal(served.predict(rows), classifier.probabilities(rows))
    assert [spec.shape for spec in served.metadata.signature.inputs] == [(-1, 4)]
    assert [spec.shape for spec in served.metadata.signature.outputs] == [(-1, 3)]
    with pytest.raises(mlflow.MlflowException, match="shape"):
        served.predict(rows[:, :3])


def test_the_alias_moves_on_to_a_newer_version(tracker):
    from types import SimpleNamespace

    from sweep.tracking import champion

    info = SimpleNamespace(model_uri="file:///nowhere", model_id=None)
    runs = [Run.create(tracker, name, tags={}) for name in ("first", "second")]
    for run in runs:
        champion._register(tracker.client, "digits-bce", info, run.id, TAGS)
        assert champion_run(tracker, "digits-bce") == run.id
    versions = tracker.client.search_model_versions("name = 'digits-bce'")
    assert {version.run_id for version in versions} == {run.id for run in runs}


def test_a_study_keeps_its_model_and_a_namesake_of_another_folder_gets_its_own(crowned, tracker):
    del crowned
    assert model_name(tracker, TAGS) == "digits-bce"
    assert model_name(tracker, TAGS | {"study_id": "f" * 32}) == "digits-bce-ffffffff"
    assert model_name(tracker, TAGS | {"study": "other"}) == "other"

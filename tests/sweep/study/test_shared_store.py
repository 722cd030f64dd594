"""Two folders that use one MLflow store, as people with one tracking server do."""

import pytest

from sweep.tracking.tracker import Tracker

pytestmark = pytest.mark.slow


@pytest.fixture
def run_in(workspace, invoke, tiny_npz, monkeypatch):
    """Return a function that runs a study of one trial in a folder, tracked in one shared store."""
    uri = f"sqlite:///{workspace / 'mlruns' / 'mlflow.db'}"

    def run(name, *options):
        (workspace / name).mkdir(exist_ok=True)
        monkeypatch.chdir(workspace / name)
        done = invoke(
            *("run", "--data", tiny_npz, "--trials", 1, "--epochs", 1, "--tracking-uri", uri),
            *options,
        )
        assert done.exit_code == 0, done.output
        return Tracker("tiny", uri=uri)

    return run


def test_namesakes_keep_their_runs_and_champions_apart(run_in):
    run_in("first", "--seed", 0)
    tracker = run_in("second", "--seed", 7)
    parents = tracker.runs(role="study")
    assert [parent.data.params["seed"] for parent in parents] == ["0", "7"]
    trials = tracker.runs(role="trial")
    assert [trial.data.tags["mlflow.parentRunId"] for trial in trials] == [
        parent.info.run_id for parent in parents
    ]
    models = tracker.client.search_registered_models()
    champions = [
        tracker.client.get_model_version_by_alias(model.name, "champion").run_id
        for model in sorted(models, key=lambda model: model.creation_timestamp)
    ]
    assert champions == [trial.info.run_id for trial in trials]


def test_a_study_begun_anew_after_its_store_was_lost_is_another_study(run_in, workspace):
    run_in("folder")
    for file in (workspace / "folder" / "mlruns").glob("optuna.db*"):
        file.unlink()
    tracker = run_in("folder")
    parents = [parent.info.run_id for parent in tracker.runs(role="study")]
    assert [run.data.tags["mlflow.parentRunId"] for run in tracker.runs(role="trial")] == parents
    assert len(parents) == 2


def test_artifacts_lie_beside_the_database(run_in, workspace):
    run_in("folder")
    assert (workspace / "mlruns" / "artifacts").is_dir()
    assert not (workspace / "folder" / "mlruns" / "artifacts").exists()

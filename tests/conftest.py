"""What every test shares: no user's folders or settings, and a store that is quick to make."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from click.testing import Result

    from sweep.study.loop import StudyLoop
    from sweep.study.opening import OpenStudy
    from sweep.tracking.tracker import Tracker

# The same examples on every machine; a slow one must not fail a test.
settings.register_profile("sweep", deadline=None, derandomize=True)
settings.load_profile("sweep")


ADDRESS = "MLFLOW_TRACKING_URI"


@pytest.fixture(autouse=True)
def _no_outside_settings(monkeypatch, tmp_path_factory):
    for name in ("SWEEP_DATA_DIR", "MLFLOW_RUN_ID", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    os.environ.pop(ADDRESS, None)
    yield
    os.environ.pop(ADDRESS, None)  # mlflow.set_tracking_uri leaves it behind, for later fixtures


@contextmanager
def _entered(folder: Path) -> Iterator[None]:
    """Work in a folder, and let MLflow forget the one before: it keeps relative addresses open."""
    before = Path.cwd()
    os.chdir(folder)
    _forget_stores()
    try:
        yield
    finally:
        os.chdir(before)
        _forget_stores()


def _forget_stores() -> None:
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as Models
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as Runs
    from mlflow.tracking._model_registry.registry import ModelRegistryStoreRegistry
    from mlflow.tracking._tracking_service.registry import TrackingStoreRegistry

    os.environ.pop("MLFLOW_TRACKING_URI", None)  # mlflow.set_tracking_uri leaves it behind
    for registry in (ModelRegistryStoreRegistry, TrackingStoreRegistry):
        registry._get_store_with_resolved_uri.cache_clear()
    for store in (Models, Runs):
        for engine in store._engine_map.values():
            engine.dispose()
        store._engine_map.clear()


@pytest.fixture(scope="session")
def empty_mlflow_database(tmp_path_factory) -> Path:
    """Return a database as MLflow makes it: 2 s of migrations, 0.05 s to copy."""
    from sweep.tracking.tracker import _client

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    _client(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def workspace(tmp_path, empty_mlflow_database) -> Iterator[Path]:
    """Return an empty working folder, entered, whose MLflow store is made already."""
    (tmp_path / "mlruns").mkdir()
    shutil.copy(empty_mlflow_database, tmp_path / "mlruns" / "mlflow.db")
    with _entered(tmp_path):
        yield tmp_path


def _must_not_be_opened(_: object) -> None:
    raise AssertionError("the search opened the test rows")


@pytest.fixture(scope="session")
def finished_study(tmp_path_factory, empty_mlflow_database) -> Path:
    """Return a folder with the study `digits-softmax` of 6 trials, 2 epochs; tests only read it."""
    from sweep.cli import main

    folder = tmp_path_factory.mktemp("finished")
    (folder / "mlruns").mkdir()
    shutil.copy(empty_mlflow_database, folder / "mlruns" / "mlflow.db")
    with _entered(folder), pytest.MonkeyPatch.context() as sealed:
        sealed.setattr("sweep.data.digits.Digits.test", _must_not_be_opened)
        done = CliRunner().invoke(
            main, ["run", "--data", "digits", "--trials", "6", "--epochs", "2"]
        )
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def in_finished_study(finished_study) -> Iterator[Path]:
    """Enter the finished study's folder."""
    with _entered(finished_study):
        yield finished_study


@pytest.fixture
def in_copied_study(finished_study, tmp_path) -> Iterator[Path]:
    """Enter a copy of the finished study's folder, to change its stores."""
    shutil.copytree(finished_study / "mlruns", tmp_path / "mlruns")
    with _entered(tmp_path):
        yield tmp_path


@pytest.fixture
def at_home(monkeypatch) -> None:
    """Let a copied study's files lie in the copy: MLflow has the full name of where they lay."""
    from sweep.study.storage import FOLDER
    from sweep.tracking.tracker import Tracker

    monkeypatch.setattr(Tracker, "files_in", lambda _: FOLDER.resolve() / "artifacts")


@pytest.fixture
def rng():
    return np.random.default_rng(20230401)


@pytest.fixture
def invoke() -> Callable[..., Result]:
    """Return a function that runs a command of `sweep` in this process."""
    from sweep.cli import main

    return lambda *arguments: CliRunner().invoke(
        main, [str(argument) for argument in arguments], prog_name="sweep"
    )


@pytest.fixture(scope="session")
def tiny_npz(tmp_path_factory) -> Path:
    """Return a data set without images: 90 rows of 4 features in 3 classes, 18 for validation.

    It has 9 test rows, which are the first of the others again.
    """
    draws = np.random.default_rng(7)
    labels = np.repeat(np.arange(3), 30)
    rows = draws.normal(size=(90, 4)) + 2 * np.eye(3, 4)[labels]
    path = tmp_path_factory.mktemp("data") / "tiny.npz"
    rows = rows.astype(np.float32)
    np.savez(path, X=rows, y=labels, X_test=rows[::10], y_test=labels[::10])
    return path


@pytest.fixture
def tiny_study(workspace, tiny_npz) -> Callable[..., StudyLoop]:  # noqa: ARG001 - enters the folder
    """Return a function that begins the study `tiny-softmax` and makes its loop, not yet run."""
    from sweep.layout import LayoutChoice
    from sweep.study.listener import Listener
    from sweep.study.loop import StudyLoop
    from sweep.study.opening import begin_study
    from sweep.study.plan import Plan
    from sweep.study.storage import create_storage
    from sweep.timings import Timings
    from sweep.tracking.tracker import Tracker

    def begin(**changes: object) -> StudyLoop:
        options = {
            "loss": "softmax",
            "epochs": 2,
            "seed": 0,
            "data": str(tiny_npz),
            "data_dir": None,
            "val_size": None,
            "split_seed": 0,
            "space_file": None,
            "overrides": (),
            "sampler": "random",
            "pruner": "none",
            "objective": "val-accuracy",
            "study_name": None,
        }
        layout = LayoutChoice(slots=1)
        plan = Plan(**({**options, "layout": layout} | changes))
        settings, data = plan.settle(plan.open_source(), trials=6)
        study = begin_study(settings, create_storage(), plan.layout)
        return StudyLoop(study, data, Tracker("tiny"), Listener(), Timings())

    return begin


@pytest.fixture(scope="session")
def tiny_data():
    """Return 45 training and 15 validation rows of 12 features, images of 3 x 4, in 3 classes."""
    from sweep.data import Dataset, Split, prepare

    rng = np.random.default_rng(7)
    labels = np.arange(60) % 3
    rows = rng.normal(size=(3, 12))[labels] + rng.normal(size=(60, 12))
    dataset = Dataset(
        name="tiny",
        rows=rows.astype(np.float32),
        labels=labels,
        class_names=("ant", "bee", "cat"),
        image_shape=(1, 3, 4),
    )
    return prepare(dataset, Split(train=np.arange(45), val=np.arange(45, 60)))


@pytest.fixture(scope="session")
def make_settings():
    """Return a function that makes the settings of a study `tiny-softmax`, some of them changed."""
    from sweep.layout import Layout
    from sweep.settings import DataChoice, Settings
    from sweep.space import DEFAULT_SPACES

    choice = DataChoice(
        source="/data/tiny.npz",
        directory=None,
        name="tiny",
        val_size=15,
        split_seed=0,
        data_digest="d" * 64,
        split_digest="5" * 64,
    )

    def make(**changes):
        loss = changes.get("loss", "softmax")
        standard = {
            "study": f"tiny-{loss}",
            "loss": loss,
            "epochs": 6,
            "seed": 0,
            "sampler": "tpe",
            "pruner": "median",
            "objective": "val-accuracy",
            "data": choice,
            "space": DEFAULT_SPACES.get(loss),
            "layout": Layout(slots=2, width=2, workers=1),
        }
        return Settings(**{**standard, **changes})

    return make


@pytest.fixture
def in_both_stores() -> Callable[[OpenStudy, Tracker], None]:
    """Return a check that each trial of the study has one MLflow run that says the same."""
    from sweep.study import attributes
    from sweep.study.ending import Ending

    def check(study: OpenStudy, tracker: Tracker) -> None:
        (parent,) = tracker.runs(role="study", study=study.name)
        runs = tracker.runs(role="trial", study=study.name)
        assert sorted(int(run.data.tags["sweep.trial"]) for run in runs) == [
            trial.number for trial in study.trials()
        ]
        for run in runs:
            trial = study.trials()[int(run.data.tags["sweep.trial"])]
            known, tags = trial.user_attrs, run.data.tags
            ending = Ending(known[attributes.ENDING])
            assert trial.state == ending.state
            assert run.info.status == ending.mlflow_status
            assert tags["sweep.ending"] == ending
            assert tags.get("sweep.reason", "") == known[attributes.REASON]
            assert tags["mlflow.parentRunId"] == parent.info.run_id
            assert tags["mlflow.runName"] == f"trial-{trial.number:03d}"
            for name, value in trial.params.items():
                assert float(run.data.params[name]) == value
            for metric, curve in known.get(attributes.CURVES, {}).items():
                points = tracker.client.get_metric_history(run.info.run_id, metric)
                assert [(point.step, point.value) for point in points] == list(
                    enumerate(curve, start=1)
                )

    return check


@pytest.fixture
def no_figures(monkeypatch) -> None:
    """Draw and register nothing: for tests of a study's course."""
    monkeypatch.setattr("sweep.study.loop.log_overview", lambda *_: None)
    monkeypatch.setattr("sweep.study.conclusion.log_overview", lambda *_: None)
    monkeypatch.setattr("sweep.study.conclusion.crown_chosen", lambda *_: None)
    monkeypatch.setattr("sweep.study.training_run.curves_figure", lambda *_, **__: None)
    monkeypatch.setattr("sweep.tracking.run.Run.figure", lambda *_: None)


@pytest.fixture
def outcome() -> Callable[[OpenStudy], list[object]]:
    """Return a function that tells, by position, what an interruption must not change."""
    from sweep.study import attributes
    from sweep.study.position import settled

    def tell(study: OpenStudy) -> list[object]:
        names = (attributes.SEAT, attributes.CURVES, attributes.WEIGHTS_DIGEST, attributes.ENDING)
        return [
            (trial.params, trial.value, [trial.user_attrs[name] for name in names])
            for trial in settled(study.trials())
        ]

    return tell

"""What every test shares: nothing of the user's own, stores that are quick to make, and data."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import settings

from sweep.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from click.testing import Result
    from optuna.storages import BaseStorage

    from sweep.analysis import Plan, Session
    from sweep.config import StudyConfig
    from sweep.data import Prepared
    from sweep.search.record import StudyRecord
    from sweep.search.trials import TrialRecord
    from sweep.tracking.client import Tracker

settings.register_profile("default", deadline=None, max_examples=25)
settings.register_profile("ci", deadline=None, max_examples=200, print_blob=True)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "default")
)

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # which it decides when it is imported

OUTSIDE = ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "SWEEP_DATA_DIR", "NO_COLOR")


@pytest.fixture(autouse=True)
def _no_outside_settings(monkeypatch, tmp_path_factory):
    for name in OUTSIDE:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


# Stores and working folders


@pytest.fixture(scope="session")
def empty_mlflow_database(tmp_path_factory) -> Path:
    """Return a database as MLflow makes it: 2 s of migrations, 0.05 s to copy."""
    from sweep.tracking.undocumented import create_tables

    path: Path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    create_tables(path, path.parent / "artifacts")
    return path


@pytest.fixture(scope="session")
def empty_optuna_database(tmp_path_factory) -> Path:
    """Return a database as Optuna makes it."""
    from sweep.search.storage import create_storage

    workspace = Workspace(tmp_path_factory.mktemp("optuna"))
    create_storage(workspace).engine.dispose()
    return workspace.optuna_database


@pytest.fixture(scope="session")
def furnish(empty_mlflow_database, empty_optuna_database) -> Callable[[Path], Workspace]:
    """Return a function that puts both empty stores into a folder."""

    def make(root: Path) -> Workspace:
        workspace = Workspace(root)
        workspace.folder.mkdir(exist_ok=True)
        shutil.copy(empty_mlflow_database, workspace.mlflow_database)
        shutil.copy(empty_optuna_database, workspace.optuna_database)
        return workspace

    return make


@pytest.fixture
def workspace(tmp_path, furnish) -> Iterator[Workspace]:
    """Return a workspace with both stores, which are empty; the working folder is another."""
    yield furnish(tmp_path)
    _forget_stores()


@pytest.fixture
def in_workspace(workspace) -> Iterator[Workspace]:
    """Return a workspace with both stores, entered: for commands."""
    with _entered(workspace):
        yield workspace


@pytest.fixture
def tracker(workspace) -> Tracker:
    """Return the experiment `tiny` of the workspace."""
    from sweep.tracking.client import Tracker

    return Tracker("tiny", workspace)


@contextmanager
def _entered(workspace: Workspace) -> Iterator[None]:
    """Work in a folder, and let MLflow forget the one before: it keeps relative addresses open."""
    before = Path.cwd()
    os.chdir(workspace.root)
    _forget_stores()
    try:
        yield
    finally:
        os.chdir(before)
        _forget_stores()


def _forget_stores() -> None:
    """Close MLflow's databases, which it keeps open by their addresses."""
    if "mlflow" not in sys.modules:
        return
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as Models
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as Runs
    from mlflow.tracking._model_registry.registry import ModelRegistryStoreRegistry
    from mlflow.tracking._tracking_service.registry import TrackingStoreRegistry
    from mlflow.tracking._tracking_service.utils import _artifact_repos_cache

    _artifact_repos_cache.clear()  # by run, of which a copied store has the same
    for registry in (ModelRegistryStoreRegistry, TrackingStoreRegistry):
        registry._get_store_with_resolved_uri.cache_clear()
    for store in (Models, Runs):
        for engine in store._engine_map.values():
            engine.dispose()
        store._engine_map.clear()


# Data


@pytest.fixture
def rng():
    return np.random.default_rng(20230401)


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


@pytest.fixture(scope="session")
def image_npz(tmp_path_factory) -> Path:
    """Return a data set of images, 3 x 4 in grey: 60 rows in 3 classes, 12 for validation."""
    draws = np.random.default_rng(11)
    labels = np.repeat(np.arange(3), 20)
    rows = draws.normal(size=(60, 12)) * 40 + 128 + 60 * np.eye(3, 12)[labels]
    path = tmp_path_factory.mktemp("images") / "images.npz"
    pixels = rows.clip(0, 255).astype(np.uint8).reshape(60, 3, 4, 1)
    np.savez(path, X=pixels, y=labels, X_test=pixels[::10], y_test=labels[::10])
    return path


@pytest.fixture(scope="session")
def prepare_tiny() -> Callable[[bool], Prepared]:
    """Return a function that prepares 45 training and 15 validation rows, images of 3 x 4."""
    from sweep.data import Dataset, Split, prepare

    def make(mirrored: bool) -> Prepared:  # noqa: FBT001
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
        split = Split(train=np.arange(45), val=np.arange(45, 60))
        return prepare(dataset, split, mirrored=mirrored)

    return make


@pytest.fixture(scope="session")
def tiny_data(prepare_tiny) -> Prepared:
    """Return 45 training and 15 validation rows of 3 classes, images of 3 x 4, for panels."""
    return prepare_tiny(True)


@pytest.fixture(scope="session")
def tiny_pixels(prepare_tiny) -> Prepared:
    """Return the rows of `tiny_data` in pixel order, for the reference trainer."""
    return prepare_tiny(False)


# Studies and trials


@pytest.fixture(scope="session")
def make_config() -> Callable[..., StudyConfig]:
    """Return a function that makes the config of a study `tiny-LOSS`, some of it changed."""
    from sweep.config import DataConfig, StudyConfig
    from sweep.search_space import DEFAULT_SPACES

    data = DataConfig(
        source="/data/tiny.npz",
        directory=None,
        name="tiny",
        val_size=15,
        split_seed=0,
        data_digest="d" * 64,
        split_digest="5" * 64,
    )

    def make(**changes: Any) -> StudyConfig:
        loss = changes.get("loss", "softmax")
        usual: dict[str, Any] = {
            "study": f"tiny-{loss}",
            "loss": loss,
            "epochs": 6,
            "seed": 0,
            "sampler": "tpe",
            "pruner": "halving",
            "objective": "val-accuracy",
            "data": data,
            "space": DEFAULT_SPACES.get(loss),
            "slots": 8,
            "lanes": 4,
        }
        return StudyConfig(**{**usual, **changes})

    return make


@pytest.fixture(scope="session")
def make_trial() -> Callable[..., TrialRecord]:
    """Return a function that makes a trial on record by hand.

    `values` are its validation accuracies, epoch by epoch; the losses are 1 less each, unless
    `losses` says otherwise. It has the baseline's setting, with `params` in place of some of it.
    """
    from sweep.curves import METRICS
    from sweep.environment import environment
    from sweep.search.trials import Status, TrialRecord
    from sweep.search_space import BASELINES

    def make(
        number: int = 0,
        values: tuple[float, ...] | list[float] = (0.5,),
        *,
        losses: list[float] | None = None,
        status: str = "complete",
        params: dict[str, Any] | None = None,
        **changes: Any,
    ) -> TrialRecord:
        losses = [1 - value for value in values] if losses is None else losses
        curves = {
            metric: list(values if metric.endswith("accuracy") else losses)
            for metric in (*METRICS, "val/averaged_accuracy", "val/averaged_loss")
        }
        began = 1_700_000_000_000 + 1000 * number
        times = [began + 10 * epoch for epoch in range(1, len(values) + 1)]
        ended = status != "running"
        usual: dict[str, Any] = {
            "number": number,
            "index": number,
            "params": {**BASELINES["softmax"], **(params or {})},
            "first_pass": 0,
            "status": Status(status),
            "curves": curves if values else {},
            "times": times,
            "weights_digest": f"{number:064x}" if ended and status != "failed" else None,
            "environment": environment() if ended else {},
            "began": began,
            "ended": began + 10 * len(values) if ended else None,
        }
        return TrialRecord(**{**usual, **changes})

    return make


@pytest.fixture(scope="session")
def put_on_record() -> Callable[..., StudyRecord]:
    """Return a function that begins a study in a folder, with trials made by hand.

    Their numbers must be 0, 1, 2 and so on.
    """
    from sweep.search.record import begin_study
    from sweep.search.trials import Status

    def put(
        root: Path, storage: BaseStorage, config: StudyConfig, trials: Sequence[TrialRecord]
    ) -> StudyRecord:
        study = begin_study(config, storage, Workspace(root))
        for trial in trials:
            assert study.begin(trial, None) == trial.number
            if trial.status != Status.RUNNING:
                study.end(trial)
        return study

    return put


@pytest.fixture
def make_study(tmp_path, make_config, put_on_record) -> Callable[..., StudyRecord]:
    """Return a function that puts a study on record, in memory; see `put_on_record`."""
    from optuna.storages import InMemoryStorage

    storage = InMemoryStorage()

    def make(config: StudyConfig | None = None, trials: Sequence[TrialRecord] = ()) -> StudyRecord:
        return put_on_record(tmp_path, storage, config or make_config(), trials)

    return make


@pytest.fixture(scope="session")
def search() -> Callable[..., StudyRecord]:
    """Return a function that runs a study on record, without MLflow, to so many finished trials."""
    from sweep.engine import LocalEngine
    from sweep.search.checkpoint import Checkpoints
    from sweep.search.lock import Interrupts
    from sweep.search.runner import Runner
    from sweep.search.trials import Listener
    from sweep.timings import Timings

    class Nobody:
        def update(self, trials: object) -> None:
            pass

    def run(
        study: StudyRecord,
        data: Prepared,
        trials: int,
        *,
        workers: int = 1,
        interrupts: Interrupts | None = None,
        listener: Listener | None = None,
        engine_class: type[LocalEngine] = LocalEngine,
    ) -> StudyRecord:
        config, workspace, timings = study.config, study.workspace, Timings()
        with engine_class.of_study(config, data, workers=workers, timings=timings) as engine:
            Runner(
                config,
                data,
                record=study,
                engine=engine,
                checkpoints=Checkpoints(
                    workspace.checkpoint(study.name), study.identity, lambda _: None
                ),
                pending=workspace.pending(study.name),
                mirror=Nobody(),
                listener=listener or Listener(),
                timings=timings,
            ).run(trials, interrupts or Interrupts())
        return study

    return run


@pytest.fixture(scope="session")
def plan_tiny(tiny_npz) -> Callable[..., Plan]:
    """Return a function that plans the study `tiny-softmax` of `tiny_npz` in a workspace.

    Its arguments are those of `plan_study`; every trial is trained in full, and 18 rows validate,
    unless they say else.
    """
    from sweep.analysis import plan_study

    def make(workspace: Workspace, trials: int = 6, **changes: Any) -> Plan:
        options: dict[str, Any] = {
            "data": str(tiny_npz),
            "epochs": 2,
            "sampler": "random",
            "pruner": "none",
            **({} if "folds" in changes else {"val_size": 18}),
        }
        return plan_study(workspace, trials=trials, **{**options, **changes})

    return make


@pytest.fixture
def run_tiny(workspace, plan_tiny) -> Callable[..., Session]:
    """Return a function that runs the study `tiny-softmax` in the workspace, MLflow and all.

    Its arguments are those of `plan_study`, and what a run of it takes.
    """
    from sweep.analysis import run_study
    from sweep.search.trials import Listener
    from sweep.timings import Timings
    from sweep.tracking import Mirror, Tracker

    def run(
        trials: int = 6,
        *,
        listener: Listener | None = None,
        seconds: float | None = None,
        **changes: Any,
    ) -> Session:
        plan = plan_tiny(workspace, trials, **changes)
        return run_study(
            *plan.settle(),
            workspace,
            Mirror(Tracker(plan.experiment, workspace)),
            trials=trials,
            seconds=seconds,
            workers=1,
            listener=listener or Listener(),
            timings=Timings(),
        )

    return run


def _must_not_be_opened(_: object) -> None:
    raise AssertionError("the search opened the test rows")


@pytest.fixture(scope="session")
def finished_study(tmp_path_factory, furnish) -> Workspace:
    """Return a workspace with `digits-softmax`: 6 trials of 2 epochs, by halving; only to read.

    300 rows validate, which is quicker than folds.
    """
    from sweep.cli import main

    workspace: Workspace = furnish(tmp_path_factory.mktemp("finished"))
    with _entered(workspace), pytest.MonkeyPatch.context() as sealed:
        sealed.setattr("sweep.data.digits.Digits.test", _must_not_be_opened)
        done = CliRunner().invoke(
            main,
            ["run", "--data", "digits", "--val-size", "300", "--trials", "6", "--epochs", "2"],
        )
    assert done.exit_code == 0, done.output
    return workspace


@pytest.fixture
def in_finished_study(finished_study) -> Iterator[Workspace]:
    """Enter the finished study's folder."""
    with _entered(finished_study):
        yield finished_study


@pytest.fixture
def copied_study(finished_study, tmp_path) -> Iterator[Workspace]:
    """Return a copy of the finished study's folder, to change its stores."""
    shutil.copytree(finished_study.folder, tmp_path / "mlruns")
    copy = Workspace(tmp_path)
    _move_artifacts(copy.mlflow_database, str(finished_study.root), str(copy.root))
    yield copy
    _forget_stores()


@pytest.fixture
def in_copied_study(copied_study) -> Iterator[Workspace]:
    """Enter a copy of the finished study's folder."""
    with _entered(copied_study):
        yield copied_study


def _move_artifacts(database: Path, old: str, new: str) -> None:
    """Let a copied store say where its files are now: it has their full names."""
    columns = (
        ("experiments", "artifact_location"),
        ("runs", "artifact_uri"),
        ("logged_models", "artifact_location"),
        ("model_versions", "storage_location"),
        ("model_versions", "source"),
    )
    with closing(sqlite3.connect(database)) as connection, connection:
        for table, column in columns:
            connection.execute(
                f"UPDATE {table} SET {column} = replace({column}, ?, ?)",  # noqa: S608
                (old, new),
            )


@pytest.fixture
def invoke() -> Callable[..., Result]:
    """Return a function that runs a command of `sweep` in this process."""
    from sweep.cli import main

    return lambda *arguments: CliRunner().invoke(
        main, [str(argument) for argument in arguments], prog_name="sweep"
    )


@pytest.fixture
def in_both_stores() -> Callable[[StudyRecord, Tracker], None]:
    """Return a check that each trial of the study has one MLflow run that says the same."""

    def check(study: StudyRecord, tracker: Tracker) -> None:
        (parent,) = tracker.runs(role="study", **study.tags)
        runs = tracker.runs(role="trial", **study.tags)
        numbers = sorted(int(run.data.tags["sweep.trial"]) for run in runs)
        assert numbers == [trial.number for trial in study.trials()]
        for run in runs:
            trial, tags = study.trial(int(run.data.tags["sweep.trial"])), run.data.tags
            assert run.info.status == trial.status.mlflow
            assert tags["sweep.status"] == trial.status
            assert tags.get("sweep.reason", "") == trial.reason
            assert tags["mlflow.parentRunId"] == parent.info.run_id
            assert tags["mlflow.runName"] == f"trial-{trial.number:03d}"
            assert tags.get("sweep.weights_digest") == trial.weights_digest
            for name, value in trial.params.items():
                assert float(run.data.params[name]) == value
            for metric, curve in trial.curves.items():
                points = tracker.client.get_metric_history(run.info.run_id, metric)
                assert [(p.step, p.value, p.timestamp) for p in points] == [
                    (epoch, value, when)
                    for epoch, (value, when) in enumerate(
                        zip(curve, trial.times, strict=True), start=1
                    )
                ]

    return check


@pytest.fixture
def outcome() -> Callable[[StudyRecord], list[object]]:
    """Return a function that tells, by index, what an interruption must not change."""

    def tell(study: StudyRecord) -> list[object]:
        return [
            (t.index, t.params, t.first_pass, t.status, t.reason, t.curves, t.weights_digest)
            for t in sorted(study.trials(), key=lambda trial: trial.index)
        ]

    return tell

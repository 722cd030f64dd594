"""A study with every kind of trial, and the archive that it makes."""

import io
import json
import shutil
import warnings
import zipfile

import numpy as np
import pytest

from sweep.archive import export_study
from sweep.archive.export import _pack
from sweep.archive.load import MODEL, STUDY, unpack
from sweep.config import DataConfig, StudyConfig
from sweep.curves import METRICS
from sweep.search import record
from sweep.search.record import Budget, begin_study
from sweep.search.storage import create_storage
from sweep.search.trials import Status, TrialRecord
from sweep.search_space import BASELINES, DEFAULT_SPACES
from sweep.workspace import Workspace
from sweep_model.classifier import LinearClassifier
from sweep_model.losses import LOSSES
from sweep_model.preprocessing import Standardiser

PLACE = "/home/me/secret plans"
NOON = 1_780_000_000_123
CONFIG = StudyConfig(
    study="tiny-softmax",
    loss="softmax",
    epochs=3,
    seed=2**32 - 1,
    sampler="tpe",
    pruner="halving",
    objective="val-accuracy",
    data=DataConfig(
        source=f"{PLACE}/my data.npz",
        directory=PLACE,
        name="tiny",
        val_size=15,
        split_seed=0,
        data_digest="d" * 64,
        split_digest="5" * 64,
    ),
    space=DEFAULT_SPACES["softmax"],
    slots=8,
    lanes=4,
)
SETTING = dict(BASELINES["softmax"])
CONFIRMATION = {
    "metric": "val/accuracy",
    "direction": "maximize",
    "epochs": 3,
    "seeds": [11, 12],
    "finished": 3,
    "trials": [
        {"trial": 0, "search": 0.3, "values": [0.25, 0.2]},
        {"trial": 1, "search": None, "values": [0.125, 0.1]},
        {"trial": 4, "search": 0.7, "values": [0.3, None]},
    ],
    "baseline": {"trial": None, "search": None, "values": [0.1, 0.1]},
}
OPENINGS = [
    {"trial": 4, "time": "2026-03-30T12:00:00.000001+00:00"},
    {
        "trial": 0,
        "time": "2026-03-30T12:00:00+00:00",
        "result": {
            "accuracy": 0.4,
            "low": 0.3,
            "high": 0.5,
            "rows": 10,
            "per_class": {"<b>ant</b>": 0.4, "bee": 1.0},
        },
    },
]


class NoTracker:
    """Where weights wait in the folder, MLflow is not asked."""


def make_model(seed=5):
    """Return a classifier of 12 features and 3 classes."""
    draws = np.random.default_rng(seed)
    return LinearClassifier(
        weights=draws.normal(size=(3, 12)).astype(np.float32),
        bias=draws.normal(size=3).astype(np.float32),
        standardiser=Standardiser(np.zeros(12, np.float32), np.ones(12, np.float32)),
        loss=LOSSES["softmax"],
        image_shape=(1, 3, 4),
        class_names=("ant", "bee", "cat"),
    )


def make_trial(number, index, status, epochs, digest=None, **changes):
    """Return a trial whose accuracies rise with its index."""
    points = [(index + 0.1 * epoch) / 10 + 0.1 for epoch in range(epochs)]
    curves = {metric: list(points) for metric in (*METRICS, "val/averaged_accuracy")}
    curves["val/accuracy"][-1:] = [0.3 + 0.2 * index] if epochs == 3 else points[-1:]
    values = {
        "params": SETTING | {"l2": 0.1 / (index + 1)},
        "first_pass": index // 2,
        "reason": "" if status == Status.COMPLETE else f"rung 1: it was {status}",
        "curves": curves,
        "times": [NOON + epoch for epoch in range(epochs)],
        "metrics": {"final/train_loss": 1 / 3, "val_accuracy_of/ä b": 0.5},
        "weights_digest": digest,
        "environment": {"python": "3.11.7", "blas": "openblas 0.3.30 SkylakeX"},
        "began": NOON + number,
        "ended": NOON + 100 + number,
    }
    return TrialRecord(number=number, index=index, status=status, **{**values, **changes})


def begin(study, trial):
    """Begin a trial on record, as the runner does."""
    begun = TrialRecord(
        number=-1,
        index=trial.index,
        params=trial.params,
        first_pass=trial.first_pass,
        began=trial.began,
    )
    assert study.begin(begun, None) == trial.number


@pytest.fixture(scope="session")
def model():
    return make_model()


@pytest.fixture(scope="session")
def origin(tmp_path_factory, model):
    """Return a study of 5 trials on record; number 3 is another program's, 5 is running."""
    import optuna

    workspace = Workspace(tmp_path_factory.mktemp("origin"))
    study = begin_study(CONFIG, create_storage(workspace), workspace)
    study.add_budget(Budget(0, 8))
    study.set_attribute(record.TEST_OPENINGS, OPENINGS)
    study.set_attribute(record.CONFIRMATION, CONFIRMATION)
    study.set_attribute(record.CONFIRMING, {"11": {"0": 0.25}})
    for trial in (
        make_trial(0, 0, Status.COMPLETE, 3, model.digest),
        make_trial(1, 1, Status.PRUNED, 1, "1" * 64, trouble="ValueError: a\n  b"),
        make_trial(2, 3, Status.FAILED, 0, metrics={}, reason="diverged in epoch 1"),
        None,
        make_trial(4, 2, Status.COMPLETE, 3, "2" * 64, params=SETTING | {"l2": 5.0}),
        make_trial(5, 4, Status.RUNNING, 0),
    ):
        if trial is None:
            study.optuna.add_trial(optuna.trial.create_trial(value=1.0))
            continue
        if trial.number == 4:  # l2 lies outside of the space: a user queued it
            study.optuna.enqueue_trial({"l2": 5.0})
            (queued,) = study.queued()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                study.begin(trial, queued)
        else:
            begin(study, trial)
        if trial.status != Status.RUNNING:
            study.end(trial)
    folder = workspace.pending(study.name) / "trial-000" / "classifier"
    folder.mkdir(parents=True)
    model.save(folder / "classifier.npz")
    return study


@pytest.fixture(scope="session")
def content(origin, tmp_path_factory):
    """Return the bytes of the study's archive."""
    file = tmp_path_factory.mktemp("exported") / "tiny.zip"
    export_study(origin, NoTracker(), file)
    return file.read_bytes()


@pytest.fixture(scope="session")
def archived(content):
    """Return what the archive holds, and the model."""
    return unpack(content)


@pytest.fixture(scope="session")
def members(content):
    """Return the members of the archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def changed(members):
    """Return a function that packs the archive with values of study.json changed in place."""

    def change(*changes):
        study = json.loads(members[STUDY])
        for path, value in changes:
            place = study
            for step in path[:-1]:
                place = place[step]
            if value is ...:
                del place[path[-1]]
            else:
                place[path[-1]] = value
        return _pack(members | {STUDY: json.dumps(study).encode()})

    return change


@pytest.fixture
def with_model(members, tmp_path):
    """Return a function that packs the archive with another model."""

    def change(model):
        model.save(tmp_path / MODEL)
        return _pack(members | {MODEL: (tmp_path / MODEL).read_bytes()})

    return change


@pytest.fixture
def elsewhere(tmp_path, empty_optuna_database):
    """Return a working folder without studies."""
    workspace = Workspace(tmp_path / "elsewhere")
    workspace.folder.mkdir(parents=True)
    shutil.copy(empty_optuna_database, workspace.optuna_database)
    return workspace

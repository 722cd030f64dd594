"""Studies that die, and all that both stores say of a study."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from sweep.layout import LayoutChoice
from sweep.study import attributes

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweep.study.loop import StudyLoop

DIFFERS = ("sweep.attempt", "sweep.git.", "sweep.study_id", "sweep.run_key")
"""What another attempt, time or commit may change."""


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


@pytest.fixture
def image_study(tiny_study, image_npz) -> Callable[..., StudyLoop]:
    """Return a function that begins a study of images with TPE and the median pruner."""

    def begin(name: str = "broken", **changes: object) -> StudyLoop:
        options = {
            "sampler": "tpe",
            "pruner": "median",
            "epochs": 3,
            "layout": LayoutChoice(slots=4, width=2, workers=1),
        }
        return tiny_study(study_name=name, data=str(image_npz), **options | changes)

    return begin


class DiedError(BaseException):
    """Stands for the end of a process that had no time for anything."""


class Mortal:
    """Counts what the study's thread writes, and lets nothing be written after its death."""

    error = DiedError

    def __init__(self) -> None:
        self.writes, self.last, self.dead = 0, None, False

    def check(self) -> None:
        if self.last is not None and threading.current_thread() is threading.main_thread():
            self.writes += 1
            self.dead = self.dead or self.writes > self.last
        if self.dead:
            raise DiedError

    def until(self, last: int | None) -> Mortal:
        """Live on until so many things are written; with None for ever."""
        self.writes, self.last, self.dead = 0, last, False
        return self

    def dies(self) -> None:
        self.dead = True
        raise DiedError


@pytest.fixture
def mortal(monkeypatch) -> Mortal:
    """Return what decides how much of a study is written before it dies."""
    one = Mortal()
    for name in (
        "sweep.study.keeper.save",
        "sweep.study.trial_lives.begin_trial",
        "sweep.study.trial_life.finish_trial",
        "sweep.tracking.outbox.Outbox.prepare",
        "sweep.tracking.outbox.Outbox.release",
        "sweep.tracking.tracker.Tracker.deliver",
    ):
        _guard(monkeypatch, name, one)
    return one


def _guard(monkeypatch: pytest.MonkeyPatch, name: str, mortal: Mortal) -> None:
    from pkgutil import resolve_name

    write = resolve_name(name)

    def guarded(*given: Any, **more: Any) -> Any:
        mortal.check()
        return write(*given, **more)

    monkeypatch.setattr(name, guarded)


@pytest.fixture
def in_optuna() -> Callable[[StudyLoop], list[object]]:
    """Return a function that tells all of a study's trials that no interruption may change."""

    def tell(loop: StudyLoop) -> list[object]:
        left = (attributes.TRIAL_RUN, attributes.ATTEMPT, attributes.LETTER)
        return [
            (
                trial.number,
                trial.state,
                trial.value,
                trial.params,
                trial.intermediate_values,
                {key: value for key, value in trial.user_attrs.items() if key not in left},
            )
            for trial in loop.study.trials()
        ]

    return tell


@pytest.fixture
def in_mlflow() -> Callable[[StudyLoop], dict[str, dict[str, object]]]:
    """Return a function that tells all that MLflow has of a study's runs, by their names."""
    return lambda loop: {
        run.data.tags["mlflow.runName"].replace(loop.study.name, "study"): _told(loop, run)
        for run in loop.tracker.runs(**loop.study.tags)
    }


def _told(loop: StudyLoop, run: Any) -> dict[str, object]:
    client = loop.tracker.client
    tags = run.data.tags
    if "sweep.trial" in tags:
        trial = loop.study.trials()[int(tags["sweep.trial"])]
        assert tags["sweep.attempt"] == str(trial.user_attrs[attributes.ATTEMPT])
        assert client.get_run(tags["mlflow.parentRunId"]).data.tags["sweep.role"] == "study"
    return {
        "status": run.info.status,
        "parameters": run.data.params,
        "latest": run.data.metrics,
        "points": {
            name: sorted(
                (point.step, point.value)
                for point in client.get_metric_history(run.info.run_id, name)
            )
            for name in run.data.metrics
        },
        "tags": {
            name: value.replace(loop.study.name, "study")
            for name, value in tags.items()
            if name.startswith(("sweep.", "mlflow.logged")) and not name.startswith(DIFFERS)
        },
        "inputs": sorted(
            (each.dataset.name, each.dataset.digest, each.tags[0].value)
            for each in run.inputs.dataset_inputs
        ),
        "files": _files(Path(run.info.artifact_uri.removeprefix("file://"))),
    }


def _files(folder: Path) -> dict[str, object]:
    """Return the pixels of images, and the bytes of other files."""
    return {
        str(path.relative_to(folder)): _content(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _content(path: Path) -> object:
    if path.suffix not in (".png", ".webp"):
        return path.read_bytes()
    with Image.open(path) as image:
        return image.size, image.convert("RGB").tobytes()

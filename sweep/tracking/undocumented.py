"""What is used of MLflow although it is not documented, each with its reason, and nowhere else.

A test fails for each that is gone.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sqlite3
import sys
import threading
import time
from contextlib import closing
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias
from urllib.parse import urlencode, urlsplit
from urllib.request import url2pathname
from uuid import uuid4

from sweep.errors import SweepError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from sweep.tracking.client import Tracker

# Settings: MLflow reads them from the environment alone, which is not ours to change. Their
# defaults may be: whatever the user set in the environment counts before them.

DEFAULTS: Final[dict[str, object]] = {
    # A store that is away is given up within seconds, not after MLflow's minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": 1,
    "MLFLOW_HTTP_REQUEST_TIMEOUT": 10,
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": False,
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": True,
}
LEVELS: Final = {
    "mlflow": logging.ERROR,
    "alembic": logging.ERROR,
    "mlflow.store.db.utils": logging.CRITICAL,  # tracebacks of what we say in a line
}
"""From which level on its loggers are heard."""
NO_TELEMETRY: Final = "MLFLOW_DISABLE_TELEMETRY"


@cache
def load_mlflow() -> None:
    """Import MLflow; unless it was imported before, it sends no telemetry.

    It decides that while it is imported, so only for as long the environment says so.
    """
    before = os.environ.get(NO_TELEMETRY)
    if "mlflow" not in sys.modules:
        os.environ[NO_TELEMETRY] = before or "true"
    try:
        import mlflow  # noqa: F401
    finally:
        if before is None:
            os.environ.pop(NO_TELEMETRY, None)


class _OwnSettings:
    """Our settings of MLflow while any block is in it; after the last one the user's own."""

    def __init__(self) -> None:
        self._lock, self._blocks = threading.Lock(), 0
        self._users: tuple[dict[str, object], dict[str, int]] = {}, {}

    def __enter__(self) -> None:
        with self._lock:
            self._blocks += 1
            if self._blocks == 1:
                self._users = _exchange(DEFAULTS, LEVELS)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._blocks -= 1
            if self._blocks == 0:
                _exchange(*self._users)


def _exchange(
    defaults: Mapping[str, object], levels: Mapping[str, int]
) -> tuple[dict[str, object], dict[str, int]]:
    """Set MLflow's defaults and the levels of its loggers; return those before."""
    from mlflow import environment_variables

    variables = {name: getattr(environment_variables, name) for name in defaults}
    loggers = {name: logging.getLogger(name) for name in levels}
    before = (
        {name: variable.default for name, variable in variables.items()},
        {name: logger.level for name, logger in loggers.items()},
    )
    for name, variable in variables.items():
        variable.default = defaults[name]
    for name, logger in loggers.items():
        logger.setLevel(levels[name])
    return before


own_settings: Final = _OwnSettings()


# Tables: `MlflowClient` makes them too, but keeps the file open, and where it lies when it is made
# is not where it stays.


def create_tables(path: Path, artifacts: Path) -> None:
    """Make a SQLite file with MLflow's tables; files of its experiments lie below `artifacts`.

    They are made in memory and written at once: of MLflow's dozens of migrations each would wait
    for the disk several times.
    """
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    memory = f"file:{uuid4().hex}?mode=memory&cache=shared"
    with closing(sqlite3.connect(memory, uri=True)) as tables:
        store = SqlAlchemyStore(f"sqlite:///{memory}&uri=true", artifacts.as_uri())  # type: ignore[no-untyped-call]  # MLflow has no types here
        store.engine.dispose()
        path.write_bytes(tables.serialize())


def without_stray_folder(uri: str) -> str:
    """Return an address at which MLflow makes no folder of its own.

    At `sqlite:///...` it makes one that is called as it is written there, with %23 in place of #;
    where the driver is named it does not.
    """
    return uri.replace("sqlite:", "sqlite+pysqlite:", 1) if "%" in uri else uri


def knows_schema(revision: str) -> bool:
    """Whether this version of MLflow has tables of this revision among its own or earlier ones."""
    from importlib.resources import files

    folder = files("mlflow").joinpath("store/db_migrations/versions")
    return any(file.name.startswith(f"{revision}_") for file in folder.iterdir())


# Paths: MLflow keeps the absolute path of each run's files, and has no call that changes it. Where
# a folder was moved, renamed or copied, new files would go to the old place, and old ones be looked
# for there. So its tables are written to, here alone.

COLUMNS: Final = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
    ("model_versions", "source"),
)
"""The columns that hold absolute paths, in the schemas of MLflow 3.17 and 3.18."""
OURS: Final = """
    SELECT DISTINCT artifact_location FROM experiments WHERE experiment_id IN (
        SELECT experiment_id FROM runs JOIN tags ON runs.run_uuid = tags.run_uuid
        WHERE tags.key = 'sweep.role'
    ) OR (
        artifact_location LIKE '%/mlruns/artifacts'
        AND experiment_id NOT IN (SELECT experiment_id FROM runs)
    )
"""
"""Experiments with runs of ours, or so far without any in a folder like ours."""
TIMEOUT_SECONDS: Final = 60


def artifact_folder(database: Path) -> Path:
    """Return where the files of a local store's runs lie: beside its database."""
    return database.parent.resolve() / "artifacts"


def relocate(database: Path) -> bool:
    """Correct the paths of a store whose folder was moved; return whether anything was written.

    Only what lies below the old folder is corrected, in one transaction: also what others keep
    there, as the experiment `Default`.

    Raises
    ------
    SweepError
        The tables are not as expected; nothing is written.

    """
    new = artifact_folder(database)
    with closing(sqlite3.connect(str(database.absolute()), timeout=TIMEOUT_SECONDS)) as store:
        columns = {
            table: {row[1] for row in store.execute(f"PRAGMA table_info({table})")}
            for table, _ in COLUMNS
        }
        if "artifact_location" not in columns["experiments"]:
            return False  # no store yet, or none of MLflow's
        places = [place for (place,) in store.execute(OURS)]
        moved = [each for each in places if each != new.as_uri() and _lies_beside(each)]
        if not moved:
            return False
        missing = [f"{t}.{c}" for t, c in COLUMNS if c not in columns[t]]
        if missing:
            raise SweepError(
                f"{database}: the folder was moved, and this version of MLflow has no "
                f"{', '.join(missing)} to correct; move the folder back to {_path(moved[0])}"
            )
        with store:
            store.execute("BEGIN IMMEDIATE")
            for old in moved:
                _replace(store, old.removesuffix("/artifacts"), new.parent.as_uri())
                _replace(store, _path(old), str(new.parent))  # `Default`, if plain
    return True


def _replace(store: sqlite3.Connection, old: str, new: str) -> None:
    for table, column in COLUMNS:
        store.execute(
            f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608 - names of ours
            f"WHERE substr({column}, 1, ?) = ?",
            (new, len(old) + 1, len(old) + 1, f"{old}/"),
        )


def _lies_beside(place: str | None) -> bool:
    """Whether it is where files lie beside a database, see `artifact_folder`."""
    return place is not None and place.startswith("file:") and place.endswith("/artifacts")


def _path(place: str) -> str:
    """Return the folder around the files of a place."""
    return url2pathname(urlsplit(place).path).removesuffix("/artifacts")


# Images: MLflow's `log_image` encodes as small as can be and asks the store three times for each:
# 20 ms, seven times in a trial.

LOGGED_IMAGES: Final = "mlflow.loggedImages"
"""The tag that makes the pages look for images at all."""


def image_name(key: str, step: int, identity: object) -> str:
    """Return by which name the pages find an image, without its ending."""
    return f"images/{key}+step+{step}+timestamp+{step}+{identity}"


# Pages: their addresses, and the saved views that `sweep ui` opens. A view is an experiment's tag.

TESTED_MLFLOW: Final = "3.17"
"""The minor version whose pages were looked at in a browser."""
RUN_COLOUR: Final = "mlflow.runColor"
VIEW: Final = "mlflow.sharedViewState."
MAX_CHARACTERS: Final = 20_000
"""Of an experiment's tag; MLflow cuts longer ones."""
WRITER: Final = "sweep"
"""Holds the digest of the state that we wrote: a view that somebody changed has another, or none.
"""
TRAINING: Final = {"workflowType": "machine_learning"}
"""Part of every link: without it the pages show GenAI."""


def untested_mlflow() -> str | None:
    """Return the version of MLflow that is installed, if its views were never looked at."""
    installed = version("mlflow")
    return None if installed.startswith(f"{TESTED_MLFLOW}.") else installed


def link(address: str, experiment_id: str, view: str | None = None) -> str:
    """Return the page of an experiment's runs, with the view of that key."""
    query = TRAINING
    if view is not None:
        query = query | {"viewStateShareKey": view, "compareRunsMode": "CHART"}
    return f"{address.rstrip('/')}/#/experiments/{experiment_id}/runs?{urlencode(query)}"


def run_link(address: str, experiment_id: str, run_id: str) -> str:
    """Return the page of a run's charts."""
    page = f"experiments/{experiment_id}/runs/{run_id}/model-metrics"
    return f"{address.rstrip('/')}/#/{page}?{urlencode(TRAINING)}"


class View(NamedTuple):
    """A page of runs as MLflow keeps it: under which key, by which name, and what it shows."""

    key: str
    name: str
    state: dict[str, Any]


def save_view(tracker: Tracker, view: View, *, renew: bool = True) -> None:
    """Keep a view in the tracker's experiment; unless it has changed, nothing is written.

    Parameters
    ----------
    tracker
        The experiment.
    view
        What to keep.
    renew
        Whether an older state of ours is replaced. One that somebody else saved always stays.

    Raises
    ------
    SweepError
        A view that does not fit in a tag.

    """
    text, tag = json.dumps(view.state, separators=(",", ":")), f"{VIEW}{view.key}"
    with tracker.reaching():
        experiment = tracker.client.get_experiment(tracker.experiment_id)
    before = _read(experiment.tags.get(tag, ""))
    ours = before.get(WRITER) == _digest(str(before.get("state")))
    if before and (before["state"] == text or not renew or not ours):
        return
    now = time.time_ns() // 1_000_000
    times = {"createdAt": before.get("createdAt", now), "updatedAt": now}
    value = json.dumps({"name": view.name, **times, "state": text, WRITER: _digest(text)})
    if len(value) > MAX_CHARACTERS:
        raise SweepError(
            f"the view {view.name!r} has {len(value):,} characters and MLflow keeps "
            f"{MAX_CHARACTERS:,}: the experiment {tracker.experiment!r} has too many studies; "
            "open one with `sweep ui STUDY`"
        )
    with tracker.reaching():
        tracker.client.set_experiment_tag(tracker.experiment_id, tag, value)


def _read(value: str) -> dict[str, Any]:
    """Return a view as it is kept; empty if there is none."""
    try:
        envelope = json.loads(value)
    except ValueError:
        return {}
    return envelope if isinstance(envelope, dict) and "state" in envelope else {}


def _digest(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()[:16]


# Charts of a view. A chart is titled by what it shows, so the section's name says the rest; it
# shows all runs of the page, so nothing can be filtered for one chart alone.

Card: TypeAlias = dict[str, Any]
Axis: TypeAlias = dict[str, str]
GENERATED: Final = ("best", "final", "train", "val", "val_accuracy_of", "val_at_end")
"""Sections in which the page itself puts a chart of each metric, named by the metrics' groups."""


def parameter(name: str) -> Axis:
    """Return the axis of a parameter."""
    return {"key": name, "type": "PARAM"}


def metric(name: str) -> Axis:
    """Return the axis of a metric's last value."""
    return {"key": name, "type": "METRIC"}


def parallel(parameters: Sequence[str], result: str) -> Card:
    """Return parallel coordinates, whose lines are coloured by the result."""
    chosen = {"selectedParams": list(parameters), "selectedMetrics": [result]}
    return _card("PARALLEL", "parallel", **chosen, showAllRuns=True)


def scatter(x: Axis, y: Axis) -> Card:
    """Return a scatter chart with one point for each run."""
    return _card("SCATTER", f"scatter {x['key']} {y['key']}", xaxis=x, yaxis=y)


def curves(*metrics: str, log: bool = False) -> Card:
    """Return the metrics' values against the epoch, each with a dash of its own."""
    return _card(
        "LINE",
        f"curves {' '.join(metrics)}",
        metricKey=metrics[0],
        selectedMetricKeys=list(metrics),
        scaleType="log" if log else "linear",
        xAxisKey="step",
        xAxisScaleType="linear",
        selectedXAxisMetricKey="",
        useGlobalXaxisKey=False,
        lineSmoothness=0,
        useGlobalLineSmoothing=False,
        yAxisKey="metric",
        yAxisExpressions=[],
        range={},
        ignoreOutliers=False,
        displayPoints=False,
    )


def bars(name: str) -> Card:
    """Return one bar for each run or group of runs."""
    return _card("BAR", f"bars {name}", metricKey=name)


def images(key: str, step: int) -> Card:
    """Return the images of the page's first ten runs, with a slider over the epochs."""
    return _card("IMAGE", "images", imageKeys=[key], step=step, showRunParams=False)


def _card(kind: str, uuid: str, **settings: object) -> Card:
    return {"type": kind, "uuid": uuid, "deleted": False, "isGenerated": False, **settings}


def sections(*groups: tuple[str, int, int, Iterable[Card]]) -> dict[str, Any]:
    """Return the part of a view that lays out its charts.

    Parameters
    ----------
    groups
        For each section its name, its columns, the height of its charts in pixels, and these.
        Without any chart it is left out.

    """
    laid_out = [(*group[:3], list(group[3])) for group in groups]
    laid_out = [group for group in laid_out if group[3]]
    return {
        "compareRunSections": [
            _section(name, display=True, columns=columns, cardHeight=height)
            for name, columns, height, _ in laid_out
        ]
        + [_section(name, display=False) for name in GENERATED],
        "compareRunCharts": [
            {**card, "metricSectionId": name} for name, _, _, cards in laid_out for card in cards
        ],
        "isAccordionReordered": True,  # else the page sorts the sections by name
    }


def _section(name: str, **settings: object) -> dict[str, object]:
    return {"uuid": name, "name": name, "isReordered": True, "isGenerated": False, **settings}

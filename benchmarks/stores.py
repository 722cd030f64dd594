"""Everything that the two stores of a folder hold and that must not depend on its history."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections import Counter
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

VOLATILE = ("mlflow.parentRunId", "sweep.run_key", "sweep.study_id", "mlflow.log-model.history")
"""Tags that name what is another one in every folder."""
TIMES_OF_DAY = ("times", "began", "ended")
"""And what a trial's record says of that kind."""


class Stores:
    """The record of a folder's one study in Optuna's store, and its copy in MLflow's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.optuna = folder / "mlruns" / "optuna.db"
        self.mlflow = folder / "mlruns" / "mlflow.db"

    def stage(self) -> str:
        """Say how far a study came before it died."""
        if not self.optuna.exists():
            return "before the study"
        with _copied(self.optuna) as optuna:
            states = Counter(state for (state,) in _rows(optuna, "SELECT state FROM trials"))
        if not states:
            return "before the first trial"
        return "while trials trained" if states["RUNNING"] else "between trials"

    def training(self) -> tuple[float, float]:
        """Return when the first trial began and when the last one ended, in seconds since 1970."""
        query = "SELECT min(datetime_start), max(datetime_complete) FROM trials"
        with _copied(self.optuna) as optuna:
            ((first, last),) = _rows(optuna, query)
        return datetime.fromisoformat(first).timestamp(), datetime.fromisoformat(last).timestamp()

    def trials(self) -> dict[int, Any]:
        """Return by number each trial's state, setting, values and what was recorded of it."""
        tables = {
            "setting": "SELECT trial_id, param_name, param_value FROM trial_params",
            "value": "SELECT trial_id, objective, value FROM trial_values",
            "course": "SELECT trial_id, step, intermediate_value FROM trial_intermediate_values",
            "known": "SELECT trial_id, key, value_json FROM trial_user_attributes",
            "queued": "SELECT trial_id, key, value_json FROM trial_system_attributes",
        }
        with _copied(self.optuna) as optuna:
            found: dict[int, dict[str, Any]] = {
                trial: {"number": number, "state": state}
                for trial, number, state in _rows(
                    optuna, "SELECT trial_id, number, state FROM trials"
                )
            }
            for name, query in tables.items():
                for trial, key, value in _rows(optuna, query):
                    found[trial].setdefault(name, {})[key] = value
        for each in found.values():
            recorded = json.loads(each.pop("known", {}).get("sweep", "{}"))
            each["record"] = {
                key: value for key, value in recorded.items() if key not in TIMES_OF_DAY
            }
        return {each["number"]: each for each in found.values()}

    def budgets(self) -> list[tuple[int, int]]:
        """Return from which pass on the study was to have how many trials."""
        query = "SELECT value_json FROM study_user_attributes WHERE key = 'sweep:budgets'"
        with _copied(self.optuna) as optuna:
            ((found,),) = _rows(optuna, query)
        return [(at_pass, trials) for at_pass, trials in json.loads(found)]

    def left(self) -> list[str]:
        """Return the files that wait for MLflow, and the checkpoints."""
        places = (self._folder / "mlruns" / name for name in ("pending", "checkpoints"))
        return [str(path) for place in places for path in place.rglob("*") if path.is_file()]

    def runs(self) -> dict[str, Any]:
        """Return by name each live run's status, parameters, tags, points and files."""
        with _copied(self.mlflow) as mlflow:
            return _runs(mlflow)

    def champion(self) -> list[tuple[Any, ...]]:
        """Return which version of which model is the champion."""
        with _copied(self.mlflow) as mlflow:
            return _rows(mlflow, "SELECT name, alias FROM registered_model_aliases")

    def counts(self) -> Counter[str]:
        """Return how much there is to compare."""
        runs = self.runs()
        return Counter(
            {
                "studies": 1,
                "trials": len(self.trials()),
                "runs": len(runs),
                "points": sum(len(run["points"]) for run in runs.values()),
                "files": sum(len(run["files"]) for run in runs.values()),
                "champions": len(self.champion()),
            }
        )


def _runs(mlflow: sqlite3.Connection) -> dict[str, Any]:
    live = _rows(
        mlflow,
        "SELECT run_uuid, name, status, artifact_uri FROM runs WHERE lifecycle_stage='active'",
    )
    found: dict[str, Any] = {}
    for run, name, status, uri in live:
        points = _rows(mlflow, "SELECT key, step, value, is_nan FROM metrics WHERE run_uuid=?", run)
        tags = dict(_rows(mlflow, "SELECT key, value FROM tags WHERE run_uuid=?", run))
        inputs = (
            "SELECT name, digest FROM inputs JOIN datasets ON source_id = dataset_uuid "
            "WHERE destination_id=?"
        )
        latest = "SELECT key, step, value FROM latest_metrics WHERE run_uuid=?"
        parameters = dict(_rows(mlflow, "SELECT key, value FROM params WHERE run_uuid=?", run))
        found[f"{name} of {Counter(found)[name]}" if name in found else name] = {
            "status": status,
            "parameters": parameters,
            "tags": {key: value for key, value in tags.items() if key not in VOLATILE},
            "points": sorted(points),
            "latest": sorted(_rows(mlflow, latest, run)),
            "inputs": sorted(_rows(mlflow, inputs, run)),
            "files": _files(Path(unquote(urlsplit(uri).path))),
        }
    return found


def differences(expected: Stores, found: Stores) -> list[str]:
    """Name everything in which two folders differ."""
    lines = _compare("trial", expected.trials(), found.trials())
    lines += _compare("run", expected.runs(), found.runs())
    if expected.champion() != found.champion():
        lines.append(f"champion {expected.champion()} -> {found.champion()}")
    return lines + [f"{path} is left" for path in found.left()]


def _compare(kind: str, expected: dict[Any, Any], found: dict[Any, Any]) -> list[str]:
    lines = []
    for key in sorted(expected.keys() | found.keys(), key=str):
        one, other = expected.get(key), found.get(key)
        if one is None or other is None:
            lines.append(f"{kind} {key}: {'lost' if other is None else 'too many'}")
            continue
        lines += [
            f"{kind} {key}: {part} {_shown(one.get(part), other.get(part))}"
            for part in sorted(one.keys() | other.keys())
            if one.get(part) != other.get(part)
        ]
    return lines


def _shown(one: Any, other: Any) -> str:
    """Return where two values differ, cut to a line."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = [key for key in one.keys() | other.keys() if one.get(key) != other.get(key)]
        return ", ".join(f"{key}: {one.get(key)!s:.60} -> {other.get(key)!s:.60}" for key in keys)
    if isinstance(one, list) and isinstance(other, list):
        left, right = Counter(map(str, one)), Counter(map(str, other))
        missing, more = (list(each.elements())[:3] for each in (left - right, right - left))
        return f"missing {missing}, doubled or new {more}"
    return f"{one!s:.60} -> {other!s:.60}"


def _files(folder: Path) -> dict[str, str]:
    """Return the digest of each file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@contextmanager
def _copied(database: Path) -> Iterator[sqlite3.Connection]:
    """Open a copy of a database that a killed process may have left with a hot journal.

    SQLite rolls such a journal back before it reads, which a read-only connection may not do. In a
    copy it may, and the program under test still finds the database as it was left.
    """
    with TemporaryDirectory() as room:
        copy = Path(room) / database.name
        for ending in ("", "-journal", "-wal"):
            part = database.with_name(database.name + ending)
            if part.exists():
                shutil.copyfile(part, copy.with_name(part.name))
        with closing(sqlite3.connect(copy)) as connection:
            yield connection


def _rows(connection: sqlite3.Connection, query: str, *values: str) -> list[tuple[Any, ...]]:
    return connection.execute(query, values).fetchall()

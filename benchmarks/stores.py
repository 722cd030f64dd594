"""Everything that the two stores of a folder hold and that must not depend on its history."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

VOLATILE = (
    *("mlflow.parentRunId", "sweep.attempt", "sweep.run_key", "sweep.study_id"),
    *("mlflow.log-model.history",),
)
"""Tags that name what is another one in every folder, or how often a trial had to begin."""
OWN = ("sweep:mlflow_run_id", "sweep:attempt", "sweep:letter")
"""And the same of what Optuna's store records of a trial."""


class Stores:
    """The record of a folder's studies in Optuna's store, and its copy in MLflow's."""

    def __init__(self, folder: Path) -> None:
        self.optuna = folder / "mlruns" / "optuna.db"
        self.mlflow = folder / "mlruns" / "mlflow.db"

    def stage(self) -> str:
        """Say how far a study came before it died."""
        if not self.optuna.exists():
            return "before the study"
        states = Counter(state for (state,) in _rows(self.optuna, "SELECT state FROM trials"))
        if not states:
            return "before the first trial"
        return "while trials trained" if states["RUNNING"] else "between trials"

    def trials(self) -> dict[int, Any]:
        """Return by number each trial's state, setting, values and what was recorded of it."""
        found = {
            trial: {"number": number, "state": state}
            for trial, number, state in _rows(
                self.optuna, "SELECT trial_id, number, state FROM trials"
            )
        }
        tables = {
            "setting": "SELECT trial_id, param_name, param_value FROM trial_params",
            "value": "SELECT trial_id, objective, value FROM trial_values",
            "course": "SELECT trial_id, step, intermediate_value FROM trial_intermediate_values",
            "known": "SELECT trial_id, key, value_json FROM trial_user_attributes",
        }
        for name, query in tables.items():
            for trial, key, value in _rows(self.optuna, query):
                found[trial].setdefault(name, {})[key] = value
        for each in found.values():
            for key in OWN:
                each.get("known", {}).pop(key, None)
        return {each["number"]: each for each in found.values()}

    def runs(self) -> dict[str, Any]:
        """Return by name each live run's status, parameters, tags, points and files."""
        live = _rows(
            self.mlflow,
            "SELECT run_uuid, name, status, artifact_uri FROM runs WHERE lifecycle_stage='active'",
        )
        found: dict[str, Any] = {}
        for run, name, status, uri in live:
            points = _rows(
                self.mlflow, "SELECT key, step, value, is_nan FROM metrics WHERE run_uuid=?", run
            )
            tags = dict(_rows(self.mlflow, "SELECT key, value FROM tags WHERE run_uuid=?", run))
            latest = "SELECT key, step, value FROM latest_metrics WHERE run_uuid=?"
            found[f"{name} of {Counter(found)[name]}" if name in found else name] = {
                "status": status,
                "parameters": dict(
                    _rows(self.mlflow, "SELECT key, value FROM params WHERE run_uuid=?", run)
                ),
                "tags": {key: value for key, value in tags.items() if key not in VOLATILE},
                "points": sorted(points),
                "latest": sorted(_rows(self.mlflow, latest, run)),
                "files": _files(Path(unquote(urlsplit(uri).path))),
            }
        return found

    def champion(self) -> list[tuple[Any, ...]]:
        """Return which version of which model is the champion."""
        return _rows(self.mlflow, "SELECT name, alias FROM registered_model_aliases")

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
            }
        )


def differences(expected: Stores, found: Stores) -> list[str]:
    """Name everything in which two folders differ."""
    lines = _compare("trial", expected.trials(), found.trials())
    lines += _compare("run", expected.runs(), found.runs())
    if expected.champion() != found.champion():
        lines.append(f"champion {expected.champion()} -> {found.champion()}")
    return lines


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


def _rows(database: Path, query: str, *values: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return connection.execute(query, values).fetchall()

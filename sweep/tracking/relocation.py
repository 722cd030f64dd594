"""The one thing that is written into MLflow's tables directly: where a moved folder's files are.

MLflow keeps the absolute path of each run's files, and has no call that changes it. Where a folder
was moved, renamed or copied, new files would go to the old place, and old ones be looked for there.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from sweep.errors import SweepError

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
    ("model_versions", "source"),
)
"""The columns that hold absolute paths, in the schemas of MLflow 3.17 and 3.18."""
OURS = """
    SELECT DISTINCT artifact_location FROM experiments WHERE experiment_id IN (
        SELECT experiment_id FROM runs JOIN tags ON runs.run_uuid = tags.run_uuid
        WHERE tags.key = 'sweep.role'
    ) OR (
        artifact_location LIKE '%/mlruns/artifacts'
        AND experiment_id NOT IN (SELECT experiment_id FROM runs)
    )
"""
"""Experiments with runs of ours, or so far without any in a folder like ours."""
TIMEOUT_SECONDS = 60


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

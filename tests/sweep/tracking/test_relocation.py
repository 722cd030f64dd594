import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from sweep.errors import SweepError
from sweep.tracking.client import Tracker
from sweep.tracking.mirror import Mirror, RunState
from sweep.tracking.undocumented import COLUMNS, relocate
from sweep.workspace import Workspace


def log_file(workspace, key, content):
    """A run with one file; return the run's id."""
    files = workspace.root / "files"
    files.mkdir()
    (files / "a.txt").write_text(content)
    state = RunState(
        key=key,
        name=key,
        tags={"role": "train"},
        files=files,
        status="FINISHED",
        began=1,
        ended=2,
        final=True,
    )
    return Mirror(Tracker("tiny", workspace)).update(state)


def read_file(workspace, run, folder):
    client = Tracker("tiny", workspace).client
    folder.mkdir()
    return Path(client.download_artifacts(run, "a.txt", str(folder))).read_text()


def paths_of(database):
    with closing(sqlite3.connect(database)) as store:
        return {
            (table, place)
            for table, column in COLUMNS
            for (place,) in store.execute(f"SELECT {column} FROM {table}")  # noqa: S608 - names of ours
        }


@pytest.fixture
def moved(workspace, tmp_path):
    """A workspace whose folder was renamed after a run, with the run's id."""
    run = log_file(workspace, "first", "before")
    there = tmp_path.with_name(f"{tmp_path.name} moved ä #1")
    shutil.move(workspace.root, there)
    return Workspace(there), run


def test_files_of_a_moved_folder_are_found_and_new_ones_stay_in_it(moved, workspace):
    here, run = moved
    assert read_file(here, run, here.root / "down") == "before"
    second = log_file(here, "second", "after")
    info = Tracker("tiny", here).client.get_run(second).info
    place = Path(url2pathname(urlsplit(info.artifact_uri).path))
    assert place.is_relative_to(here.folder.resolve())
    assert (place / "a.txt").read_text() == "after"
    assert not workspace.root.exists()  # the old place is not made again


def test_a_copy_and_its_original_keep_their_files_apart(workspace, tmp_path):
    run = log_file(workspace, "first", "before")
    copy = Workspace(tmp_path.with_name(f"{tmp_path.name}-copy"))
    shutil.copytree(workspace.root, copy.root)
    log_file(copy, "second", "in the copy")
    before = paths_of(workspace.mlflow_database)
    assert read_file(workspace, run, tmp_path / "down") == "before"
    assert paths_of(workspace.mlflow_database) == before
    assert len(list((workspace.folder / "artifacts").iterdir())) == 1


def test_an_experiment_without_a_run_moves_along(workspace, tmp_path):
    Tracker("tiny", workspace)
    copy = Workspace(tmp_path.with_name(f"{tmp_path.name}-empty"))
    shutil.copytree(workspace.root, copy.root)
    log_file(copy, "first", "in the copy")
    assert not (workspace.folder / "artifacts").exists()
    assert len(list((copy.folder / "artifacts").iterdir())) == 1


def test_only_paths_below_the_old_folder_are_corrected_and_only_once(moved, workspace):
    here, _ = moved
    with closing(sqlite3.connect(here.mlflow_database)) as store:
        plain = str(workspace.folder.resolve() / "0")  # as MLflow itself may have made it
        store.execute(
            "UPDATE experiments SET artifact_location = ? WHERE name = 'Default'", (plain,)
        )
        store.execute(
            "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage) "
            "VALUES (77, 'theirs', 'file:///elsewhere/artifacts', 'active')"
        )
        store.commit()
    assert relocate(here.mlflow_database)
    assert ("experiments", "file:///elsewhere/artifacts") in paths_of(here.mlflow_database)
    assert ("experiments", str(here.folder.resolve() / "0")) in paths_of(here.mlflow_database)
    assert not relocate(here.mlflow_database)


def test_an_unknown_schema_is_left_alone_in_one_line(moved):
    here, _ = moved
    with closing(sqlite3.connect(here.mlflow_database)) as store:
        store.execute("ALTER TABLE model_versions RENAME COLUMN storage_location TO place")
        store.commit()
    before = here.mlflow_database.read_bytes()
    with pytest.raises(SweepError, match=r"model_versions.storage_location.*move the folder back"):
        relocate(here.mlflow_database)
    assert here.mlflow_database.read_bytes() == before


def test_the_schema_of_the_installed_mlflow_has_these_columns(workspace):
    with closing(sqlite3.connect(workspace.mlflow_database)) as store:
        for table, column in COLUMNS:
            names = [row[1] for row in store.execute(f"PRAGMA table_info({table})")]
            assert column in names, table

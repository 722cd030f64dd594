import sqlite3
import subprocess
import sys
from contextlib import closing

import optuna
import pytest
from sqlalchemy import text

from sweep.errors import StoreUnreachableError, SweepError
from sweep.search import storage as module
from sweep.search.record import begin_study, study_names
from sweep.search.storage import LOCK_TIMEOUT_SECONDS, create_storage, open_storage
from sweep.workspace import Workspace

NEXT = "check the disk and the file's permissions, then run the same command again"


@pytest.fixture
def place(tmp_path):
    """Return a working folder without any store."""
    return Workspace(tmp_path)


@pytest.fixture
def store(workspace):
    storage = open_storage(workspace)
    yield storage
    storage.engine.dispose()


def test_the_store_is_made_in_the_working_folder_and_another_process_reads_it(place, make_config):
    begin_study(make_config(), create_storage(place), place)
    assert place.optuna_database.is_file()
    assert study_names(open_storage(place), place) == ["tiny-softmax"]


def test_every_connection_is_set_up_to_lose_nothing(store):
    for _ in range(2):
        with store.engine.connect() as connection:
            assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
            assert connection.execute(text("PRAGMA synchronous")).scalar() == 2  # FULL
            timeout = connection.execute(text("PRAGMA busy_timeout")).scalar()
            assert timeout == 1000 * LOCK_TIMEOUT_SECONDS
        store.engine.dispose()


def test_who_has_read_may_write_though_another_wrote_meanwhile(store, workspace):
    insert = "INSERT INTO studies (study_name) VALUES ('{}')"
    statements = []
    with closing(sqlite3.connect(workspace.optuna_database, timeout=0)) as other:
        with store.engine.connect() as connection:
            driver = connection.connection.driver_connection
            driver.set_trace_callback(statements.append)
            connection.execute(text("SELECT * FROM studies")).all()
            other.execute(insert.format("theirs"))
            other.commit()
            connection.execute(text(insert.format("ours")))
            with pytest.raises(sqlite3.OperationalError, match="database is locked"):
                other.execute(insert.format("kept out"))
            connection.commit()
            driver.set_trace_callback(None)
        names = other.execute("SELECT study_name FROM studies ORDER BY study_name").fetchall()
    assert names == [("ours",), ("theirs",)]
    assert "BEGIN IMMEDIATE" in [statement.strip() for statement in statements]


def test_a_store_that_is_missing_or_cannot_be_made_is_said_in_one_line(place):
    with pytest.raises(SweepError, match=r"no studies here: .*optuna\.db does not exist; begin"):
        open_storage(place)
    assert list(place.root.iterdir()) == []
    place.folder.write_text("in the way")
    with pytest.raises(SweepError, match="cannot be made: File exists; change to a folder"):
        create_storage(place)


def garble(path):
    path.write_bytes(b"garbage" * 1000)


def cut(path):
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 9999)


def make_a_folder(path):
    path.unlink()
    path.mkdir()


def test_a_damaged_store_is_said_in_one_line_and_kept(place):
    create_storage(place).engine.dispose()
    path, whole = place.optuna_database, place.optuna_database.read_bytes()
    for damage, what in (
        (garble, "file is not a database"),
        (cut, "database disk image is malformed"),
        (make_a_folder, "unable to open database file"),
    ):
        damage(path)
        before = path.is_file() and path.read_bytes()
        for opens in (create_storage, open_storage):
            with pytest.raises(StoreUnreachableError) as refused:
                opens(place)
            assert refused.value.exit_code == 75
            assert str(refused.value) == f"{path}: the study store does not answer: {what}; {NEXT}"
        assert (path.is_file() and path.read_bytes()) == before
        if path.is_file():
            path.write_bytes(whole)


def test_a_store_that_breaks_while_it_is_read_is_said_in_one_line(store, workspace, make_config):
    study = begin_study(make_config(), store, workspace)
    with closing(sqlite3.connect(workspace.optuna_database)) as connection:
        connection.execute("DROP TABLE trials")
    with pytest.raises(StoreUnreachableError, match="no such table: trials; check the disk"):
        study.trials()


def test_a_store_that_another_process_holds_is_said_in_one_line(
    workspace, make_config, monkeypatch
):
    monkeypatch.setattr(module, "LOCK_TIMEOUT_SECONDS", 0.01)
    storage = open_storage(workspace)
    with closing(sqlite3.connect(workspace.optuna_database, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnreachableError, match="database is locked; check the disk"):
            begin_study(make_config(), storage, workspace)


def test_a_store_of_another_optuna_is_said_in_one_line_and_kept(workspace):
    path = workspace.optuna_database
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v99.0.a'")
    before = path.read_bytes()
    with pytest.raises(SweepError) as refused:
        open_storage(workspace)
    said = str(refused.value)
    assert f"tables are those of another version of Optuna than {optuna.__version__};" in said
    assert refused.value.exit_code == 1
    assert path.read_bytes() == before


@pytest.mark.slow
def test_processes_that_start_at_once_in_an_empty_folder_all_get_the_store(tmp_path):
    program = (
        "from sweep.search.storage import create_storage\n"
        "from sweep.workspace import Workspace\n"
        "create_storage(Workspace())"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    said = [process.communicate(timeout=60)[1].decode() for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], said

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sweep.doctor import databases
from sweep.doctor.databases import (
    check_database,
    copy_database,
    mlflow_schema,
    optuna_schema,
    revision,
)
from sweep.doctor.finding import Level

PAGE = 4096


@pytest.fixture
def stores(finished_study, tmp_path):
    """Return a copy of the finished study's stores, to damage, and room for what is read."""
    shutil.copytree(finished_study / "mlruns", tmp_path / "mlruns")
    (tmp_path / "room").mkdir()
    return tmp_path / "mlruns"


def check(stores, name="optuna.db"):
    schema = {"optuna.db": optuna_schema, "mlflow.db": mlflow_schema}[name]
    copy = stores.parent / "room" / name
    copy.unlink(missing_ok=True)
    return check_database(stores / name, copy, schema(Path("mlruns", name)))


def contents(folder):
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.iterdir()
        if path.is_file() and path.suffix != ".db-shm"  # the index of the log, which is no content
    }


@pytest.mark.parametrize("name", ["optuna.db", "mlflow.db"])
def test_a_whole_database_is_said_so_and_nothing_about_it_changes(stores, name):
    before = contents(stores)
    found = check(stores, name)
    assert (found.level, found.advice) == (Level.OK, "")
    assert found.said.startswith("whole, ")
    assert contents(stores) == before


@pytest.mark.parametrize("name", ["optuna.db", "mlflow.db"])
def test_overwritten_pages_are_damage(stores, name):
    path = stores / name
    for log in stores.glob(f"{name}-*"):
        log.unlink()
    with path.open("r+b") as file:
        for page in range(3, path.stat().st_size // PAGE, 2):
            file.seek(page * PAGE)
            file.write(b"\xff" * 512)
    found = check(stores, name)
    assert found.level == Level.FAIL
    assert found.said.startswith("is damaged: ")
    assert "\n" not in found.said
    assert not found.unreachable


def test_what_is_no_database_is_damage(stores):
    path = stores / "mlflow.db"
    path.write_bytes(b"no database at all" * 1000)
    assert check(stores, "mlflow.db").said == "is damaged: file is not a database"
    path.write_bytes(b"")
    assert "tables are of revision none" in check(stores, "mlflow.db").said


def test_a_database_that_somebody_holds_does_not_answer(stores, monkeypatch):
    monkeypatch.setattr(databases, "TIMEOUT_SECONDS", 0.01)
    with closing(sqlite3.connect(stores / "mlflow.db", isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        found = check(stores, "mlflow.db")
    assert (found.level, found.unreachable) == (Level.FAIL, True)
    assert found.said == "does not answer: database is locked"
    assert check(stores, "mlflow.db").level == Level.OK


def test_a_writer_at_work_is_not_waited_for_where_there_is_a_log(stores):
    with closing(sqlite3.connect(stores / "optuna.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM studies")
        assert check(stores).level == Level.OK
        with closing(sqlite3.connect(stores.parent / "room" / "optuna.db")) as copy:
            assert copy.execute("SELECT count(*) FROM studies").fetchone() == (1,)


def test_what_a_dead_process_had_not_finished_is_undone_in_the_copy_alone(tmp_path):
    path, copy = tmp_path / "a.db", tmp_path / "copy.db"
    with closing(sqlite3.connect(path)) as dying:
        dying.execute("CREATE TABLE t (x)")
        dying.executemany("INSERT INTO t VALUES (?)", [(bytes(2000),)] * 500)
        dying.commit()
        dying.execute("PRAGMA cache_size = 5")  # so that it spills into the file
        dying.execute("UPDATE t SET x = 'new'")
        for name in ("a.db", "a.db-journal"):
            (tmp_path / name.replace("a", "dead", 1)).write_bytes((tmp_path / name).read_bytes())
    before = contents(tmp_path)
    copy_database(tmp_path / "dead.db", copy)
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT count(*) FROM t WHERE x = 'new'").fetchone() == (0,)
    assert {path: contents(tmp_path)[path] for path in before} == before


def test_a_folder_that_cannot_be_written_to_can_be_looked_at(stores):
    for log in stores.glob("optuna.db-*"):
        log.unlink()
    before = set(stores.iterdir())
    assert check(stores).level == Level.OK
    assert set(stores.iterdir()) == before


def set_revision(path, value):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (value,))
        connection.commit()


@pytest.mark.parametrize(
    ("name", "older", "command"),
    [
        (
            "optuna.db",
            "v2.6.0.a",
            "optuna storage upgrade --storage sqlite:///mlruns/optuna.db",
        ),
        ("mlflow.db", "451aebb31d03", "mlflow db upgrade sqlite:///mlruns/mlflow.db"),
    ],
)
def test_older_tables_are_said_with_the_command_that_upgrades_them(stores, name, older, command):
    head = revision(stores / name)
    set_revision(stores / name, older)
    found = check(stores, name)
    assert found.level == Level.FAIL
    assert found.said.startswith(f"its tables are of revision {older}, ")
    assert found.said.endswith(f" expects {head}")
    assert found.advice == f"copy the file first, then: {command}"


def test_tables_of_a_later_version_ask_for_that_version(stores):
    set_revision(stores / "optuna.db", "v99.0.0")
    assert check(stores).advice.startswith("install the Optuna ")


def test_a_database_of_somebody_else_has_no_revision(tmp_path):
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE t (x)")
    assert revision(tmp_path / "other.db") is None


def test_a_file_that_cannot_be_read_is_said(stores, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(databases, "copy_database", refuse)
    found = check(stores)
    assert (found.unreachable, found.said) == (True, "cannot be read: Permission denied")

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from sweep.doctor import Level, checks
from sweep.doctor.checks import (
    REPAIR,
    check_database,
    check_folder,
    check_lanes,
    check_locks,
    check_space,
    check_stores,
    check_versions,
    copy_database,
    lanes_finding,
)
from sweep.search.lock import is_held, record_lock, runner_of, study_lock
from sweep.search.record import OLD_CONFIG, open_study
from sweep.tracking import COMPLETE, Tracker
from sweep.workspace import Workspace

PAGE = 4096
NAMES = ("optuna.db", "mlflow.db")


@pytest.fixture
def folder(tmp_path):
    """Return a working folder with `mlruns/`, which is empty."""
    workspace = Workspace(tmp_path)
    workspace.folder.mkdir()
    return workspace


def test_the_versions_that_numbers_rest_on_are_said(monkeypatch):
    found = check_versions()
    assert found.level == Level.OK
    for name in ("python", "numpy", "optuna", "mlflow", "blas"):
        assert f"{name} " in found.message
    monkeypatch.setattr("sweep.doctor.checks.untested_mlflow", lambda: "9.0.0")
    assert (check_versions().level, check_versions().advice[:20]) == (
        Level.WARN,
        "pip install 'mlflow=",
    )
    monkeypatch.setattr("sweep.doctor.checks.environment", lambda: {"blas": "unknown"})
    assert "cannot be limited" in check_versions().message


def test_whether_trials_may_be_moved_is_said():
    assert check_lanes() == lanes_finding([])
    assert "trials may be moved" in lanes_finding([]).message
    found = lanes_finding(["4 lanes"])
    assert (found.level, found.details) == (Level.WARN, ("4 lanes",))
    assert "not moved" in found.message


def test_a_folder_that_cannot_be_used_is_an_error(folder, tmp_path, monkeypatch):
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / "mlruns").touch()
    assert check_folder(Workspace(tmp_path / "file"))[0].level == Level.FAIL
    monkeypatch.setattr("sweep.doctor.checks.may_write", lambda _: False)  # root may, anywhere
    found = check_folder(folder)[0]
    assert (found.level, "cannot be written to" in found.message) == (Level.WARN, True)


def test_a_full_disk_is_said():
    for free, level in ((5e9, Level.OK), (5e8, Level.WARN), (1e6, Level.FAIL)):
        assert check_space(free).level == level


def test_who_holds_a_lock_is_said_and_looking_does_not_take_it(folder):
    assert check_locks(folder).message == "none is held"
    assert list(folder.folder.iterdir()) == []
    with study_lock(folder, "a"), record_lock(folder, "b"):
        said = check_locks(folder).message
        assert f"a.lock is held by process {os.getpid()} on " in said
        assert "b.record.lock is held by another process" in said
        assert runner_of(folder, "a").startswith(f"process {os.getpid()} on ")
    assert check_locks(folder).message == "none is held"
    assert not is_held(folder.lock("a"))


# Databases


@pytest.fixture
def databases(finished_study, tmp_path):
    """Return a folder with copies of the finished study's databases, to damage."""
    folder = tmp_path / "mlruns"
    folder.mkdir()
    for path in finished_study.folder.glob("*.db*"):
        shutil.copy(path, folder)
    return folder


def check(databases, name, timeout=5.0):
    copy = databases.parent / f"copy-{name}"
    copy.unlink(missing_ok=True)
    return check_database(databases / name, copy, timeout)


def contents(folder):
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.iterdir()
        if path.is_file() and path.suffix != ".db-shm"  # the index of the log, which is no content
    }


def test_a_whole_database_is_said_so_and_nothing_about_it_changes(databases):
    before = contents(databases)
    for name in NAMES:
        found = check(databases, name)
        assert (found.level, found.advice) == (Level.OK, "")
        assert found.message.startswith("whole, ")
    assert contents(databases) == before


def test_a_damaged_database_is_said_so_with_the_next_step(databases):
    for log in databases.glob("*.db-*"):
        log.unlink()
    for name in NAMES:
        path = databases / name
        with path.open("r+b") as file:
            for page in range(3, path.stat().st_size // PAGE, 2):
                file.seek(page * PAGE)
                file.write(b"\xff" * 512)
        found = check(databases, name)
        assert (found.level, found.unreachable) == (Level.FAIL, False)
        assert found.message.startswith("is damaged: ")
        assert "\n" not in found.message
        assert f"sqlite3 {path} .recover" in found.advice
        path.write_bytes(b"no database at all" * 1000)
        assert check(databases, name).message == "is damaged: file is not a database"
        path.write_bytes(b"")
        assert check(databases, name).message == "is empty"


def test_a_database_that_somebody_holds_does_not_answer(databases):
    with closing(sqlite3.connect(databases / "mlflow.db", isolation_level=None)) as holder:
        holder.execute("PRAGMA journal_mode=DELETE")  # as MLflow has it by itself
        holder.execute("BEGIN EXCLUSIVE")
        found = check(databases, "mlflow.db", timeout=0.01)
    assert (found.level, found.unreachable) == (Level.FAIL, True)
    assert found.message == "does not answer: database is locked"
    assert check(databases, "mlflow.db").level == Level.OK


def test_a_writer_at_work_is_not_waited_for_where_there_is_a_log(databases):
    with closing(sqlite3.connect(databases / "optuna.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM studies")
        assert check(databases, "optuna.db").level == Level.OK
        with closing(sqlite3.connect(databases.parent / "copy-optuna.db")) as copy:
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


def test_a_file_that_cannot_be_read_is_said(databases, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(checks, "copy_database", refuse)
    found = check(databases, "mlflow.db")
    assert (found.unreachable, found.message) == (True, "cannot be read: Permission denied")


# Studies


def look(workspace, uri=None):
    """Return the findings by what was looked at, the last first."""
    return {finding.check: finding for finding in reversed(check_stores(workspace, uri))}


def tracker_of(workspace):
    return Tracker("digits", workspace)


def test_a_study_of_which_both_stores_say_the_same_is_fine_and_left_so(copied_study):
    before, address = contents(copied_study.folder), os.environ.get("MLFLOW_TRACKING_URI")
    found = check_stores(copied_study)
    assert [finding.level for finding in found] == [Level.OK] * 3
    assert found[2].check == "study digits-softmax"
    assert "3 complete, 3 pruned, 0 failed; MLflow says the same" in found[2].message
    assert contents(copied_study.folder) == before
    assert os.environ.get("MLFLOW_TRACKING_URI") == address


def test_a_folder_without_studies_is_fine(tmp_path):
    (found,) = check_stores(Workspace(tmp_path))
    assert (found.level, found.message[:12]) == (Level.OK, "not here yet")
    assert list(tmp_path.iterdir()) == []


def test_each_disagreement_is_a_detail(copied_study):
    tracker = tracker_of(copied_study)
    for run in tracker.runs(role="trial")[:2]:
        tracker.client.delete_run(run.info.run_id)
    found = look(copied_study)["study digits-softmax"]
    assert (found.level, found.advice, len(found.details)) == (Level.FAIL, REPAIR, 2)


def test_a_study_that_is_being_run_is_left_alone(copied_study):
    tracker = tracker_of(copied_study)
    tracker.client.delete_run(tracker.runs(role="trial")[0].info.run_id)
    with study_lock(copied_study, "digits-softmax"):
        found = look(copied_study)["study digits-softmax"]
    assert found.level == Level.OK
    assert "is being run by process " in found.message


def test_unfinished_trials_are_said_with_the_command_that_goes_on(copied_study):
    study = open_study("digits-softmax", copied_study)
    study.begin(replace(study.trials()[0], number=-1, index=6), None)
    *_, agreed, left = check_stores(copied_study)
    assert (agreed.level, left.level) == (Level.OK, Level.WARN)
    assert "1 trials unfinished" in left.message
    assert left.advice == "go on with it: sweep run digits-softmax"  # to as many as were asked for


def test_a_study_without_a_run_was_imported_or_mlflow_was_lost(copied_study):
    tracker = tracker_of(copied_study)
    for run in tracker.runs(study="digits-softmax"):
        tracker.client.delete_run(run.info.run_id)
    assert "no run in this MLflow store" in look(copied_study)["study digits-softmax"].message
    copied_study.mlflow_database.unlink()
    found = look(copied_study)
    assert "not compared with MLflow" in found["study digits-softmax"].message
    lost = found[str(copied_study.mlflow_database)]
    assert (lost.level, lost.message) == (Level.FAIL, "is missing")
    assert REPAIR in lost.advice
    assert not copied_study.mlflow_database.exists()


def test_a_deleted_experiment_and_tables_of_another_version_are_not_taken_for_a_lost_store(
    copied_study,
):
    tracker = tracker_of(copied_study)
    tracker.client.delete_experiment(tracker.experiment_id)
    deleted = look(copied_study)["study digits-softmax"]
    with closing(sqlite3.connect(copied_study.mlflow_database)) as store, store:
        store.execute("UPDATE alembic_version SET version_num = 'acf3f17fdcc7'")
    older = look(copied_study)["study digits-softmax"]
    assert f"mlflow db upgrade sqlite:///{copied_study.mlflow_database}" in older.message
    for found, says in (
        (deleted, "was deleted; `sweep doctor --repair`"),
        (older, "an earlier ML"),
    ):
        assert (found.level, found.unreachable, says in found.message) == (Level.FAIL, False, True)


def test_files_that_wait_for_mlflow_are_counted(copied_study):
    tracker = tracker_of(copied_study)
    run = tracker.runs(role="trial")[0]
    tracker.client.delete_tag(run.info.run_id, COMPLETE)
    (copied_study.pending("digits-softmax") / "trial-000").mkdir(parents=True)
    found = look(copied_study)["study digits-softmax"]
    assert (found.level, found.advice) == (Level.WARN, "sweep sync digits-softmax")
    assert "the files of 1 runs wait for MLflow" in found.message


def test_a_damaged_record_is_not_compared_and_a_damaged_copy_of_it_neither(copied_study):
    copied_study.mlflow_database.write_bytes(b"no database at all" * 1000)
    found = look(copied_study)
    assert found[str(copied_study.mlflow_database)].level == Level.FAIL
    assert "not compared with MLflow" in found["study digits-softmax"].message
    for log in copied_study.folder.glob("optuna.db-*"):
        log.unlink()
    copied_study.optuna_database.write_bytes(b"no database at all" * 1000)
    found = look(copied_study)
    assert found[str(copied_study.optuna_database)].level == Level.FAIL
    assert "study digits-softmax" not in found


def test_an_address_that_is_none_or_does_not_answer_is_said(copied_study):
    found = look(copied_study, "ftp://example")
    assert found["MLflow's store"].level == Level.FAIL
    assert "not compared with MLflow" in found["study digits-softmax"].message
    away = look(copied_study, "http://me:s3cret@127.0.0.1:9")["study digits-softmax"]
    assert (away.level, away.unreachable) == (Level.FAIL, True)
    assert "s3cret" not in away.message


def test_studies_that_are_not_ours_or_not_of_this_version_do_not_stop_the_others(copied_study):
    import optuna

    storage = open_study("digits-softmax", copied_study).storage
    for name, attributes in (
        ("anothers", {}),
        ("old", {OLD_CONFIG: {"study": "old"}}),
        ("strange", {"sweep:config": {"study": "strange"}}),
    ):
        study = optuna.create_study(study_name=name, storage=storage)
        for key, value in attributes.items():
            study.set_user_attr(key, value)
    found = look(copied_study)
    assert "study anothers" not in found
    assert (found["study old"].level, "sweep 0.1" in found["study old"].message) == (
        Level.WARN,
        True,
    )
    assert found["study strange"].level == Level.FAIL
    assert found["study digits-softmax"].level == Level.OK

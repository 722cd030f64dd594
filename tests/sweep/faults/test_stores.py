"""Stores that are damaged, gone, sealed or somebody else's: named, and left as they are."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sweep.workspace import Workspace

AGAIN = "run --data digits --trials 7 --epochs 2"
READING = ("list", "show digits-softmax", "best digits-softmax", "report digits-softmax")
CHANGING = (
    "test digits-softmax",
    "confirm digits-softmax --seeds 2",
    "reproduce digits-softmax",
    "export digits-softmax",
    "ui digits-softmax",
)


def cut(path):
    path.write_bytes(path.read_bytes()[:5000])


def fill_with_garbage(path):
    path.write_bytes(b"garbage" * 3000)


def overwrite_from_the_second_page(path):
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))


def empty(path):
    path.write_bytes(b"")


def make_anothers(path):
    path.unlink()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE cookies (crumb)")


def make_a_folder(path):
    path.unlink()
    path.mkdir()


def remove(path):
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink()


@pytest.fixture
def settled(in_copied_study):
    """Enter a copy of a finished study whose databases are each in one file."""
    for path in in_copied_study.folder.glob("*.db"):
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            database.execute("PRAGMA journal_mode=DELETE")
    return in_copied_study


MALFORMED, ANOTHER = "database disk image is malformed", "so it is not the store that was here"


def test_a_study_store_that_is_none_is_named_and_kept(settled, refused, tmp_path):
    path = settled.optuna_database
    good = shutil.copy(path, tmp_path / "good")
    for damage, code, says in (
        (cut, 75, f"the study store does not answer: {MALFORMED}"),
        (fill_with_garbage, 75, "the study store does not answer: file is not a database"),
        (overwrite_from_the_second_page, 75, f"does not answer: {MALFORMED}"),
        (empty, 1, f"is empty, {ANOTHER}; put that back, or move this"),
        (make_anothers, 1, f"holds something else (cookies), {ANOTHER}"),
        (make_a_folder, 75, "the study store does not answer: unable to open database file"),
    ):
        damage(path)
        for command in (AGAIN, *READING):
            refused(command, code, "mlruns/optuna.db: ", says)
        remove(path)
        shutil.copy(good, path)


def test_a_tracking_store_that_is_none_is_named_and_kept(settled, refused, tmp_path):
    path = settled.mlflow_database
    good = shutil.copy(path, tmp_path / "good")
    for damage, code, says in (
        (cut, 75, f"is damaged: {MALFORMED}; put back a copy of it, or move it"),
        (fill_with_garbage, 75, "is damaged: file is not a database; put back a copy of it"),
        (overwrite_from_the_second_page, 75, f"is damaged: {MALFORMED}"),
        (empty, 1, f"is empty, {ANOTHER}; put that back, or move this"),
        (make_anothers, 1, f"holds something else (cookies), {ANOTHER}"),
        (make_a_folder, 1, "is a folder; name a file with --tracking-uri"),
    ):
        damage(path)
        for name in ("report", "export", "ui"):
            refused(f"{name} digits-softmax", code, "mlruns/mlflow.db: ", says)
        refused(AGAIN, code, "mlruns/mlflow.db: ", says)
        remove(path)
        shutil.copy(good, path)


def test_one_database_is_not_taken_for_both_stores(settled, refused):
    refused(
        f"{AGAIN} --tracking-uri sqlite:///mlruns/optuna.db", 1, "optuna.db: holds something else"
    )
    shutil.copy(settled.mlflow_database, settled.optuna_database)
    refused("list", 1, "optuna.db: holds something else")


def test_a_tracking_store_that_was_lost_is_filled_again_from_the_record(
    settled, invoke, empty_mlflow_database
):
    shutil.copy(empty_mlflow_database, settled.mlflow_database)
    done = invoke("run", "--data", "digits", "--trials", 6, "--epochs", 2)
    assert done.exit_code == 0, done.output
    with closing(sqlite3.connect(settled.mlflow_database)) as database:
        query = "SELECT count(*) FROM tags WHERE key = 'sweep.trial'"
        assert database.execute(query).fetchone() == (6,)


def test_a_study_in_a_folder_that_may_not_be_written_to_is_read_and_copied_to_go_on_with_it(
    settled, refused, invoke, plain_user
):
    places = [*filter(Path.is_dir, settled.folder.rglob("*")), settled.folder, settled.root]
    settled.optuna_database.chmod(0o400)
    for place in places:
        place.chmod(0o500)
    try:
        with plain_user():
            before = sorted(settled.folder.iterdir())
            for command in READING[:-1]:
                done = invoke(*command.split())
                assert done.exit_code == 0, (command, done.output)
            assert sorted(settled.folder.iterdir()) == before
            for command in CHANGING[:3]:
                refused(command, 1, "mlruns/")
            refused("export digits-softmax", 1, "digits-softmax.zip: cannot be written")
    finally:
        for place in reversed(places):
            place.chmod(0o700)


def test_nothing_is_begun_in_a_folder_that_may_not_be_written_to(folder, refused, plain_user):
    Workspace(folder).folder.mkdir(mode=0o500)
    with plain_user():
        for command in ("run --data digits", "train --data digits"):
            refused(command, 1, "mlruns")


def test_a_store_that_may_not_be_read_is_named(settled, refused, plain_user):
    settled.optuna_database.chmod(0)
    with plain_user():
        refused("list", 75, "mlruns/optuna.db: the study store does not answer: unable to open")

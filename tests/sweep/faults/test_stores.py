"""Stores that are damaged, gone, sealed or somebody else's: named, and left as they are."""

import shutil
import sqlite3
from contextlib import closing

import pytest

AGAIN = "run --data digits --trials 7 --epochs 2"


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


@pytest.fixture
def settled(in_copied_study):
    """Enter a copy of a finished study whose databases are each in one file."""
    for path in (in_copied_study / "mlruns").glob("*.db"):
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            database.execute("PRAGMA journal_mode=DELETE")
    return in_copied_study


@pytest.mark.parametrize(
    ("damage", "code", "says"),
    [
        (cut, 75, "the study store does not answer: database disk image is malformed"),
        (fill_with_garbage, 75, "the study store does not answer: file is not a database"),
        (overwrite_from_the_second_page, 75, "does not answer: database disk image is malformed"),
        (empty, 1, "is empty, so it is not the store that was here; put that back, or move this"),
        (make_anothers, 1, "holds something else (cookies), so it is not the store that was here"),
        (make_a_folder, 75, "the study store does not answer: unable to open database file"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_study_store_that_is_none_is_named_and_kept(settled, refused, damage, code, says):
    damage(settled / "mlruns" / "optuna.db")
    for command in (AGAIN, "list", "show digits-softmax", "report digits-softmax"):
        refused(command, code, "mlruns/optuna.db: ", says)


@pytest.mark.parametrize(
    ("damage", "code", "says"),
    [
        (
            cut,
            75,
            "is damaged: database disk image is malformed; put back a copy of it, or move it",
        ),
        (fill_with_garbage, 75, "is damaged: file is not a database; put back a copy of it"),
        (overwrite_from_the_second_page, 75, "is damaged: database disk image is malformed"),
        (empty, 1, "is empty, so it is not the store that was here; put that back, or move this"),
        (make_anothers, 1, "holds something else (cookies), so it is not the store that was here"),
        (make_a_folder, 1, "is a folder; name a file with --tracking-uri"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_tracking_store_that_is_none_is_named_and_kept(settled, refused, damage, code, says):
    damage(settled / "mlruns" / "mlflow.db")
    for command in (AGAIN, "report digits-softmax", "export digits-softmax", "ui digits-softmax"):
        refused(command, code, "mlruns/mlflow.db: ", says)


def test_one_database_is_not_taken_for_both_stores(settled, refused):
    refused(
        f"{AGAIN} --tracking-uri sqlite:///mlruns/optuna.db", 1, "optuna.db: holds something else"
    )
    shutil.copy(settled / "mlruns" / "mlflow.db", settled / "mlruns" / "optuna.db")
    refused("list", 1, "optuna.db: holds something else")


def test_a_tracking_store_that_was_lost_is_filled_again_from_the_record(settled, invoke):
    (settled / "mlruns" / "mlflow.db").unlink()
    done = invoke("run", "--data", "digits", "--trials", 6, "--epochs", 2)
    assert done.exit_code == 0, done.output
    with closing(sqlite3.connect(settled / "mlruns" / "mlflow.db")) as database:
        query = "SELECT count(*) FROM tags WHERE key = 'sweep.trial'"
        assert database.execute(query).fetchone() == (6,)


@pytest.mark.parametrize(
    "command",
    [
        "list",
        "show digits-softmax",
        "best digits-softmax",
        "test digits-softmax",
        "confirm digits-softmax --seeds 2",
        "reproduce digits-softmax",
        "report digits-softmax",
        "export digits-softmax",
        "ui digits-softmax",
    ],
)
def test_a_study_in_a_folder_that_may_not_be_written_to_is_copied_first(
    settled, refused, plain_user, command
):
    places = [settled / "mlruns", settled]
    (settled / "mlruns" / "optuna.db").chmod(0o400)
    for place in places:
        place.chmod(0o500)
    try:
        with plain_user():
            refused(command, 1, "mlruns/optuna.db: cannot be written", "work in a folder you may")
    finally:
        for place in reversed(places):
            place.chmod(0o700)


@pytest.mark.parametrize("command", ["run --data digits", "train --data digits"])
def test_nothing_is_begun_in_a_folder_that_may_not_be_written_to(
    folder, refused, plain_user, command
):
    (folder / "mlruns").mkdir(mode=0o500)
    with plain_user():
        refused(command, 1, "mlruns", "written to" if "train" in command else "")


def test_a_store_that_may_not_be_read_is_named(settled, refused, plain_user):
    (settled / "mlruns" / "optuna.db").chmod(0)
    with plain_user():
        refused("list", 75, "mlruns/optuna.db: the study store does not answer: unable to open")

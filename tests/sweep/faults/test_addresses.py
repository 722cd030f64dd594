"""Addresses of tracking stores that cannot be right, and what is shown of those with passwords."""

import sqlite3
from contextlib import closing

import pytest

TAKEN = "write e.g. sqlite:///mlruns/mlflow.db or http://127.0.0.1:5000 with --tracking-uri"
NONE = "not a tracking address that MLflow takes: "

ADDRESSES = {
    "a folder": ("./mlruns", 1, f"{NONE}'./mlruns'; {TAKEN}"),
    "this folder": (".", 1, f"{NONE}'.'; {TAKEN}"),
    "a folder as an address": ("file:///tmp", 1, f"{NONE}'file:///tmp'"),
    "a file": ("mlflow.db", 1, f"{NONE}'mlflow.db'"),
    "an unknown kind": ("gopher://host", 1, f"{NONE}'gopher://host'"),
    "a bucket": ("s3://bucket/x", 1, f"{NONE}'s3://bucket/x'"),
    "a page": ("<b>", 1, f"{NONE}'<b>'"),
    "two lines": ("http://a\nb", 1, NONE, r"a\nb"),
    "a blank within": ("http://a b", 1, f"{NONE}'http://a b'"),
    "no host": ("http://", 1, f"{NONE}'http://'"),
    "a port and no host": ("https://:5000", 1, f"{NONE}'https://:5000'"),
    "half a bracket": ("http://[::1", 1, f"{NONE}'http://[::1'"),
    "a port that is none": ("http://127.0.0.1:99999", 1, f"{NONE}'http://127.0.0.1:99999'"),
    "a port in words": ("http://127.0.0.1:http", 1, f"{NONE}'http://127.0.0.1:http'"),
    "memory": ("sqlite://", 1, "sqlite://: names no file, so all of it would be lost"),
    "memory by name": ("sqlite:///:memory:", 1, "names no file"),
    "a folder for a database": ("sqlite:///.", 1, ".: is a folder; name a file"),
    "a place below a file": ("sqlite:///words.txt/a.db", 1, "words.txt/a.db: cannot be made"),
    "a text file": ("sqlite:///words.txt", 75, "words.txt: the store of MLflow's runs is damaged"),
    "an empty file": ("sqlite:///empty.db", 1, "empty.db: is empty, so it is not the store"),
    "another program's database": ("sqlite:///cookies.db", 1, "holds something else (cookies)"),
    "an endless name": (f"sqlite:///{'a' * 300}", 1, "cannot be used: File name too long"),
    "a login without an address": ("//me:s3cret@host", 1, f"{NONE}'//***@host'"),
    "a login with half a bracket": ("http://me:s3cret@[::1", 1, f"{NONE}'http://***@[::1'"),
    "a login with a slash": ("http://me:s3/cret@host/x", 1, f"{NONE}'http://***@host/x'"),
    "a login of an unknown kind": ("ftp://me:s3cret@host", 1, f"{NONE}'ftp://***@host'"),
}


@pytest.mark.parametrize("case", ADDRESSES.values(), ids=ADDRESSES)
@pytest.mark.parametrize("command", ["run --data digits", "train --data digits", "ui"])
def test_an_address_is_refused_before_anything_is_begun(folder, refused, command, case):
    uri, code, *says = case
    (folder / "words.txt").write_text("words " * 500)
    (folder / "empty.db").touch()
    with closing(sqlite3.connect(folder / "cookies.db")) as database:
        database.execute("CREATE TABLE cookies (crumb)")
    line = refused(f"{command} '--tracking-uri={uri}'", code, *says)
    assert "s3" not in line.replace("s3://bucket", "")


@pytest.mark.parametrize("command", ["run --data digits", "import a.zip", "report a", "export a"])
def test_the_address_of_the_environment_is_held_to_the_same_rules(
    folder, refused, monkeypatch, command
):
    del folder
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "./mlruns")
    refused(command, 1, f"{NONE}'./mlruns'; {TAKEN}")


def test_a_place_that_may_not_be_written_to_is_named_at_once(folder, refused, plain_user):
    folder.chmod(0o500)
    with plain_user():
        refused("train --data digits", 1, "mlruns/mlflow.db: cannot be made: nothing can be writt")
    folder.chmod(0o700)


def test_a_place_that_may_not_be_looked_into_is_named_at_once(folder, refused, plain_user):
    (folder / "sealed").mkdir(mode=0)
    with plain_user():
        refused(
            "train --data digits --tracking-uri sqlite:///sealed/a.db",
            1,
            "sealed/a.db: cannot be used: Permission denied; name another file",
        )

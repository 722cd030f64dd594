"""Addresses of tracking stores that cannot be right: refused before anything is begun."""

import shlex
import sqlite3
from contextlib import closing

NONE = "not a tracking address that sweep takes: "
TAKEN = "write e.g. sqlite:///mlruns/mlflow.db or http://127.0.0.1:5000 with --tracking-uri"
COMMANDS = ("run --data digits", "train --data digits", "ui")

NO_ADDRESSES = {
    "./mlruns": "./mlruns",
    "mlruns": "mlruns",
    "databricks": "databricks",
    ".": ".",
    "file:///tmp": "file:///tmp",
    "mlflow.db": "mlflow.db",
    "gopher://host": "gopher://host",
    "s3://bucket/x": "s3://bucket/x",
    "<b>": "<b>",
    "http://a\nb": r"http://a\nb",
    "http://a b": "http://a b",
    "http://": "http://",
    "https://:5000": "https://:5000",
    "http://[::1": "http://[::1",
    "http://127.0.0.1:99999": "http://127.0.0.1:99999",
    "http://127.0.0.1:http": "http://127.0.0.1:http",
    "//me:s3cret@host": "//***@host",
    "http://me:s3cret@[::1": "http://***@[::1",
    "http://me:s3/cret@host/x": "http://***@host/x",
    "ftp://me:s3cret@host": "ftp://***@host",
}
"""Each with what is shown of it."""

NO_DATABASES = {
    "sqlite://": (1, "sqlite://: names no file, so all of it would be lost"),
    "sqlite:///:memory:": (1, "names no file"),
    "sqlite:///.": (1, ".: is a folder; name a file"),
    "sqlite:///words.txt/a.db": (1, "words.txt/a.db: cannot be made"),
    "sqlite:///words.txt": (75, "words.txt: the store of MLflow's runs is damaged"),
    "sqlite:///empty.db": (1, "empty.db: is empty, so it is not the store"),
    "sqlite:///cookies.db": (1, "holds something else (cookies)"),
    f"sqlite:///{'a' * 300}": (1, "cannot be used: File name too long"),
}


def test_what_is_no_address_is_refused_with_one_that_is(folder, refused):
    del folder
    for uri, shown in NO_ADDRESSES.items():
        for command in COMMANDS:
            line = refused(f"{command} {shlex.quote(f'--tracking-uri={uri}')}", 1, NONE, TAKEN)
            assert f"'{shown}'" in line
            assert "cret" not in line


def test_a_file_that_is_no_store_of_runs_is_named_and_kept(folder, refused):
    (folder / "words.txt").write_text("words " * 500)
    (folder / "empty.db").touch()
    with closing(sqlite3.connect(folder / "cookies.db")) as database:
        database.execute("CREATE TABLE cookies (crumb)")
    for uri, (code, says) in NO_DATABASES.items():
        for command in COMMANDS:
            refused(f"{command} --tracking-uri={uri}", code, says)


def test_a_place_that_may_not_be_used_is_named_at_once(folder, refused, plain_user):
    (folder / "sealed").mkdir(mode=0)
    elsewhere = "train --data digits --tracking-uri sqlite:///sealed/a.db"
    with plain_user():
        refused(elsewhere, 1, "sealed/a.db: cannot be used: Permission denied; name another file")
    folder.chmod(0o500)
    with plain_user():
        refused("train --data digits", 1, "mlruns/mlflow.db: cannot be made: nothing can be writt")
    folder.chmod(0o700)

import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from sweep.databases import check_tables, make_whole
from sweep.errors import SweepError
from sweep.search.storage import create_storage
from sweep.tracking.tracker import Tracker
from sweep.workspace import Workspace


def write(path, text):
    """Make a database of one word."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE words (word)")
    connection.execute("INSERT INTO words VALUES (?)", (text,))
    connection.commit()
    connection.close()


def read(path):
    """Return the word."""
    connection = sqlite3.connect(path)
    (word,) = connection.execute("SELECT word FROM words").fetchone()
    connection.close()
    return word


def test_a_database_gets_its_name_when_it_is_done(tmp_path):
    path = tmp_path / "a.db"

    def make(partial):
        write(partial, "first")
        assert not path.exists()

    make_whole(path, make)
    assert read(path) == "first"
    assert {file.name for file in tmp_path.iterdir()} == {"a.db", "a.db.lock"}


def test_what_fails_has_no_name_and_the_next_attempt_begins_anew(tmp_path):
    path = tmp_path / "a.db"

    def fail(partial):
        write(partial, "half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        make_whole(path, fail)
    assert not path.exists()
    make_whole(path, lambda partial: write(partial, "whole"))
    assert read(path) == "whole"


def test_what_is_there_stays(tmp_path):
    path = tmp_path / "a.db"
    write(path, "first")
    make_whole(path, lambda partial: write(partial, "second"))
    assert read(path) == "first"


def test_of_two_at_once_one_makes_it(tmp_path):
    path, made = tmp_path / "a.db", []

    def make(partial):
        made.append(partial)
        time.sleep(0.1)
        write(partial, "once")

    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda _: make_whole(path, make), range(4)))
    assert len(made) == 1
    assert read(path) == "once"


def test_a_database_is_known_by_a_table(tmp_path):
    write(tmp_path / "a.db", "first")
    before = (tmp_path / "a.db").read_bytes()
    check_tables(tmp_path / "a.db", "words")
    with pytest.raises(SweepError, match=r"a\.db: holds something else \(words\), so it is not"):
        check_tables(tmp_path / "a.db", "studies")
    assert (tmp_path / "a.db").read_bytes() == before
    (tmp_path / "empty.db").touch()
    with pytest.raises(SweepError, match=r"empty\.db: is empty, so it is not the store"):
        check_tables(tmp_path / "empty.db", "words")


def test_looking_for_a_database_makes_none(tmp_path):
    with pytest.raises(sqlite3.OperationalError):
        check_tables(tmp_path / "a.db", "words")
    (tmp_path / "a.db").write_bytes(b"garbage" * 1000)
    with pytest.raises(sqlite3.DatabaseError, match="file is not a database"):
        check_tables(tmp_path / "a.db", "words")
    assert [path.name for path in tmp_path.iterdir()] == ["a.db"]


@pytest.mark.slow
@pytest.mark.parametrize("store", ["optuna.db", "mlflow.db"])
@pytest.mark.parametrize("delay", [0, 0.2, 0.5])
def test_a_process_killed_while_it_makes_the_stores_stops_no_later_one(tmp_path, store, delay):
    workspace = Workspace(tmp_path)
    begin = (
        "import mlflow.store.tracking.sqlalchemy_store, optuna, sys\n"
        "from sweep.search.storage import create_storage\n"
        "from sweep.tracking.tracker import Tracker\n"
        "from sweep.workspace import Workspace\n"
        "print('ready', flush=True)\n"
        "create_storage(Workspace())\n"
        "Tracker('tiny', Workspace())\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", begin], stdout=subprocess.PIPE, cwd=workspace.root
    )
    assert process.stdout.readline() == b"ready\n"
    while process.poll() is None and not list(tmp_path.glob(f"mlruns/{store}?*")):
        time.sleep(0.01)  # its lock or its tables
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert create_storage(workspace).get_all_studies() == []
    assert Tracker("tiny", workspace).runs() == []

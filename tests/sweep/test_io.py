import errno
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from sweep.errors import StoreUnreachableError, SweepError
from sweep.io import (
    check_replaceable,
    check_tables,
    file_lock,
    free_memory,
    make_whole,
    read_only,
    reading,
    scratch_folder,
    with_room,
    write_whole,
)
from sweep.search.storage import create_storage
from sweep.tracking.client import Tracker
from sweep.workspace import Workspace


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# Databases that are open


def test_a_database_that_is_looked_at_keeps_the_locks_of_who_has_it_open(tmp_path):
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as held:
        held.execute("PRAGMA journal_mode=WAL")
        held.execute("CREATE TABLE t (x)")
        held.commit()
        read_only(path)
        other = (
            "import sqlite3, sys\n"
            "c = sqlite3.connect(sys.argv[1])\n"
            "c.execute('INSERT INTO t VALUES (1)')\nc.commit()\nc.close()"
        )
        subprocess.run([sys.executable, "-c", other, str(path)], check=True)
        assert path.with_name("a.db-wal").exists()  # else it took itself for the last to have it
        held.execute("INSERT INTO t VALUES (2)")
        held.commit()
        assert held.execute("SELECT count(*) FROM t").fetchone() == (2,)


# Files


def test_a_file_is_written_whole_or_stays_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"newer")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_only_a_file_of_ours_may_be_replaced(tmp_path):
    def check(path):
        check_replaceable(path, mark=b"<our mark>", kind="report")

    path, link = tmp_path / "a", tmp_path / "link"
    check(path)
    for content in (b"", b"head <our mark> and more"):
        path.write_bytes(content)
        check(path)
    path.write_bytes(b"notes")
    link.symlink_to(tmp_path / "nowhere")
    for refused, said in (
        (path, "is there already and is no report of sweep's; move it away"),
        (tmp_path, "is there already and is no file; name another with --out"),
        (link, "is there already and is no file"),
        (tmp_path / "none" / "a", "none is no folder; name another with --out"),
        (tmp_path / ("a" * 300), "cannot be used: File name too long; name another"),
    ):
        with pytest.raises(SweepError, match=f"^{refused}: .*{said}"):
            check(refused)


def test_what_may_not_be_read_is_one_line(tmp_path):
    with pytest.raises(SweepError, match="a: cannot be read: No such file"), reading(Path("a")):
        (tmp_path / "a").read_text()


def test_of_two_processes_one_has_the_lock(tmp_path):
    path = tmp_path / "a.lock"
    with file_lock(path), pytest.raises(TimeoutError), file_lock(path, seconds=0.01):
        pass
    with file_lock(path, seconds=0.01):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="exists"), file_lock(tmp_path / "file" / "a.lock"):
        pass


# Disks and memory


def test_a_full_disk_is_named_with_its_free_bytes_and_other_trouble_as_it_is(tmp_path):
    of_sqlite = ("database or disk is full", "disk I/O error")
    for said in (*map(os.strerror, (errno.ENOSPC, errno.EDQUOT)), *of_sqlite):
        shown = with_room(said, tmp_path / "not" / "there")
        disk = re.fullmatch(rf"{said} \([\d,]+ B free on (/.*)\)", shown)[1]
        assert os.path.ismount(disk)
        assert tmp_path.is_relative_to(disk)
    assert with_room(os.strerror(errno.EACCES), Path("a")) == os.strerror(errno.EACCES)


def test_a_scratch_folder_is_gone_after_its_block_and_a_full_disk_is_one_line(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with scratch_folder() as folder:
        (folder / "a").write_text("b")
    with pytest.raises(StoreUnreachableError) as failed, scratch_folder():
        full()
    said = str(failed.value)
    assert said.startswith(f"{tmp_path}: a temporary file cannot be written: No space left on")
    assert said.endswith("; make room there, or name another folder with TMPDIR")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(StoreUnreachableError, match=r"gone: .* No such file"), scratch_folder():
        pass


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="needs Linux")
def test_free_memory_is_what_the_process_may_take():
    program = """
import resource, sys
sys.path = sys.argv[1:]
from sweep.io import free_memory
before = free_memory()
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
print(before, free_memory())
"""
    done = subprocess.run(
        [sys.executable, "-c", program, *sys.path], check=True, capture_output=True, text=True
    )
    before, limited = map(int, done.stdout.split())
    assert 1 << 24 < before < 1 << 50
    assert 1 << 24 < limited < 1 << 30
    assert free_memory() > 0


# Databases


def write(path, text):
    """Make a database of one word."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE words (word)")
        database.execute("INSERT INTO words VALUES (?)", (text,))


def read(path):
    """Return the word."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT word FROM words").fetchone()[0]


def test_a_database_gets_its_name_when_it_is_done_and_then_stays(tmp_path):
    path = tmp_path / "a.db"

    def make(partial):
        write(partial, "half")
        assert not path.exists()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        make_whole(path, make)
    assert not path.exists()
    make_whole(path, lambda partial: write(partial, "whole"))
    make_whole(path, lambda partial: write(partial, "another"))
    assert read(path) == "whole"
    assert {file.name for file in tmp_path.iterdir()} == {"a.db", "a.db.lock"}


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


def test_a_database_is_known_by_a_table_and_looking_for_it_changes_nothing(tmp_path):
    path, empty, damaged = (tmp_path / name for name in ("a.db", "empty.db", "damaged.db"))
    write(path, "first")
    empty.touch()
    damaged.write_bytes(b"garbage" * 1000)
    before = path.read_bytes()
    check_tables(path, "words")
    for other, error, said in (
        (path, SweepError, r"a\.db: holds something else \(words\), so it is not"),
        (empty, SweepError, r"empty\.db: is empty, so it is not the store"),
        (damaged, sqlite3.DatabaseError, "file is not a database"),
        (tmp_path / "none.db", sqlite3.OperationalError, "unable to open"),
    ):
        with pytest.raises(error, match=said):
            check_tables(other, "studies")
    assert path.read_bytes() == before
    assert not (tmp_path / "none.db").exists()


@pytest.mark.slow
@pytest.mark.parametrize("store", ["optuna.db", "mlflow.db"])
@pytest.mark.parametrize("delay", [0, 0.2, 0.5])
def test_a_process_killed_while_it_makes_the_stores_stops_no_later_one(tmp_path, store, delay):
    workspace = Workspace(tmp_path)
    begin = (
        "import mlflow.store.tracking.sqlalchemy_store, optuna, sys\n"
        "from sweep.search.storage import create_storage\n"
        "from sweep.tracking.client import Tracker\n"
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


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a%20b?c", "ä ö#100%", "a;b&c:d@e's"])
def test_stores_may_lie_in_a_folder_of_any_name(tmp_path, name):
    program = """
import sys
from pathlib import Path
sys.path = sys.argv[2:]
from sweep.search.storage import create_storage
from sweep.tracking.client import Tracker, database_path
from sweep.workspace import Workspace
workspace = Workspace(Path(sys.argv[1]))
assert create_storage(workspace).get_all_studies() == []
tracker = Tracker("tiny", workspace)
assert tracker.runs() == []
assert database_path(tracker.uri) == workspace.mlflow_database
"""
    folder = tmp_path / name
    folder.mkdir()
    for root in (".", folder):
        arguments = [sys.executable, "-c", program, root, *sys.path]
        subprocess.run(arguments, check=True, cwd=folder if root == "." else tmp_path)
        assert (folder / "mlruns" / "mlflow.db").is_file()
        if root == ".":  # else MLflow makes a folder that is called as it is written there
            assert list(tmp_path.iterdir()) == [folder]

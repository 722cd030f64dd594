import sqlite3
import subprocess
import sys

import optuna
import pytest
from click.testing import CliRunner
from sqlalchemy import event, text

from sweep.cli import main
from sweep.errors import StoreUnreachableError, SweepError
from sweep.study import storage as storage_module
from sweep.study.opening import begin_study, study_names
from sweep.study.storage import LOCK_TIMEOUT_SECONDS, STORE, create_storage, open_storage

DAMAGE = "check the disk and the file's permissions, then run the same command again"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def engine_of(storage):
    return storage._backend.engine


def damaged(part):
    """Return a store whose bytes from `part` on are garbage, its sidecar files gone."""
    storage = create_storage()
    optuna.create_study(storage=storage, study_name="old")
    engine_of(storage).dispose()
    whole = STORE.read_bytes()
    bad = whole[:part] + b"\xff" * (len(whole) - part)
    STORE.write_bytes(bad)
    return bad


def test_the_store_is_made_in_the_working_folder(folder):
    create_storage()
    assert (folder / "mlruns" / "optuna.db").is_file()


def test_what_one_process_writes_another_reads(make_settings):
    begin_study(make_settings(), create_storage())
    assert study_names(open_storage()) == ["tiny-softmax"]


def test_every_connection_is_set_up_to_lose_nothing():
    engine = engine_of(create_storage())
    for _ in range(2):
        with engine.connect() as connection:
            assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
            assert connection.execute(text("PRAGMA synchronous")).scalar() == 2  # FULL
            timeout = connection.execute(text("PRAGMA busy_timeout")).scalar()
            assert timeout == 1000 * LOCK_TIMEOUT_SECONDS
        engine.dispose()


def test_every_transaction_begins_with_the_right_to_write():
    engine, statements = engine_of(create_storage()), []
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        driver.set_trace_callback(statements.append)
        connection.execute(text("SELECT 1"))
        driver.set_trace_callback(None)
    assert statements == ["BEGIN IMMEDIATE", "SELECT 1"]


def test_a_transaction_that_has_only_read_keeps_other_writers_out():
    engine = engine_of(create_storage())
    other = sqlite3.connect(STORE, timeout=0)
    with engine.connect() as connection:
        connection.execute(text("SELECT * FROM studies"))
        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            other.execute("BEGIN IMMEDIATE")
    other.execute("BEGIN IMMEDIATE")
    other.close()


def test_every_statement_of_optuna_stands_in_an_immediate_transaction(make_settings):
    storage, statements = create_storage(), []

    @event.listens_for(engine_of(storage), "before_cursor_execute")
    def _listen(connection, cursor, statement, *_):  # noqa: ARG001 - the signature of a listener
        statements.append(statement.split()[0])
        assert connection.connection.driver_connection.in_transaction or statement.startswith(
            "BEGIN IMMEDIATE"
        )

    study = begin_study(make_settings(), storage)
    study.optuna.tell(study.optuna.ask(), 1.0)
    assert {"BEGIN", "SELECT", "INSERT"} <= set(statements)


def test_a_missing_store_is_said_in_one_line(folder):
    with pytest.raises(SweepError) as refused:
        open_storage()
    assert str(refused.value) == (
        "no studies here: mlruns/optuna.db does not exist; begin one with "
        "`sweep run --loss softmax --trials 50`, or change to the folder that holds it"
    )
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_said_in_one_line(folder):
    (folder / "mlruns").write_text("in the way")
    with pytest.raises(SweepError) as refused:
        create_storage()
    assert str(refused.value) == (
        "mlruns/ cannot be made here: File exists; change to a folder you may write to"
    )


@pytest.mark.parametrize("create", [create_storage, open_storage])
def test_garbage_instead_of_a_store_is_said_in_one_line_and_kept(folder, create):
    (folder / "mlruns").mkdir()
    STORE.write_bytes(b"garbage" * 1000)
    with pytest.raises(StoreUnreachableError) as refused:
        create()
    assert str(refused.value) == (
        f"{STORE}: the study store does not answer: file is not a database; {DAMAGE}"
    )
    assert refused.value.exit_code == 75
    assert STORE.read_bytes() == b"garbage" * 1000
    names = {path.name for path in STORE.parent.iterdir()}
    assert names - {"making.lock"} == {"optuna.db"}


def test_a_store_damaged_behind_its_first_page_is_said_in_one_line_and_kept():
    bad = damaged(4096)
    with pytest.raises(StoreUnreachableError) as refused:
        open_storage()
    assert str(refused.value) == (
        f"{STORE}: the study store does not answer: database disk image is malformed; {DAMAGE}"
    )
    assert STORE.read_bytes() == bad


@pytest.mark.parametrize("command", [["list"], ["show", "old"], ["best", "old"]])
def test_a_command_on_a_damaged_store_ends_with_75_and_no_traceback(command):
    bad = damaged(0)
    done = CliRunner().invoke(main, command)
    assert (done.exit_code, done.stdout) == (75, "")
    assert done.stderr == (
        f"sweep: error: {STORE}: the study store does not answer: file is not a database; "
        f"{DAMAGE}\n"
    )
    assert STORE.read_bytes() == bad


def test_a_store_that_breaks_while_it_is_read_is_said_in_one_line(make_settings):
    study = begin_study(make_settings(), create_storage())
    connection = sqlite3.connect(STORE)
    connection.execute("DROP TABLE trials")
    connection.close()
    with pytest.raises(StoreUnreachableError) as refused:
        study.trials()
    assert str(refused.value) == (
        f"{STORE}: the study store does not answer: no such table: trials; {DAMAGE}"
    )


def test_a_folder_in_the_place_of_the_store_is_said_in_one_line():
    STORE.mkdir(parents=True)
    with pytest.raises(StoreUnreachableError) as refused:
        open_storage()
    assert str(refused.value) == (
        f"{STORE}: the study store does not answer: unable to open database file; {DAMAGE}"
    )


def test_a_store_that_another_process_holds_is_said_in_one_line(make_settings, monkeypatch):
    monkeypatch.setattr(storage_module, "LOCK_TIMEOUT_SECONDS", 0.01)
    storage = create_storage()
    holder = sqlite3.connect(STORE, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnreachableError) as refused:
        begin_study(make_settings(), storage)
    assert str(refused.value) == (
        f"{STORE}: the study store does not answer: database is locked; {DAMAGE}"
    )
    holder.close()


def test_a_store_of_another_optuna_is_said_in_one_line_and_kept():
    engine_of(create_storage()).dispose()
    connection = sqlite3.connect(STORE)
    connection.execute("UPDATE alembic_version SET version_num = 'v99.0.a'")
    connection.commit()
    connection.close()
    before = STORE.read_bytes()
    with pytest.raises(SweepError) as refused:
        open_storage()
    assert str(refused.value) == (
        f"{STORE}: its tables are those of another version of Optuna than {optuna.__version__}; "
        "install the one that wrote it, or move the file away"
    )
    assert refused.value.exit_code == 1
    assert STORE.read_bytes() == before


@pytest.mark.slow
def test_processes_that_start_at_once_in_an_empty_folder_all_get_the_store(folder):
    program = "from sweep.study.storage import create_storage; create_storage()"
    started = [
        subprocess.Popen([sys.executable, "-c", program], cwd=folder, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    said = [process.communicate(timeout=60)[1].decode() for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], said

"""Optuna's store in a PostgreSQL database, as processes on many machines use it."""

import subprocess
import sys
import threading

import optuna
import pytest

from sweep.errors import StoreUnreachableError, SweepError
from sweep.postgresql import read_address
from sweep.study.lock import record_lock, study_lock
from sweep.study.opening import begin_study, load_study, study_names
from sweep.study.storage import (
    backend_of,
    create_storage,
    locked,
    make_storage,
    open_storage,
    place_of,
    reaching_store,
    trying_lock,
)

pytestmark = pytest.mark.slow

MAKE = """
import sys
from sweep.study.storage import create_storage
print("ready", flush=True)
sys.stdin.readline()
create_storage(sys.argv[1])
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def store(fresh_database):
    return create_storage(fresh_database)


def test_what_one_machine_writes_another_reads_and_no_folder_is_made(
    fresh_database, make_settings, folder
):
    begin_study(make_settings(), create_storage(fresh_database))
    study = load_study("tiny-softmax", open_storage(fresh_database))
    assert study.settings == make_settings()
    assert study.trials() == []
    assert list(folder.iterdir()) == []


def test_processes_that_start_at_once_make_one_store(fresh_database):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MAKE, fresh_database],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, said
    assert study_names(open_storage(fresh_database)) == []


def test_a_store_is_made_once(fresh_database):
    assert make_storage(fresh_database)
    assert not make_storage(fresh_database)


def test_a_database_without_tables_is_refused_and_stays_so(fresh_database):
    for _ in range(2):
        with pytest.raises(SweepError, match=r"it has no tables; make them with `sweep init`"):
            open_storage(fresh_database)


def test_tables_that_a_dead_process_left_half_made_are_completed(postgres, fresh_database):
    create_storage(fresh_database)
    postgres.query(read_address(fresh_database).database, "DROP TABLE alembic_version")
    with pytest.raises(SweepError, match=r"make them with `sweep init`"):
        open_storage(fresh_database)
    create_storage(fresh_database)
    assert study_names(open_storage(fresh_database)) == []


def test_a_database_of_another_program_is_refused_and_left_alone(postgres, fresh_database):
    name = read_address(fresh_database).database
    postgres.query(name, "CREATE TABLE alembic_version (version_num text)")
    postgres.query(name, "CREATE TABLE experiments (name text)")
    for opened in (create_storage, open_storage):
        with pytest.raises(SweepError, match=r"holds another program's tables .*csearch_path"):
            opened(fresh_database)
    tables = postgres.query(name, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    assert tables == [(2,)]


def test_tables_of_another_optuna_are_refused_before_anything_is_written(postgres, fresh_database):
    create_storage(fresh_database)
    name = read_address(fresh_database).database
    postgres.query(name, "UPDATE alembic_version SET version_num = 'v9.0.0.a'")
    for opened in (create_storage, open_storage):
        with pytest.raises(SweepError, match=r"another version of Optuna than .*name another"):
            opened(fresh_database)


def test_two_schemas_of_one_database_are_two_stores(postgres, fresh_database, make_settings):
    name = read_address(fresh_database).database
    postgres.query(name, "CREATE SCHEMA optuna")
    address = postgres.address(name, options="-csearch_path=optuna")
    begin_study(make_settings(), create_storage(address))
    create_storage(fresh_database)
    assert study_names(open_storage(address)) == ["tiny-softmax"]
    assert study_names(open_storage(fresh_database)) == []


def test_a_wrong_password_or_database_is_refused_and_a_closed_port_is_not_there(
    postgres, fresh_database
):
    name = read_address(fresh_database).database
    wrong = postgres.address(name, password="tr0ub4dor")  # noqa: S106 - of no account anywhere
    elsewhere = fresh_database.replace(f":{postgres.port}", ":9")
    for address, kind, says in (
        (wrong, SweepError, "password authentication failed"),
        (postgres.address("nowhere"), SweepError, 'database "nowhere" does not exist'),
        (f"{fresh_database}?unheard_of=1", SweepError, "unheard_of"),
        (elsewhere, StoreUnreachableError, "Connection refused"),
    ):
        with pytest.raises(SweepError) as refusal:
            create_storage(address)
        assert type(refusal.value) is kind
        assert says in str(refusal.value)
        for secret in ("tr0ub4dor", postgres.password, postgres.password.split("/")[0]):
            assert secret not in str(refusal.value)


def test_a_missing_driver_is_said_with_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SweepError, match=r"pip install 'sweep\[postgresql\]'"):
        create_storage("postgresql://me@127.0.0.1:9/studies")


def test_a_database_that_was_restarted_between_two_reads_is_not_noticed(
    postgres, store, make_settings
):
    study = begin_study(make_settings(), store)
    postgres.restart()
    assert study.trials() == []
    postgres.restart()
    study.optuna.set_user_attr("after", 1)
    assert study.optuna.user_attrs["after"] == 1


def test_a_database_that_is_gone_is_named_without_its_login(postgres, store, make_settings):
    study = begin_study(make_settings(), store)
    postgres.stop()
    with pytest.raises(StoreUnreachableError) as refusal:
        study.trials()
    assert str(refusal.value).startswith(
        f"postgresql://127.0.0.1:{postgres.port}/{read_address(backend_of(store).url).database}: "
        "the study store does not answer: "
    )
    with pytest.raises(StoreUnreachableError), locked(store, "name"):
        pytest.fail("a lock of nobody")
    postgres.start()
    assert study.trials() == []


def test_a_failure_of_the_block_is_not_taken_for_one_of_the_lock(store):
    with pytest.raises(ZeroDivisionError), locked(store, "name"):
        raise ZeroDivisionError
    with trying_lock(store, "name") as held:
        assert held


def test_a_loop_and_a_heartbeat_have_connections_enough(store):
    optuna.create_study(storage=store, study_name="tiny")
    together = threading.Barrier(3, timeout=30)

    def read():
        with reaching_store(store), backend_of(store).engine.connect():
            together.wait()

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not together.broken


def test_a_shared_study_is_held_on_all_machines(fresh_database, store):
    other = open_storage(fresh_database)
    with study_lock("tiny", store):
        with (
            pytest.raises(
                SweepError, match=r"study 'tiny' is being run by process \d+ on .*; wait for it"
            ),
            study_lock("tiny", other),
        ):
            pytest.fail("held twice")
        with (
            study_lock("another", other),
            record_lock("tiny", other),
            trying_lock(store, "tiny.record") as held,
        ):
            assert not held
    with study_lock("tiny", other):
        pass


def test_a_local_store_has_locks_of_its_folder(folder):
    store = create_storage()
    assert place_of(store) == "mlruns/optuna.db"
    with locked(store, "name"), trying_lock(store, "name") as held:
        assert not held
    with trying_lock(store, "name") as held:
        assert held
    assert (folder / "mlruns" / "name.lock").exists()

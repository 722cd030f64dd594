"""The programs that break studies and compare everything, with a few faults each."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parents[3] / "benchmarks"
CANNOT_MOUNT = 77


def run(program, *options):
    command = [sys.executable, PROGRAMS / program, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_nothing_is_lost_or_doubled_by_a_few_kills(folder):
    del folder
    done = run("faults.py", "--kills=6", "--kills-a-study=3", "--studies=2", "--seed=358")
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stdout.splitlines()[-1] == "losses: 0"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("mount") is None, reason="there is no mount here")
def test_nothing_is_lost_or_doubled_by_a_disk_that_is_full_for_a_while(folder):
    del folder
    done = run("full_disk.py", "--faults=4", "--studies=1", "--seed=358")
    if done.returncode == CANNOT_MOUNT:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stdout.splitlines()[-1] == "losses: 0"


@pytest.fixture(scope="module")
def stores():
    """Return the module that compares."""
    spec = spec_from_file_location("stores", PROGRAMS / "stores.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def differences(finished_study, stores):
    """Return a function that tells in what a folder differs from the finished study's."""
    expected = stores.Stores(finished_study.root)
    return lambda root: stores.differences(expected, stores.Stores(root))


def test_a_copy_of_a_study_has_no_differences(copied_study, finished_study, stores, differences):
    assert differences(copied_study.root) == []
    counts = stores.Stores(finished_study.root).counts()
    assert (counts["trials"], counts["runs"], counts["champions"]) == (6, 7, 1)
    assert counts["points"] > 6 * 7
    assert counts["files"] > 6 * 3


def test_whatever_is_lost_or_doubled_is_noticed(copied_study, differences):
    doubled = "SELECT key, value, timestamp + 1, run_uuid, step, is_nan FROM metrics"
    columns = "(key, value, timestamp, run_uuid, step, is_nan)"
    changes = [
        ("mlflow", "DELETE FROM metrics WHERE key = 'val/loss' AND step = 1", "000: points miss"),
        ("mlflow", f"INSERT INTO metrics {columns} {doubled}", "trial-000: points missing []"),
        ("mlflow", "UPDATE metrics SET value = value + 1e-12", "trial-005: points missing"),
        ("mlflow", "DELETE FROM runs WHERE name = 'trial-003'", "run trial-003: lost"),
        ("mlflow", "UPDATE runs SET status = 'RUNNING' WHERE name = 'trial-001'", "001: status"),
        ("mlflow", "DELETE FROM tags WHERE key = 'sweep.complete'", "run trial-004: tags"),
        ("mlflow", "DELETE FROM inputs", "run trial-002: inputs"),
        ("mlflow", "DELETE FROM registered_model_aliases", "champion"),
        ("optuna", "UPDATE trials SET state = 'FAIL' WHERE number = 2", "trial 2: state"),
        ("optuna", "DELETE FROM trial_params WHERE param_name = 'l2'", "trial 4: setting"),
        ("optuna", "DELETE FROM trial_user_attributes", "trial 5: record"),
        ("optuna", "DELETE FROM trial_intermediate_values WHERE step = 1", "trial 0: course"),
    ]
    for number, (database, change, says) in enumerate(changes):
        copy = copied_study.root / str(number)
        shutil.copytree(copied_study.folder, copy / "mlruns")
        with closing(sqlite3.connect(copy / "mlruns" / f"{database}.db")) as opened, opened:
            opened.execute(change)
        found = differences(copy)
        assert any(says in line for line in found), (change, found)


def test_a_file_that_is_lost_or_left_is_noticed(copied_study, differences):
    next(copied_study.folder.glob("artifacts/*/artifacts/classifier/classifier.npz")).unlink()
    left = copied_study.pending("digits-softmax") / "trial-000" / "classifier.npz"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"")
    lost, is_left = differences(copied_study.root)
    assert "files classifier/classifier.npz: " in lost
    assert is_left == f"{left} is left"


def test_what_a_killed_writer_had_not_finished_does_not_count(copied_study, stores, tmp_path):
    killed, database = tmp_path / "killed", copied_study.mlflow_database
    with closing(sqlite3.connect(database)) as writer:
        writer.execute("PRAGMA journal_mode = DELETE")  # as MLflow has it by itself
        writer.execute("PRAGMA cache_size = 1")  # so that pages are written before the commit
        writer.execute("UPDATE metrics SET value = value + 1")
        writer.execute("UPDATE tags SET value = 'overwritten'")
        shutil.copytree(copied_study.folder, killed / "mlruns")  # as a kill leaves it
    left = killed / "mlruns" / "mlflow.db"
    with (
        closing(sqlite3.connect(f"file:{left}?mode=ro", uri=True)) as reader,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        reader.execute("SELECT 1 FROM metrics")
    before = left.read_bytes()
    assert before != database.read_bytes()
    assert stores.differences(stores.Stores(copied_study.root), stores.Stores(killed)) == []
    assert left.read_bytes() == before
    assert left.with_name("mlflow.db-journal").exists()

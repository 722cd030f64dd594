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


def test_a_copy_of_a_study_has_no_differences(in_copied_study, finished_study, stores):
    one, other = stores.Stores(finished_study), stores.Stores(in_copied_study)
    assert stores.differences(one, other) == []


@pytest.mark.parametrize(
    "case",
    [
        ("mlflow", "DELETE FROM metrics WHERE key = 'val/loss' AND step = 1", "run trial-000: po"),
        ("mlflow", "DELETE FROM runs WHERE name = 'trial-003'", "run trial-003: lost"),
        ("mlflow", "UPDATE runs SET status = 'RUNNING' WHERE name = 'trial-001'", "trial-001: st"),
        ("mlflow", "UPDATE metrics SET value = value + 1e-12", "trial-005: points missing"),
        ("optuna", "UPDATE trials SET state = 'FAIL' WHERE number = 2", "trial 2: state"),
        ("optuna", "DELETE FROM trial_params WHERE param_name = 'l2'", "trial 4: setting"),
    ],
)
def test_whatever_is_lost_is_noticed(in_copied_study, finished_study, stores, case):
    database, change, says = case
    with closing(sqlite3.connect(in_copied_study / "mlruns" / f"{database}.db")) as opened:
        opened.execute(change)
        opened.commit()
    found = stores.differences(stores.Stores(finished_study), stores.Stores(in_copied_study))
    assert any(says in line for line in found), found


def test_what_a_killed_writer_had_not_finished_does_not_count(in_copied_study, stores, tmp_path):
    killed, database = tmp_path / "killed", in_copied_study / "mlruns" / "mlflow.db"
    with closing(sqlite3.connect(database)) as writer:
        writer.execute("PRAGMA cache_size = 1")  # so that pages are written before the commit
        writer.execute("UPDATE metrics SET value = value + 1")
        writer.execute("UPDATE tags SET value = 'overwritten'")
        shutil.copytree(in_copied_study / "mlruns", killed / "mlruns")  # as a kill leaves it
    left = killed / "mlruns" / "mlflow.db"
    with (
        closing(sqlite3.connect(f"file:{left}?mode=ro", uri=True)) as reader,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        reader.execute("SELECT 1 FROM metrics")
    before = left.read_bytes()
    assert before != database.read_bytes()
    assert stores.differences(stores.Stores(in_copied_study), stores.Stores(killed)) == []
    assert left.read_bytes() == before
    assert left.with_name("mlflow.db-journal").exists()


def test_a_file_that_is_lost_is_noticed(in_copied_study, finished_study, stores, monkeypatch):
    digests = stores._files

    def without_classifiers(place):
        files = digests(place)
        return {name: digest for name, digest in files.items() if "classifier" not in name}

    one, other = stores.Stores(finished_study), stores.Stores(in_copied_study)
    expected = one.runs()
    monkeypatch.setattr(one, "runs", lambda: expected)
    monkeypatch.setattr(stores, "_files", without_classifiers)
    found = stores.differences(one, other)
    assert "run trial-002: files classifier/classifier.npz: " in "".join(found)

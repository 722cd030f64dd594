import os
import subprocess
import sys

import pytest

from sweep.doctor.finding import Level
from sweep.doctor.machine import (
    check_folder,
    check_lanes,
    check_locks,
    check_space,
    check_versions,
    lanes_finding,
)
from sweep.search.lock import is_held, record_lock, runner_of, study_lock
from sweep.workspace import Workspace


@pytest.fixture
def folder(tmp_path):
    """Return a working folder with `mlruns/`, which is empty."""
    workspace = Workspace(tmp_path)
    workspace.folder.mkdir()
    return workspace


def test_the_versions_that_numbers_rest_on_are_said(monkeypatch):
    found = check_versions()
    assert found.level == Level.OK
    for name in ("python", "numpy", "optuna", "mlflow", "blas"):
        assert f"{name} " in found.said
    monkeypatch.setattr("sweep.tracking.saved_view.untested_mlflow", lambda: "9.0.0")
    assert (check_versions().level, check_versions().advice[:20]) == (
        Level.WARN,
        "pip install 'mlflow=",
    )
    monkeypatch.setattr("sweep.doctor.machine.environment", lambda: {"blas": "unknown"})
    assert "cannot be limited" in check_versions().said


def test_whether_trials_may_be_moved_is_said():
    assert check_lanes() == lanes_finding([])
    assert "trials may be moved" in lanes_finding([]).said
    found = lanes_finding(["4 lanes"])
    assert (found.level, found.details) == (Level.WARN, ("4 lanes",))
    assert "not moved" in found.said


def test_an_empty_folder_is_fine_and_stays_empty(tmp_path):
    assert {finding.level for finding in check_folder(Workspace(tmp_path))} == {Level.OK}
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_used_is_an_error(folder, tmp_path, monkeypatch):
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / "mlruns").touch()
    assert check_folder(Workspace(tmp_path / "file"))[0].level == Level.FAIL
    monkeypatch.setattr("os.access", lambda *_: False)  # whom the tests run as may write anywhere
    assert "cannot be written to" in check_folder(folder)[0].said


def test_a_full_disk_is_said():
    for free, level in ((5e9, Level.OK), (5e8, Level.WARN), (1e6, Level.FAIL)):
        assert check_space(free).level == level


def test_who_holds_a_lock_is_said_and_looking_does_not_take_it(folder):
    assert check_locks(folder).said == "none is held"
    assert list(folder.folder.iterdir()) == []
    with study_lock(folder, "a"), record_lock(folder, "b"):
        said = check_locks(folder).said
        assert f"a.lock is held by process {os.getpid()} on " in said
        assert "b.record.lock is held by another process" in said
        assert runner_of(folder, "a").startswith(f"process {os.getpid()} on ")
    assert check_locks(folder).said == "none is held"
    assert not is_held(folder.lock("a"))


@pytest.mark.slow
def test_the_lock_of_a_process_that_was_killed_is_free_whatever_it_said(folder):
    program = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from sweep.search.lock import study_lock\nfrom sweep.workspace import Workspace\n"
        "with study_lock(Workspace(Path(sys.argv[1])), 'a'):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program, folder.root], check=False)
    assert folder.lock("a").with_suffix(".owner").read_text().startswith("process")
    assert runner_of(folder, "a") is None

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.doctor.locks import check_locks
from sweep.study.lock import is_held, record_lock, runner_of, study_lock


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mlruns").mkdir()


def test_a_folder_without_locks_has_none_held():
    assert check_locks().said == "none is held"
    assert runner_of("a") is None
    assert list(Path("mlruns").iterdir()) == []


def test_a_study_that_is_run_is_said_with_its_process():
    with study_lock("a"), record_lock("b"):
        said = check_locks().said
        assert said.startswith(f"a.lock is held by process {os.getpid()} on ")
        assert said.endswith("; b.record.lock is held by another process")
        assert runner_of("a").startswith(f"process {os.getpid()} on ")
    assert check_locks().said == "none is held"


def test_looking_does_not_take_the_lock():
    with study_lock("a"):
        pass
    assert not is_held(Path("mlruns/a.lock"))
    with study_lock("a"):
        assert is_held(Path("mlruns/a.lock"))
        assert is_held(Path("mlruns/a.lock"))


@pytest.mark.slow
def test_the_lock_of_a_process_that_was_killed_is_free_whatever_it_said():
    program = (
        "import os, signal\nfrom sweep.study.lock import study_lock\n"
        "with study_lock('a'):\n    os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program], check=False)
    assert Path("mlruns/a.owner").read_text().startswith("process")
    assert runner_of("a") is None

import json
import platform
import subprocess
import sys

import numpy as np
import pytest

from sweep.environment import differences, environment, git_state


def git(*arguments):
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *identity, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return an empty folder, entered, in which git's answer is asked for anew."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    git_state.cache_clear()
    yield tmp_path
    git_state.cache_clear()


def test_the_environment_names_all_that_may_change_a_number():
    found = environment()
    assert list(found) == [
        *("python", "sweep", "numpy", "scipy", "optuna", "mlflow"),
        *("kernels", "blas", "blas_threads", "machine"),
    ]
    assert found["python"] == platform.python_version()
    assert found["numpy"] == np.__version__
    assert found["blas_threads"] == "1"
    assert all(found.values())


@pytest.mark.slow
def test_the_blas_is_described_though_nothing_has_loaded_it_yet():
    program = "import json; from sweep.environment import environment as e; print(json.dumps(e()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert json.loads(done.stdout)["blas"] != "unknown"


def test_the_same_environment_has_no_differences():
    assert differences(environment(), dict(environment())) == []


def test_differences_are_named_in_alphabetical_order_also_where_one_side_is_silent():
    recorded = {"numpy": "2.1.0", "blas": "openblas", "gone": "1"}
    present = {"numpy": "2.2.0", "blas": "openblas", "added": "2"}
    assert differences(recorded, present) == [
        "added unknown -> 2",
        "gone 1 -> unknown",
        "numpy 2.1.0 -> 2.2.0",
    ]


def test_outside_a_checkout_there_is_no_git_state(folder):
    assert git_state() == {}
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("folder")
def test_before_the_first_commit_there_is_no_git_state():
    git("init", "-b", "main")
    assert git_state() == {}


@pytest.mark.usefixtures("folder")
def test_without_git_there_is_no_git_state(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert git_state() == {}


@pytest.mark.parametrize(
    ("content", "name", "dirty"),
    [("one", "kept", "False"), ("two", "kept", "True"), ("two", "untracked", "False")],
)
def test_a_checkout_is_dirty_where_a_tracked_file_has_changed(folder, content, name, dirty):
    (folder / "kept").write_text("one")
    git("init", "-b", "main")
    git("add", "kept")
    git("commit", "-m", "First")
    (folder / name).write_text(content)
    commit = git("rev-parse", "HEAD")
    assert git_state() == {"commit": commit, "branch": "main", "dirty": dirty}

"""The mirror in a process of its own: what it answers, and what is left when either side dies."""

import os
import signal
import subprocess
import sys
import time

import pytest

from sweep.errors import StoreUnreachableError, SweepError
from sweep.tracking.mirror import RunState
from sweep.tracking.process import RemoteMirror, close_process
from sweep.workspace import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _process_ends():
    yield
    close_process()


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "mlruns").mkdir()
    return Workspace(tmp_path)


def process_of(_):
    return os.getpid()


def refuse(_, text):
    raise SweepError(text)


def fail(_):
    raise KeyError("a defect")


def die(_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_it_answers_as_a_mirror_does(workspace):
    state = RunState(
        key="s1/trial-000", name="trial-000", tags={"study": "s", "study_id": "s1"}, began=1
    )
    with RemoteMirror("s", "digits", workspace) as mirror:
        assert mirror.call(process_of) not in (os.getpid(), None)
        assert mirror.finished_keys(study="s", study_id="s1") == set()
        run_id = mirror.update(state)
        assert mirror.update(state) == run_id
    with RemoteMirror("s", "digits", workspace) as again:
        assert again.update(state) == run_id


def test_what_it_raises_is_raised_here(workspace):
    with RemoteMirror("s", "digits", workspace) as mirror:
        with pytest.raises(SweepError, match="too large"):
            mirror.call(refuse, "too large")
        with pytest.raises(RuntimeError, match="a defect"):
            mirror.call(fail)
        assert mirror.call(process_of)


def test_a_process_that_died_is_started_again(workspace):
    with RemoteMirror("s", "digits", workspace) as mirror:
        first = mirror.call(process_of)
        with pytest.raises(StoreUnreachableError, match="ended"):
            mirror.call(die)
        assert mirror.call(process_of) != first


def test_the_database_is_one_file_again_when_the_process_has_ended(workspace):
    log = workspace.folder / "mlflow.db-wal"
    with RemoteMirror("s", "digits", workspace) as mirror:
        mirror.update(RunState(key="s1/trial-000", name="trial-000", began=1))
        assert log.exists()
    close_process()
    assert not log.exists()


def test_it_ends_with_the_process_that_it_serves(workspace):
    program = f"""
import os, signal
from pathlib import Path
from sweep.tracking.process import RemoteMirror
from sweep.workspace import Workspace
mirror = RemoteMirror("s", "digits", Workspace(Path({str(workspace.root)!r})))
mirror.connect()
from sweep.tracking import process
print(process._PROCESS._popen.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    other = int(done.stdout)
    with RemoteMirror("s", "digits", workspace) as mirror:  # waits for the lock of the other one
        mirror.connect()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.kill(other, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("the process outlives the one that it served")

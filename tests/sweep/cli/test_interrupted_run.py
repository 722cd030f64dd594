"""`sweep run` as a process of its own, ended by signals."""

import signal
import socket
import subprocess
import sys
import time

import pytest

from sweep.search.record import open_study
from sweep.tracking.tracker import Tracker

# In place of large data: every pass takes its time, and says that it is there.
SLOW = """
import sys, time
from sweep.engine import LocalEngine
run_pass, pause = LocalEngine.run_pass, float(sys.argv.pop(1))
def slow(engine):
    results = run_pass(engine)
    with open("epochs", "a") as epochs:
        for result in results.values():
            print(result.epoch, file=epochs)
    time.sleep(pause)
    return results
LocalEngine.run_pass = slow
from sweep.cli import main
main()
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def command(tiny_npz):
    options = ["--trials", "3", "--epochs", "4", "--slots", "1", "--pruner", "none"]
    return ["run", "--data", str(tiny_npz), *options]


@pytest.fixture
def start(in_workspace, command):
    """Return a function that starts the command and waits until so many epochs are trained."""
    started = []

    def start(*, pause, epochs):
        process = subprocess.Popen(
            [sys.executable, "-c", SLOW, str(pause), *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        seen, deadline = in_workspace.root / "epochs", time.monotonic() + 60
        while not seen.exists() or len(seen.read_text().splitlines()) < epochs:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ends(process):
    """Return the exit code and stderr."""
    _, said = process.communicate(timeout=60)
    return process.returncode, said


def statuses(workspace):
    return [str(trial.status) for trial in open_study("tiny-softmax", workspace).trials()]


@pytest.fixture
def goes_on(in_workspace, invoke, command, outcome, in_both_stores):
    """Return a check that the same command leads to the study that was never broken."""

    def check():
        assert invoke(*command).exit_code == 0
        assert invoke(*command, "--study", "unbroken").exit_code == 0
        resumed = open_study("tiny-softmax", in_workspace)
        assert outcome(resumed) == outcome(open_study("unbroken", in_workspace))
        assert statuses(in_workspace) == ["complete"] * 3
        tracker = Tracker("tiny", in_workspace)
        in_both_stores(resumed, tracker)
        runs = tracker.runs(study="tiny-softmax")
        assert "RUNNING" not in {run.info.status for run in runs}

    return check


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_the_state_and_the_same_command_goes_on(
    in_workspace, start, goes_on, number, code
):
    process = start(pause=0.2, epochs=6)
    process.send_signal(number)
    returned, said = ends(process)
    assert returned == code
    last = said.splitlines()[-1]
    for words in ("sweep: stopped:", number.name, "1 complete", "the same command goes on"):
        assert words in last
    assert statuses(in_workspace) == ["complete", "running"]
    goes_on()


def test_a_stuck_run_keeps_a_second_one_out_until_a_second_signal_ends_it_at_once(
    in_workspace, start, invoke, command
):
    process = start(pause=600, epochs=1)
    refused = invoke(*command)
    assert refused.exit_code == 1
    assert (
        f"study 'tiny-softmax' is being run by process {process.pid} on {socket.gethostname()}; "
        "wait for it, stop it, or choose another name with --study"
    ) in refused.stderr
    assert statuses(in_workspace) == ["running"]

    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    process.send_signal(signal.SIGTERM)
    returned, said = ends(process)
    assert returned == 143
    assert said.splitlines()[-1] == "sweep: stopped at once; the same command goes on from here"


def test_after_kill_9_the_same_command_repairs_both_stores_and_goes_on(
    in_workspace, start, goes_on
):
    process = start(pause=0.2, epochs=6)
    process.kill()
    assert ends(process)[0] == -signal.SIGKILL
    assert statuses(in_workspace) == ["complete", "running"]
    goes_on()

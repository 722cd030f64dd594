"""`sweep run` as a process of its own, ended by signals."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sweep.study import attributes
from sweep.study.opening import load_study
from sweep.study.storage import open_storage
from sweep.tracking.tracker import Tracker

# In place of large data: every epoch takes its time, and says that it is there.
SLOW = """
import sys, time
from sweep.engine import Engine
run_pass, pause = Engine.run_pass, float(sys.argv.pop(1))
def slow(engine):
    found = run_pass(engine)
    with open("epochs", "a") as epochs:
        for result in found.values():
            print(result.epoch, file=epochs)
    time.sleep(pause)
    return found
Engine.run_pass = slow
from sweep.cli import main
main()
"""

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_figures")]


@pytest.fixture
def command(tiny_npz):
    return ["run", "--data", str(tiny_npz), "--trials", "3", "--epochs", "4", "--slots", "1"]


@pytest.fixture
def start(workspace, command):
    """Return a function that starts the command and waits until so many epochs are trained."""
    started = []

    def start(*, pause, epochs):
        process = subprocess.Popen(
            [sys.executable, "-c", SLOW, str(pause), *command],
            cwd=workspace,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        seen, deadline = Path("epochs"), time.monotonic() + 60
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
    _, said = process.communicate(timeout=30)
    return process.returncode, said


def study_named(name):
    return load_study(name, open_storage())


@pytest.fixture
def goes_on(invoke, command, outcome, in_both_stores):
    """Return a check that the same command leads to the study that was never broken."""

    def check():
        assert invoke(*command).exit_code == 0
        assert invoke(*command, "--study", "unbroken").exit_code == 0
        resumed = study_named("tiny-softmax")
        assert outcome(resumed) == outcome(study_named("unbroken"))
        in_both_stores(resumed, Tracker("tiny"))
        assert all(trial.state.is_finished() for trial in resumed.trials())
        runs = Tracker("tiny").runs(study="tiny-softmax")
        assert "RUNNING" not in {run.info.status for run in runs}
        return resumed

    return check


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_the_state_and_the_same_command_goes_on(start, goes_on, number, code):
    process = start(pause=0.2, epochs=6)
    process.send_signal(number)
    returned, said = ends(process)
    assert returned == code
    assert said.splitlines()[-1] == (
        f"sweep: stopped: study 'tiny-softmax' stopped by {number.name}: "
        "1 complete, 0 pruned, 0 failed, 1 unfinished; the same command goes on from here"
    )
    (parent,) = Tracker("tiny").runs(role="study")
    assert parent.info.status == "KILLED"
    assert study_named("tiny-softmax").trials()[1].state.name == "RUNNING"
    resumed = goes_on()
    assert [trial.user_attrs[attributes.ATTEMPT] for trial in resumed.trials()] == [1, 1, 1]


def test_a_stuck_run_keeps_a_second_one_out_until_a_second_signal_ends_it_at_once(
    start, invoke, command
):
    process = start(pause=600, epochs=1)
    refused = invoke(*command)
    assert refused.exit_code == 1
    assert refused.stderr.splitlines()[-1] == (
        f"sweep: error: study 'tiny-softmax' is being run by process {process.pid} on "
        f"{socket.gethostname()}; wait for it, stop it, or choose another name with --study"
    )
    assert [trial.state.name for trial in study_named("tiny-softmax").trials()] == ["RUNNING"]

    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    process.send_signal(signal.SIGTERM)
    returned, said = ends(process)
    assert returned == 143
    assert said.splitlines()[-1] == "sweep: stopped at once; the same command goes on from here"


def test_after_kill_9_the_same_command_repairs_both_stores_and_goes_on(start, goes_on):
    process = start(pause=0.2, epochs=6)
    process.kill()
    assert ends(process)[0] == -signal.SIGKILL
    assert study_named("tiny-softmax").trials()[1].state.name == "RUNNING"
    assert [trial.number for trial in goes_on().trials()] == [0, 1, 2]

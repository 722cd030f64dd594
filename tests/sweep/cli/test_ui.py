import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from sweep.tracking.tracker import Tracker


@pytest.fixture
def taken():
    """Return a port that somebody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def members(group):
    """Return the live processes of a group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(of) == group and state != "Z":
            found.append(path.parent.name)
    return found


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="the processes of a group are read in /proc")
def test_the_server_answers_and_all_of_it_ends_with_the_command(workspace, taken):
    experiment = Tracker("digits").experiment_id
    with subprocess.Popen(
        [sys.executable, "-c", "from sweep.cli import main; main()", "ui",
         "--port", str(taken)],
        cwd=workspace,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as command:  # fmt: skip
        link = command.stdout.readline().strip()
        children = Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split()
        (server,) = [int(child) for child in children if os.getpgid(int(child)) == int(child)]
        with urlopen(link.partition("#")[0] + "health") as answer:  # noqa: S310 - our own address
            assert (answer.status, answer.read()) == (200, b"OK")
        assert members(server)
        command.send_signal(signal.SIGTERM)
        _, said = command.communicate(timeout=30)
    assert command.returncode == 143
    assert said == "Ctrl-C ends the server.\n"
    assert members(server) == []

    assert urlsplit(link).port > taken
    page = urlsplit(link).fragment
    assert page == f"/experiments/{experiment}/runs?workflowType=machine_learning"


@pytest.fixture
def served(monkeypatch):
    """Stand in for the server; return what was asked of it."""
    asked = []

    @contextmanager
    def serving(uri, port):
        asked.append((uri, port))
        yield SimpleServer(f"http://127.0.0.1:{port}")

    monkeypatch.setattr("sweep.tracking.server.serving", serving)
    return asked


class SimpleServer:
    """A server that Ctrl-C ends at once."""

    def __init__(self, address):
        self.address = address

    def wait(self):
        raise KeyboardInterrupt


def test_without_a_study_the_newest_experiment_is_opened_and_ctrl_c_ends_in_order(
    workspace, invoke, served
):
    del workspace
    Tracker("digits")
    newest = Tracker("cifar10").experiment_id
    said = invoke("ui", "--port", "5001")
    assert said.exit_code == 0
    assert said.stdout == (
        f"http://127.0.0.1:5001/#/experiments/{newest}/runs?workflowType=machine_learning\n"
    )
    assert said.stderr == "Ctrl-C ends the server.\n"
    assert served == [("sqlite:///mlruns/mlflow.db", 5001)]


def test_with_a_study_the_charts_of_its_trials_are_opened(
    recorded_study, invoke, served, monkeypatch
):
    monkeypatch.setattr("sweep.tracking.tracker.newest_experiment", lambda _, name: f"id-{name}")
    said = invoke("ui", recorded_study.name)
    assert said.exit_code == 0
    assert said.stdout.startswith("http://127.0.0.1:5000/#/experiments/id-digits/runs?")
    assert "digits-softmax" in said.stdout
    assert len(served) == 1


def test_a_server_elsewhere_is_only_linked_to_and_without_its_login(
    workspace, invoke, served, monkeypatch
):
    del workspace
    monkeypatch.setattr("sweep.tracking.tracker.newest_experiment", lambda *_: "7")
    said = invoke("ui", "--tracking-uri", "https://me:s3cret@runs.example")
    assert said.exit_code == 0
    assert said.output == (
        "https://runs.example/#/experiments/7/runs?workflowType=machine_learning\n"
    )
    assert served == []


def test_a_folder_without_runs_is_said_with_the_way_to_some(invoke, tmp_path, monkeypatch, served):
    monkeypatch.chdir(tmp_path)
    said = invoke("ui")
    assert (said.exit_code, said.stdout) == (1, "")
    assert said.stderr == (
        "sweep: error: no runs of any experiment in sqlite:///mlruns/mlflow.db; begin some with "
        "`sweep run --loss softmax --trials 50`\n"
    )
    assert (served, list(tmp_path.iterdir())) == ([], [])

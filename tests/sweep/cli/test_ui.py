import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit
from urllib.request import urlopen

import pytest

from sweep.cli import ui
from sweep.tracking.client import Tracker
from sweep.tracking.undocumented import VIEW


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


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="the processes of a group are read in /proc")
def test_the_server_answers_and_all_of_it_ends_with_the_command(workspace, taken):
    experiment = Tracker("digits", workspace).experiment_id
    with subprocess.Popen(
        [sys.executable, "-c", "from sweep.cli import main; main()", "ui",
         "--no-browser", "--port", str(taken)],
        cwd=workspace.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as command:  # fmt: skip
        link = command.stdout.readline().strip()
        children = Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split()
        (server,) = map(int, children)
        assert os.getpgid(server) == server
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


@pytest.fixture(autouse=True)
def opened(monkeypatch):
    """Stand in for the browser of a machine with a display; return what it was told to open."""
    pages = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("webbrowser.open", pages.append)
    return pages


@pytest.fixture
def served(monkeypatch):
    """Stand in for the servers; return what was asked of them."""
    asked = []

    @contextmanager
    def serving(*what):
        asked.append(what)
        yield SimpleServer(f"http://127.0.0.1:{what[1]}")

    monkeypatch.setattr("sweep.tracking.serving", serving)
    return asked


class SimpleServer:
    """A server that Ctrl-C ends at once."""

    def __init__(self, address, process="ours"):
        self.address = address
        self.process = process

    def wait(self):
        raise KeyboardInterrupt


def test_without_a_study_the_newest_experiment_is_opened_and_ctrl_c_ends_in_order(
    in_workspace, invoke, served, opened
):
    Tracker("digits", in_workspace)
    newest = Tracker("cifar10", in_workspace).experiment_id
    said = invoke("ui", "--port", "5001")
    assert said.exit_code == 0
    page = f"http://127.0.0.1:5001/#/experiments/{newest}/runs?workflowType=machine_learning"
    assert (said.stdout, said.stderr) == (f"{page}\n", "Ctrl-C ends the server.\n")
    assert served == [("sqlite:///mlruns/mlflow.db", 5001, newest)]
    assert opened == [page]


def test_with_a_study_its_dashboard_is_opened_which_is_there_by_then(
    in_copied_study, invoke, served
):
    tracker = Tracker("digits", in_copied_study)
    said = invoke("ui", "digits-softmax")
    (_, port, experiment_id), *_ = served
    (run,) = tracker.runs(role="study")
    assert said.exit_code == 0
    assert said.stderr == (
        "The best of digits-softmax after each trial: http://127.0.0.1:5000/#/experiments/"
        f"{experiment_id}/runs/{run.info.run_id}/model-metrics?workflowType=machine_learning\n"
        "Ctrl-C ends the server.\n"
    )
    query = dict(parse_qsl(urlsplit(said.stdout.strip().replace("#", "")).query))
    tags = tracker.client.get_experiment(experiment_id).tags
    assert f"mlflow.sharedViewState.{query['viewStateShareKey']}" in tags
    assert query["workflowType"] == "machine_learning"
    assert query["compareRunsMode"] == "CHART"
    assert port == 5000


def test_two_studies_are_laid_side_by_side(tiny_study, invoke, served):
    del served
    for name in ("one", "two"):
        study = tiny_study(1, study=name)
    tracker = Tracker("tiny", study.workspace)
    said = invoke("ui", "one", "two")
    assert said.exit_code == 0
    experiment = tracker.client.get_experiment_by_name("tiny")
    views = [value for name, value in experiment.tags.items() if name.startswith(VIEW)]
    names = {json.loads(value)["name"] for value in views}
    assert names == {"one beside two"}
    assert invoke("ui", *["one"] * 2).exit_code == 1


def test_an_untested_mlflow_is_said_and_its_plain_page_opened(
    in_copied_study, invoke, served, monkeypatch
):
    del in_copied_study, served
    monkeypatch.setattr("sweep.tracking.undocumented.version", lambda _: "3.99.1")
    said = invoke("ui", "digits-softmax")
    assert said.exit_code == 0
    assert "viewStateShareKey" not in said.stdout
    assert said.stderr.startswith(
        "MLflow 3.99.1 is installed, and the dashboards were tested with 3.17: the link opens the "
        "plain page of runs.\n"
    )


def test_a_server_that_is_there_already_is_named_and_left_alone(
    in_workspace, invoke, monkeypatch, opened
):
    Tracker("digits", in_workspace)

    @contextmanager
    def serving(*_):
        yield SimpleServer("http://127.0.0.1:5000", process=None)

    monkeypatch.setattr("sweep.tracking.serving", serving)
    said = invoke("ui")
    assert said.exit_code == 0
    assert said.stderr == "A server of these runs is there already: http://127.0.0.1:5000\n"
    assert opened == [said.stdout.strip()]


def test_a_browser_is_opened_where_there_is_a_display(monkeypatch, opened):
    for platform, display, count in (
        ("linux", "DISPLAY", 1),
        ("linux", "WAYLAND_DISPLAY", 1),
        ("linux", None, 0),
        ("darwin", None, 1),
        ("win32", None, 1),
    ):
        opened.clear()
        monkeypatch.setattr("sys.platform", platform)
        for name in ("DISPLAY", "WAYLAND_DISPLAY"):
            monkeypatch.delenv(name, raising=False)
        if display is not None:
            monkeypatch.setenv(display, ":1")
        ui._show(SimpleServer("http://127.0.0.1:5000"), "a page", no_browser=False)
        assert len(opened) == count, (platform, display)


def test_no_browser_is_opened_where_that_is_not_wanted(in_workspace, invoke, served, opened):
    del served
    Tracker("digits", in_workspace)
    assert invoke("ui", "--no-browser").exit_code == 0
    assert opened == []


def test_a_server_elsewhere_is_only_linked_to_and_without_its_login(
    invoke, served, monkeypatch, opened
):
    monkeypatch.setattr("sweep.tracking.newest_experiment", lambda *_: "7")
    said = invoke("ui", "--tracking-uri", "https://me:s3cret@runs.example")
    assert said.exit_code == 0
    assert said.output == (
        "https://runs.example/#/experiments/7/runs?workflowType=machine_learning\n"
    )
    assert (served, opened) == ([], [])


def test_the_trials_of_a_study_have_their_colours_by_then(in_copied_study, invoke, served):
    del served
    tracker = Tracker("digits", in_copied_study)
    (first, *_) = tracker.runs(role="trial")
    colour = first.data.tags["mlflow.runColor"]
    tracker.client.delete_tag(first.info.run_id, "mlflow.runColor")
    invoke("ui", "digits-softmax")
    assert tracker.client.get_run(first.info.run_id).data.tags["mlflow.runColor"] == colour


def test_a_folder_without_runs_is_said_with_the_way_to_some(invoke, tmp_path, monkeypatch, served):
    monkeypatch.chdir(tmp_path)
    said = invoke("ui")
    assert (said.exit_code, said.stdout) == (1, "")
    assert said.stderr == (
        "sweep: error: no runs of any experiment in sqlite:///mlruns/mlflow.db; begin some with "
        "`sweep run --loss softmax --trials 50`\n"
    )
    assert (served, list(tmp_path.iterdir())) == ([], [])

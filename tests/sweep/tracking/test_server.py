import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote
from urllib.request import urlopen

import pytest

from sweep.errors import SweepError
from sweep.tracking import server
from sweep.tracking.server import HOST, PORTS_TRIED, Server, free_port, link, serving

SETTINGS = SimpleNamespace(study="digits-bce", metric="val/loss", direction="minimize")


@pytest.fixture
def taken():
    """Return a port that somebody listens on."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_the_link_opens_the_runs_of_an_experiment_and_not_the_genai_pages():
    assert link("http://127.0.0.1:5000/", "7") == (
        "http://127.0.0.1:5000/#/experiments/7/runs?workflowType=machine_learning"
    )


def test_the_link_of_a_study_opens_its_trials_as_charts_the_best_first():
    address = link("http://127.0.0.1:5000", "7", SETTINGS)
    assert " " not in address
    assert "workflowType=machine_learning" in address
    shown = unquote(address)
    assert "tags.`sweep.study` = 'digits-bce'" in shown
    assert "tags.`sweep.role` = 'trial'" in shown
    assert "orderByKey=metrics.`val/loss`&orderByAsc=true" in shown
    assert "compareRunsMode=CHART" in shown


def test_a_port_that_is_taken_moves_on_to_the_next(taken):
    assert taken < free_port(taken) < taken + PORTS_TRIED


def test_a_free_port_is_taken_as_wanted(taken):
    port = free_port(taken)
    assert free_port(port) == port


def test_no_free_port_is_said_with_the_option_to_use(monkeypatch):
    class Taken(socket.socket):
        def bind(self, _):
            raise OSError

    monkeypatch.setattr("sweep.tracking.server.socket.socket", Taken)
    with pytest.raises(SweepError) as refused:
        free_port(5000)
    assert str(refused.value) == "no free port from 5000 to 5099; name another with --port"


def process(monkeypatch, script):
    """Let `serving` start a script of ours in place of MLflow; return what it was given."""
    given = {}
    popen = subprocess.Popen

    def start(command, *, env, **options):
        given.update(command=command, env=env)
        return popen([sys.executable, "-c", script, *command[3:]], env=env, **options)

    monkeypatch.setattr("sweep.tracking.server.subprocess.Popen", start)
    return given


ANSWERS = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Health(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Health).serve_forever()
"""
HAS_A_CHILD = (
    """
import os, subprocess, sys
child = subprocess.Popen(["sleep", "600"])
open("child", "w").write(str(child.pid))
"""
    + ANSWERS
)


def test_an_address_with_a_password_is_handed_on_where_nobody_sees_it(monkeypatch, taken):
    given = process(monkeypatch, ANSWERS)
    uri = "postgresql://me:s3cret@127.0.0.1/db"
    with serving(uri, taken) as running:
        assert running.address != f"http://{HOST}:{taken}"
        with urlopen(f"{running.address}/health") as answer:  # noqa: S310 - our own address
            assert answer.status == 200
    assert given["env"]["MLFLOW_BACKEND_STORE_URI"] == uri
    assert not any("s3cret" in part for part in given["command"])
    assert given["command"][:4] == [sys.executable, "-m", "mlflow", "server"]
    assert given["command"][4:6] == ["--host", "127.0.0.1"]


def test_what_the_server_started_ends_with_it(monkeypatch, tmp_path, taken):
    monkeypatch.chdir(tmp_path)
    process(monkeypatch, HAS_A_CHILD)
    with serving("sqlite:///x.db", taken) as running:
        child = int(Path("child").read_text())
        os.kill(child, 0)
    assert running.process.poll() is not None
    deadline = time.monotonic() + 10
    while alive(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(pid):
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_a_server_that_does_not_start_is_said_with_the_way_to_find_out(monkeypatch, taken):
    process(monkeypatch, "raise SystemExit(3)")
    with pytest.raises(SweepError) as failed, serving("sqlite:///x.db", taken):
        pass
    assert str(failed.value) == (
        "the MLflow server did not start (exit code 3); `mlflow server` in this folder says why"
    )


def test_a_server_that_never_answers_is_given_up_and_ended(monkeypatch, taken):
    process(monkeypatch, "import time; time.sleep(600)")
    monkeypatch.setattr(server, "START_SECONDS", 0.5)
    with (
        pytest.raises(SweepError, match=r"did not answer within 0.5 s"),
        serving("sqlite:///x.db", taken),
    ):
        pass


def test_a_server_that_ends_by_itself_is_an_error():
    ended = Server("http://127.0.0.1:5000", SimpleNamespace(wait=lambda: 9))
    with pytest.raises(SweepError, match="ended by itself with exit code 9"):
        ended.wait()

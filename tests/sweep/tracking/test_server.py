import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from sweep.errors import SweepError
from sweep.tracking import server
from sweep.tracking.pages import DIRECT, HOST
from sweep.tracking.server import Server, serving


@pytest.fixture(autouse=True)
def _nobody_else_serves(monkeypatch):
    monkeypatch.setattr(server, "has_pages_of", lambda *_, **__: False)


@pytest.fixture
def taken():
    """Return a port that somebody listens on."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        yield listener.getsockname()[1]


def process(monkeypatch, script):
    """Let `serving` start a script of ours in place of MLflow; return what it was given."""
    given = {}
    popen = subprocess.Popen

    def start(command, *, env=None, **options):
        if server.WATCH in command:
            return popen(command, **options)
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


STARTS_ANOTHER = """
import subprocess, time
child = subprocess.Popen(["sleep", "600"])
open("child", "w").write(str(child.pid))
time.sleep(600)
"""


@pytest.mark.slow
def test_an_address_with_a_password_is_handed_on_where_nobody_sees_it(monkeypatch, taken):
    given = process(monkeypatch, ANSWERS)
    uri = "postgresql://me:s3cret@127.0.0.1/db"
    with serving(uri, taken, "1") as running:
        assert running.address != f"http://{HOST}:{taken}"
        with urlopen(f"{running.address}/health") as answer:  # noqa: S310 - our own address
            assert answer.status == 200
    assert given["env"]["MLFLOW_BACKEND_STORE_URI"] == uri
    assert not any("s3cret" in part for part in given["command"])
    assert given["command"][:4] == [sys.executable, "-m", "mlflow", "server"]
    assert given["command"][4:6] == ["--host", "127.0.0.1"]


@pytest.mark.slow
def test_what_the_environment_says_opens_no_job_runner_and_no_assistant(monkeypatch, taken):
    monkeypatch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "true")
    monkeypatch.setenv("MLFLOW_ENABLE_REMOTE_ASSISTANT", "true")
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", "http://127.0.0.1:9000")
    given = process(monkeypatch, ANSWERS)
    with serving("sqlite:///x.db", taken, "1"):
        assert given["env"]["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
        assert given["env"]["MLFLOW_ENABLE_REMOTE_ASSISTANT"] == "false"
        assert given["env"]["MLFLOW_S3_ENDPOINT_URL"] == "http://127.0.0.1:9000"


@pytest.mark.slow
def test_a_page_from_elsewhere_whose_name_leads_here_reaches_no_server(tracker, taken):
    with serving(tracker.uri, taken, tracker.experiment_id) as running:
        pages = [
            Request(running.address, headers={"Host": name})  # noqa: S310 - our own address
            for name in ("127.0.0.1", "localhost:8080", "evil.example", "10.evil.example")
        ]
        assert [status(page) for page in pages] == [200, 200, 403, 403]


def status(page):
    try:
        with DIRECT.open(page) as answer:
            return answer.status
    except HTTPError as error:
        return error.code


@pytest.mark.slow
def test_what_the_server_started_ends_with_it(monkeypatch, tmp_path, taken):
    monkeypatch.chdir(tmp_path)
    process(monkeypatch, HAS_A_CHILD)
    with serving("sqlite:///x.db", taken, "1") as running:
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


@pytest.mark.slow
def test_what_the_server_started_ends_though_the_one_who_began_it_is_killed(tmp_path):
    script = (
        "import subprocess, sys, time\n"
        "from sweep.tracking.server import _outlived_by_none\n"
        f"sleeps = [sys.executable, '-c', {STARTS_ANOTHER!r}]\n"
        "process = subprocess.Popen(sleeps, start_new_session=True)\n"
        "with _outlived_by_none(process):\n"
        "    print(process.pid, flush=True)\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=tmp_path, text=True
    ) as parent:
        begun = [int(parent.stdout.readline())]
        child = tmp_path / "child"
        while not child.exists() or not child.read_text():
            time.sleep(0.02)
        begun.append(int(child.read_text()))
        parent.kill()
    deadline = time.monotonic() + 20
    while any(map(alive, begun)):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_a_server_that_does_not_start_is_said_with_the_way_to_find_out(monkeypatch, taken):
    process(monkeypatch, "raise SystemExit(3)")
    with pytest.raises(SweepError) as failed, serving("sqlite:///x.db", taken, "1"):
        pass
    assert str(failed.value) == (
        "the MLflow server did not start (exit code 3); starting it by hand in this folder says why"
    )


@pytest.mark.slow
def test_a_server_that_never_answers_is_given_up_and_ended(monkeypatch, taken):
    process(monkeypatch, "import time; time.sleep(600)")
    monkeypatch.setattr(server, "START_SECONDS", 0.5)
    with (
        pytest.raises(SweepError, match=r"did not answer within 0.5 s"),
        serving("sqlite:///x.db", taken, "1"),
    ):
        pass


def test_a_server_that_ends_by_itself_is_an_error():
    ended = Server("http://127.0.0.1:5000", SimpleNamespace(wait=lambda: 9))
    with pytest.raises(SweepError, match="ended by itself with exit code 9"):
        ended.wait()


def test_the_server_that_has_the_pages_already_is_used_and_left_running(monkeypatch, taken):
    asked = {}

    def has_pages_of(address, **what):
        asked.update(what, address=address)
        return True

    monkeypatch.setattr(server, "has_pages_of", has_pages_of)
    with serving("sqlite:///x.db", taken, "7") as running:
        assert running == Server(f"http://{HOST}:{taken}", None)
        running.wait()
    assert asked == {"address": running.address, "uri": "sqlite:///x.db", "experiment_id": "7"}

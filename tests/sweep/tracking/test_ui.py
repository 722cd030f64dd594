import json
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.error import HTTPError
from urllib.request import Request

import pytest

from sweep.errors import SweepError
from sweep.tracking import Server, serving, ui
from sweep.tracking.ui import DIRECT, HOST, PORTS_TRIED, has_pages_of

POPEN = subprocess.Popen
ANSWERS = """
import subprocess, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
open("child", "w").write(str(subprocess.Popen(["sleep", "600"]).pid))
class Health(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Health).serve_forever()
"""
"""A server that starts another process."""


@pytest.fixture
def taken():
    """Return a port that somebody listens on, who never answers."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture(autouse=True)
def _soon_given_up(monkeypatch):
    monkeypatch.setattr(ui, "ANSWER_SECONDS", 0.2)


def start(monkeypatch, script):
    """Let `serving` start a script of ours in place of MLflow; return what it was given."""
    given = {}

    def begin(command, *, env, **options):
        given.update(command=command, env=env)
        return POPEN([sys.executable, "-c", script, *command[3:]], env=env, **options)

    monkeypatch.setattr("sweep.tracking.ui.subprocess.Popen", begin)
    return given


def alive(pid):
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.slow
def test_a_server_starts_on_the_next_free_port_and_ends_with_all_that_it_started(
    monkeypatch, tmp_path, taken
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "true")
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", "http://127.0.0.1:9000")
    given = start(monkeypatch, ANSWERS)
    uri = "postgresql://me:s3cret@127.0.0.1/db"
    with serving(uri, taken, "1") as running:
        port = int(running.address.rpartition(":")[2])
        assert taken < port < taken + PORTS_TRIED
        child = int(Path("child").read_text())
        assert alive(child)
    assert running.process.poll() is not None
    deadline = time.monotonic() + 10
    while alive(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert given["command"][1:6] == ["-m", "mlflow", "server", "--host", "127.0.0.1"]
    assert not any("s3cret" in part for part in given["command"])  # where everybody sees it
    expected = {
        "MLFLOW_BACKEND_STORE_URI": uri,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_S3_ENDPOINT_URL": "http://127.0.0.1:9000",
    }
    assert {name: given["env"][name] for name in expected} == expected


@pytest.mark.slow
def test_a_server_that_does_not_start_or_answer_is_said_and_ended(monkeypatch, taken):
    for script, seconds, says in (
        ("raise SystemExit(3)", 90, r"did not start \(exit code 3\); `mlflow server`"),
        ("import time; time.sleep(600)", 0.5, "did not answer within 0.5 s"),
    ):
        monkeypatch.setattr(ui, "START_SECONDS", seconds)
        start(monkeypatch, script)
        with pytest.raises(SweepError, match=says), serving("sqlite:///x.db", taken, "1"):
            pass


def test_a_server_that_ends_by_itself_is_an_error():
    ended = Server("http://127.0.0.1:5000", SimpleNamespace(wait=lambda: 9))
    with pytest.raises(SweepError, match="ended by itself with exit code 9"):
        ended.wait()


@pytest.mark.slow
def test_a_page_from_elsewhere_whose_name_leads_here_reaches_no_server(tracker, taken):
    with serving(tracker.uri, taken, tracker.experiment_id) as running:
        pages = [
            Request(running.address, headers={"Host": name})  # noqa: S310 - our own address
            for name in ("127.0.0.1", "localhost:8080", "evil.example", "10.evil.example")
        ]
        assert [status(page) for page in pages] == [200, 200, 403, 403]
        # a second one uses the first, and leaves it running
        port = int(running.address.rpartition(":")[2])
        with serving(tracker.uri, port, tracker.experiment_id) as again:
            assert again == Server(running.address, None)
        assert running.process.poll() is None


def status(page):
    try:
        with DIRECT.open(page) as answer:
            return answer.status
    except HTTPError as error:
        return error.code


def test_without_a_free_port_the_option_is_named(monkeypatch):
    monkeypatch.setattr(ui, "has_pages_of", lambda *_: False)
    monkeypatch.setattr(ui, "_is_free", lambda port: port > 65535)
    for port, last in ((5000, 5099), (65530, 65535)):
        with (
            pytest.raises(SweepError, match=f"no free port from {port} to {last}; .*--port"),
            serving("sqlite:///x.db", port, "1"),
        ):
            pass


@contextmanager
def answering(body):
    """Answer every request with the same bytes."""

    class Same(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with HTTPServer((HOST, 0), Same) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_only_a_server_that_knows_this_very_experiment_has_its_pages(tracker, taken):
    names = ("name", "artifact_location", "creation_time")
    experiment = tracker.client.get_experiment(tracker.experiment_id)
    known = {name: getattr(experiment, name) for name in names}
    others = [known | {name: "another"} for name in names]
    bodies = [json.dumps({"experiment": each}).encode() for each in (known, *others)]
    strange = [b"<html>", b"[]", b'{"error": 404}', b'{"experiment": null}']
    for number, body in enumerate([*bodies, *strange]):
        with answering(body) as address:
            assert has_pages_of(address, tracker.uri, tracker.experiment_id) == (number == 0)
    silent = f"http://{HOST}:{taken}"
    assert not has_pages_of(silent, tracker.uri, tracker.experiment_id)

"""A tracking store that is away, broken, slow, locked or full while a study runs.

| MLflow's store               | what happens                                   | test         |
| ---------------------------- | ---------------------------------------------- | ------------ |
| does not answer at the start | refused with the cause, 75, nothing is left    | test_client  |
| wants a login at the start   | refused with what to set, exit 75              | test_client  |
| is slow                      | the study does not wait, nothing is said       | slow         |
| is down, silent, answers 500 | one warning, attempts go on, all arrives       | down, ...    |
| takes the login no more      | the same                                       | unauthorised |
| is killed and started again  | the same                                       | killed       |
| is locked, or its disk full  | the same                                       | locked, full |
| stays away beyond the end    | said; the same command or `sync` sends all     | stays_away   |
| lost the answer to a call    | sent again, which changes nothing              | test_mirror  |
| is asked by a process that died | another one is started, all arrives         | test_process |
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from sweep.errors import StoreUnreachableError
from sweep.search.trials import Listener, Status
from sweep.tracking import mirror
from sweep.tracking.client import Tracker
from sweep.tracking.ui import DIRECT

pytestmark = [
    pytest.mark.slow,
    # The store of the last request may be closed by the collector, after its server is gone.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

TRIALS = 6
OPTIONS = {"epochs": 6, "slots": 2, "pruner": "halving"}
TIMEOUT = 3
"""Seconds, not ten: the silent server is waited for four times."""
GONE, BACK = 2, 9
"""The passes at whose ends the server goes and comes back."""


ANSWERS = {"broken": 500, "unauthorised": 401}


class RealServer:
    """A server of MLflow in a folder that can be killed and started again."""

    def __init__(self, folder):
        self.folder, self.process = folder, None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"

    def start(self):
        command = [sys.executable, "-m", "mlflow", "server", "--port", str(self.port)]
        self.process = subprocess.Popen(
            [*command, "--workers", "1"],
            cwd=self.folder,
            env={**os.environ, "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{self.folder}/mlflow.db"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            with suppress(OSError), DIRECT.open(f"{self.address}/health", timeout=1):
                return
            assert self.process.poll() is None
            time.sleep(0.1)
        raise AssertionError("the server does not answer")

    def kill(self):
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Proxy(ThreadingHTTPServer):
    """Stands before a server, and is `up`, `down`, `silent`, `slow`, or gives one of `ANSWERS`."""

    daemon_threads = True

    def __init__(self, address):
        super().__init__(("127.0.0.1", 0), Handler)
        self.upstream = urlsplit(address).netloc
        self.mode = "up"

    def handle_error(self, *_):
        """Keep silent of clients that went away."""

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def answer(self):
        body = b"".join(self.chunks())
        mode = self.server.mode
        if mode in ("down", "silent"):
            time.sleep(TIMEOUT + 1 if mode == "silent" else 0)
            self.close_connection = True
            return
        if mode in ANSWERS:
            self.send_error(ANSWERS[mode])
            return
        if mode == "slow":
            time.sleep(0.2)
        connection = HTTPConnection(self.server.upstream)
        headers = {**self.headers, "Host": self.server.upstream}
        headers.pop("Transfer-Encoding", None)
        connection.request(self.command, self.path, body, headers)
        found = connection.getresponse()
        content = found.read()
        connection.close()
        self.send_response(found.status)
        for name in ("Content-Type", "Content-Disposition"):
            if name in found.headers:
                self.send_header(name, found.headers[name])
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def chunks(self):
        """Yield what the client sends; an empty file comes in chunks, of which there are none."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            yield self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return
        while length := int(self.rfile.readline(), 16):
            yield self.rfile.read(length)
            self.rfile.readline()
        self.rfile.readline()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - as http.server has it

    def log_message(self, *_):
        """Keep silent."""


class Weather(Listener):
    """Lets a server go, waits until that was noticed, and lets it come back."""

    def __init__(self, *, goes, comes=None, noticed=True):
        self.goes, self.comes, self.noticed = goes, comes, noticed
        self.passes, self.warnings = 0, []

    def pass_ended(self, training):
        del training
        self.passes += 1
        if self.passes == GONE:
            self.goes()
        if self.passes == BACK and self.comes is not None:
            deadline = time.monotonic() + 60
            while self.noticed and not self.warnings:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            self.comes()

    def warned(self, text):
        self.warnings.append(text)


@contextmanager
def serving(folder, empty_mlflow_database):
    shutil.copy(empty_mlflow_database, folder)
    server = RealServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="module")
def real_server(tmp_path_factory, empty_mlflow_database):
    """Return a real server that answers."""
    with serving(tmp_path_factory.mktemp("server"), empty_mlflow_database) as server:
        yield server


@pytest.fixture
def mortal_server(tmp_path_factory, empty_mlflow_database):
    """Return a real server that may be killed."""
    with serving(tmp_path_factory.mktemp("mortal"), empty_mlflow_database) as server:
        yield server


@pytest.fixture
def proxy(real_server):
    """Return a proxy before it."""
    proxy = Proxy(real_server.address)
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    yield proxy
    proxy.shutdown()
    proxy.server_close()
    thread.join()


@pytest.fixture
def run(run_tiny, image_npz, monkeypatch):
    """Return a function that runs a study of images, tracked at an address."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", str(TIMEOUT))

    def run(address, name, listener=None):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        data = str(image_npz)
        return run_tiny(TRIALS, listener=listener, data=data, study=name, **OPTIONS)

    return run


@pytest.fixture
def is_whole(workspace, in_both_stores):
    """Return a check that MLflow has every point and file of a study once, and nothing waits."""

    def files(client, run_id, folder=None):
        for item in client.list_artifacts(run_id, folder):
            yield from files(client, run_id, item.path) if item.is_dir else [item.path]

    def check(study, address):
        tracker = Tracker("images", workspace, uri=address)
        in_both_stores(study, tracker)
        for run in tracker.runs(role="trial", **study.tags):
            trial = study.trial(int(run.data.tags["sweep.trial"]))
            found = list(files(tracker.client, run.info.run_id))
            steps = {int(name.split("+")[2]) for name in found if name.startswith("images/")}
            assert "classifier/classifier.npz" in found
            complete = trial.status == Status.COMPLETE
            assert ("figures/curves.png" in found) == complete
            assert trial.epochs in steps
            assert len(found) == len(set(found))
        (parent,) = tracker.runs(role="study", **study.tags)
        assert parent.info.status == "FINISHED"
        assert "figures/history.png" in list(files(tracker.client, parent.info.run_id))
        history = tracker.client.get_metric_history(parent.info.run_id, "best/val_accuracy")
        ended = sorted(
            study.trials(), key=lambda trial: (trial.first_pass + trial.epochs, trial.index)
        )
        first = [trial.status for trial in ended].index(Status.COMPLETE) + 1
        assert sorted(point.step for point in history) == list(range(first, TRIALS + 1))
        assert list(workspace.pending(study.name).rglob("*.*")) == []

    return check


@pytest.mark.parametrize("trouble", ["down", "silent", "slow", *ANSWERS])
def test_a_study_goes_on_without_its_server_and_nothing_is_lost(run, is_whole, proxy, trouble):
    weather = Weather(
        goes=lambda: setattr(proxy, "mode", trouble),
        comes=lambda: setattr(proxy, "mode", "up"),
        noticed=trouble != "slow",
    )
    session = run(proxy.address, trouble, weather)
    assert session.why == "6 of 6 trials finished"
    is_whole(session.study, proxy.address)
    if trouble == "slow":
        assert weather.warnings == []
    else:
        gone, back = weather.warnings
        assert f"MLflow request to {proxy.address} failed: " in gone
        assert "the study goes on" in gone
        assert back == "MLflow answers again"


@pytest.fixture
def small_disk(tmp_path):
    """Return a folder with a small disk of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "none", disk]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("no small disk can be mounted here")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


@contextmanager
def locked(database):
    """Hold a database, as another program may."""
    with closing(
        sqlite3.connect(database, isolation_level=None, check_same_thread=False)
    ) as holder:
        holder.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def full(database):
    """Leave no byte free on the disk of a database."""
    ballast = database.with_name("ballast")
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    yield
    ballast.unlink()


@pytest.mark.parametrize("trouble", [locked, full], ids=["locked", "full"])
def test_a_study_goes_on_while_its_database_takes_nothing(
    run, is_whole, small_disk, empty_mlflow_database, trouble
):
    database = small_disk / "runs.db"
    shutil.copy(empty_mlflow_database, database)
    with ExitStack() as stack:
        weather = Weather(goes=lambda: stack.enter_context(trouble(database)), comes=stack.close)
        session = run(f"sqlite:///{database}", trouble.__name__, weather)
    assert session.why == "6 of 6 trials finished"
    is_whole(session.study, f"sqlite:///{database}")
    gone, back = weather.warnings
    helps = {"locked": "close the program that holds it", "full": "make room there"}
    assert f"{helps[trouble.__name__]}; the study goes on" in gone
    assert back == "MLflow answers again"


def test_a_study_goes_on_while_its_server_is_killed_and_started_again(run, is_whole, mortal_server):
    weather = Weather(goes=mortal_server.kill, comes=mortal_server.start)
    session = run(mortal_server.address, "killed", weather)
    assert session.why == "6 of 6 trials finished"
    is_whole(session.study, mortal_server.address)
    gone, back = weather.warnings
    assert "the study goes on" in gone
    assert back == "MLflow answers again"


def test_a_server_that_stays_away_costs_no_result_and_gets_all_of_them_later(
    run, is_whole, proxy, workspace, invoke, monkeypatch
):
    monkeypatch.setattr(mirror, "CLOSE_SECONDS", 0.2)
    monkeypatch.chdir(workspace.root)
    for name in ("run", "sync"):
        weather = Weather(goes=lambda: setattr(proxy, "mode", "down"))
        session = run(proxy.address, name, weather)
        assert session.why == "6 of 6 trials finished"
        assert {trial.status for trial in session.study.trials()} <= {"complete", "pruned"}
        assert sum("the study goes on" in warning for warning in weather.warnings) == 1
        assert any("MLflow lacks the latest of" in warning for warning in weather.warnings)
        with pytest.raises(StoreUnreachableError):  # not before it is back
            run(proxy.address, name)
        proxy.mode = "up"
        if name == "sync":
            done = invoke("sync", name)
            assert done.exit_code == 0, done.output
        quiet = Weather(goes=lambda: None)
        again = run(proxy.address, name, quiet)
        assert (again.operations, quiet.warnings) == (0, [])
        is_whole(again.study, proxy.address)

"""A tracking server that goes away, breaks down or is slow while a study runs."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sweep.errors import StoreUnreachableError
from sweep.layout import LayoutChoice
from sweep.study.listener import Listener
from sweep.study.passes import Budget
from sweep.tracking.contact import HASTE
from sweep.tracking.pages import DIRECT, find_place
from sweep.tracking.server import serving
from sweep.tracking.tracker import Tracker

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("no_figures"),
    # The store of the last request may be closed by the collector, after its server is gone.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

TRIALS, EPOCHS = 6, 6
LAYOUT = LayoutChoice(slots=2, width=2, workers=1)


class Proxy(ThreadingHTTPServer):
    """Stands before a server, and is `up`, `down`, `broken` (answers 500), or `slow`."""

    daemon_threads = True

    def __init__(self, address):
        super().__init__(("127.0.0.1", 0), Handler)
        self.upstream = urlsplit(address).netloc
        self.mode = "up"

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server.mode == "down":
            self.close_connection = True
            return
        if self.server.mode == "broken":
            self.send_error(500)
            return
        if self.server.mode == "slow":
            time.sleep(0.3)
        connection = HTTPConnection(self.server.upstream)
        headers = {**self.headers, "Host": self.server.upstream}
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

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - as http.server has it

    def log_message(self, *_):
        """Keep silent."""


class Weather(Listener):
    """Gives the proxy another mode at the end of some passes, and remembers the warnings."""

    def __init__(self, proxy, forecast):
        self.proxy, self.forecast = proxy, forecast
        self.passes = 0
        self.warnings = []

    def pass_ended(self, training):
        del training
        self.passes += 1
        self.proxy.mode = self.forecast.get(self.passes, self.proxy.mode)

    def warned(self, text):
        self.warnings.append(text)


@pytest.fixture(scope="module")
def server(tmp_path_factory, empty_mlflow_database):
    """Return the address of a real server."""
    path = tmp_path_factory.mktemp("server") / "mlflow.db"
    shutil.copy(empty_mlflow_database, path)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path.parent)
        with serving(f"sqlite:///{path}", 7100, "0") as running:
            yield running.address


@pytest.fixture
def proxy(server, monkeypatch):
    """Return a proxy before it; checkpoints and attempts come often."""
    monkeypatch.setattr("sweep.study.keeper.SECONDS", 0.0)
    monkeypatch.setattr("sweep.tracking.courier.FIRST_PAUSE", 0.05)
    monkeypatch.setattr("sweep.tracking.courier.LONGEST_PAUSE", 0.05)
    monkeypatch.setitem(HASTE, "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    standing = Proxy(server)
    thread = threading.Thread(target=standing.serve_forever, daemon=True)
    thread.start()
    yield standing
    standing.shutdown()
    standing.server_close()
    thread.join()


@pytest.fixture
def loop_of(tiny_study, proxy):
    """Return a function that makes a study's loop, tracked by way of the proxy."""

    def make(name, forecast=None):
        loop = tiny_study(study_name=name, epochs=EPOCHS, layout=LAYOUT)
        loop.tracker = Tracker("tiny", uri=proxy.address, timings=loop.timings)
        loop.listener = Weather(proxy, forecast or {})
        return loop

    return make


@pytest.mark.parametrize("trouble", ["down", "broken", "slow"])
def test_a_study_goes_on_without_its_server_and_nothing_is_lost(
    loop_of, in_both_stores, proxy, trouble
):
    loop = loop_of(f"{trouble}-for-a-while", {2: trouble, 9: "up"})
    loop.run(Budget(TRIALS))
    in_both_stores(loop.study, loop.tracker)
    (parent,) = loop.tracker.runs(role="study", **loop.study.tags)
    history = loop.tracker.client.get_metric_history(parent.info.run_id, "best/val_accuracy")
    assert sorted(point.step for point in history) == list(range(1, TRIALS + 1))
    if trouble != "slow":
        gone, back = loop.listener.warnings
        assert "meanwhile what is logged waits in mlruns/outbox" in gone
        assert back == f"MLflow at {proxy.address} is back"


def test_a_server_that_stays_away_costs_no_result_and_gets_all_of_them_later(
    loop_of, in_both_stores, proxy, monkeypatch
):
    monkeypatch.setattr("sweep.tracking.courier.PATIENCE", 0.2)
    loop = loop_of("away", {2: "down"})
    with pytest.raises(StoreUnreachableError, match=r"letters for it wait in mlruns/outbox/away"):
        loop.run(Budget(TRIALS))
    assert [trial.state.name for trial in loop.study.trials()] == ["COMPLETE"] * TRIALS
    with pytest.raises(StoreUnreachableError):  # not before it is back
        loop_of("away")
    proxy.mode = "up"
    again = loop_of("away")
    assert again.run(Budget(TRIALS)) == "6 of 6 trials were finished already"
    in_both_stores(again.study, again.tracker)
    assert not list(Path("mlruns/outbox/away").iterdir())


class Mortal:
    """A real server in a folder that can be killed and started again."""

    def __init__(self, folder):
        self.folder, self.process = folder, None
        self.place = find_place(7400)

    def start(self):
        command = [sys.executable, "-m", "mlflow", "server", "--port", str(self.place.port)]
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
            with suppress(OSError), DIRECT.open(f"{self.place.address}/health", timeout=1):
                return
            assert self.process.poll() is None
            time.sleep(0.1)
        raise AssertionError("the server does not answer")

    def kill(self):
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Killer(Listener):
    """Kills a server at the end of the second pass, and starts it again at the end of the ninth."""

    def __init__(self, server):
        self.server, self.passes, self.warnings = server, 0, []

    def pass_ended(self, training):
        del training
        self.passes += 1
        if self.passes == 2:
            self.server.kill()
        if self.passes == 9:
            deadline = time.monotonic() + 60
            while not self.warnings:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            self.server.start()

    def warned(self, text):
        self.warnings.append(text)


@pytest.fixture
def mortal_server(tmp_path, empty_mlflow_database):
    """Return a real server that answers."""
    folder = tmp_path / "server"
    folder.mkdir()
    shutil.copy(empty_mlflow_database, folder)
    one = Mortal(folder)
    one.start()
    yield one
    one.kill()


def test_a_study_goes_on_while_its_server_is_killed_and_started_again(
    tiny_study, mortal_server, in_both_stores, monkeypatch
):
    monkeypatch.setattr("sweep.study.keeper.SECONDS", 0.0)
    monkeypatch.setattr("sweep.tracking.courier.FIRST_PAUSE", 0.05)
    monkeypatch.setattr("sweep.tracking.courier.LONGEST_PAUSE", 0.2)
    monkeypatch.setitem(HASTE, "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    loop = tiny_study(study_name="killed", epochs=EPOCHS, layout=LAYOUT)
    loop.tracker = Tracker("tiny", uri=mortal_server.place.address, timings=loop.timings)
    loop.listener = Killer(mortal_server)
    assert loop.run(Budget(TRIALS)) == "6 of 6 trials finished"
    in_both_stores(loop.study, loop.tracker)
    gone, back = loop.listener.warnings
    assert "meanwhile what is logged waits in mlruns/outbox/killed" in gone
    assert back == f"MLflow at {mortal_server.place.address} is back"


def test_what_stood_in_damaged_letters_comes_from_the_record(
    loop_of, in_both_stores, proxy, monkeypatch
):
    monkeypatch.setattr("sweep.tracking.courier.PATIENCE", 0.2)
    loop = loop_of("damaged", {4: "down"})
    with pytest.raises(StoreUnreachableError):
        loop.run(Budget(TRIALS))
    letters = sorted(Path("mlruns/outbox/damaged").iterdir())
    assert letters
    for path in letters:
        path.write_bytes(path.read_bytes()[:100])
    proxy.mode = "up"
    again = loop_of("damaged")
    assert again.run(Budget(TRIALS)) == "6 of 6 trials were finished already"
    assert len(again.listener.warnings) == len(letters)
    in_both_stores(again.study, again.tracker)

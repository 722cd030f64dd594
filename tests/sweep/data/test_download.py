"""Against a real server on 127.0.0.1 that misbehaves in every way a server can."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from sweep.data import LAYOUTS, already_there, cifar10, fetch
from sweep.data.cifar10 import RETRIES
from sweep.errors import SweepError

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""Pooch leaves the connection of a failed request to the garbage collector."""

CONTENT = np.random.default_rng(6).bytes(700_000)


class Handler(BaseHTTPRequestHandler):
    """The path's first folder says how to answer; the server counts how often it was asked."""

    def do_GET(self):
        behaviour = self.path.split("/")[1]
        asked = self.server.asked[behaviour]
        self.server.asked[behaviour] += 1
        status, length, body = {
            "good": (200, len(CONTENT), CONTENT),
            "cut": (200, len(CONTENT), CONTENT[: len(CONTENT) // 2]),
            "wrong": (200, len(CONTENT), CONTENT[::-1]),
            "short": (200, 20, b"<html>log in, please"),
            "broken": (500, 0, b""),
            "gone": (404, 0, b""),
            "flaky": (200, len(CONTENT), CONTENT if asked else CONTENT[:100_000]),
        }[behaviour]
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def running_server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """The pauses that pooch would have made."""
    pauses = []
    monkeypatch.setattr("pooch.core.time.sleep", pauses.append)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return pauses


@pytest.fixture
def server(running_server):
    running_server.asked = Counter()
    return running_server


def layout(behaviour, port):
    return replace(
        LAYOUTS["binary"],
        url=f"http://127.0.0.1:{port}/{behaviour}/set.tar.gz",
        size=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
    )


@pytest.mark.slow
def test_a_whole_download_is_put_in_place(server, tmp_path, capsys):
    path = fetch(layout("good", server.server_port), tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "set.tar.gz"
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]
    assert capsys.readouterr() == ("", "")


@pytest.mark.slow
def test_a_download_that_fails_is_tried_again_and_leaves_nothing(server, tmp_path):
    for behaviour, reason in (
        ("cut", "set.tar.gz: ('Connection broken: "),
        ("broken", "set.tar.gz: 500 Server Error"),
        ("gone", "set.tar.gz: 404 Client Error"),
        ("wrong", "the server sent other bytes than the published ones"),
        ("short", "the server sent other bytes than the published ones"),
    ):
        wanted = layout(behaviour, server.server_port)
        with pytest.raises(SweepError) as caught:
            fetch(wanted, tmp_path)
        said = str(caught.value)
        assert said.startswith(wanted.url)
        assert reason in said
        assert said.endswith(
            f"; try again later, or fetch it by hand (700,000 bytes, SHA-256 {wanted.sha256}) and "
            f"put it at {tmp_path / 'set.tar.gz'}"
        )
        assert server.asked[behaviour] == 1 + RETRIES
        assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_connection_that_breaks_once_is_made_again(server, tmp_path):
    assert fetch(layout("flaky", server.server_port), tmp_path).read_bytes() == CONTENT
    assert server.asked["flaky"] == 2


def test_a_server_that_cannot_be_reached_is_tried_again_and_given_up(tmp_path, pauses):
    with pytest.raises(SweepError, match=r"^http://127.0.0.1:9/good/set.tar.gz: .*; try again"):
        fetch(layout("good", 9), tmp_path)
    assert pauses == [1, 2]


@pytest.mark.slow
def test_a_server_that_never_answers_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar10, "TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        unanswered = layout("good", silent.getsockname()[1])
        with pytest.raises(SweepError, match="Read timed out"):
            fetch(unanswered, tmp_path)


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SweepError, match=r"file/sub: cannot be written to: Not a directory; make"):
        fetch(layout("good", 9), tmp_path / "file" / "sub")
    for error, said in (
        (OSError(28, "No space left on device"), "No space left on device (.* B free on .*); make"),
        (PermissionError("in pooch's own words"), "Permission denied; make room or mend"),
    ):

        def fail(*_, error=error):
            raise error

        monkeypatch.setattr("pooch.HTTPDownloader", lambda **_: fail)
        with pytest.raises(SweepError, match=f"cannot be written to: {said}"):
            fetch(layout("good", 9), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_right_file_is_known_to_be_there_and_another_is_neither_taken_nor_replaced(tmp_path):
    wanted, path = layout("good", 9), tmp_path / "set.tar.gz"
    assert not already_there(wanted, tmp_path)
    path.write_bytes(CONTENT)
    assert already_there(wanted, tmp_path)
    for content in (CONTENT[:-1], CONTENT[::-1], b""):
        path.write_bytes(content)
        with pytest.raises(SweepError, match="is there already but is not the published file; mo"):
            already_there(wanted, tmp_path)
        assert path.read_bytes() == content

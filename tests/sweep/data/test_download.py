"""Against a real server on 127.0.0.1 that misbehaves in every way a server can."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from sweep.data import download
from sweep.data.download import TRIES, already_there, fetch
from sweep.data.layouts import Archive
from sweep.errors import SweepError

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
            "endless": (200, None, CONTENT * 20),
            "broken": (500, 0, b""),
            "busy": (429, 0, b""),
            "gone": (404, 0, b""),
            "flaky": (200, len(CONTENT), CONTENT if asked else CONTENT[:100_000]),
        }[behaviour]
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        with suppress(OSError):  # the client hangs up on what is too long
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


@pytest.fixture
def server(running_server, monkeypatch):
    running_server.asked = Counter()
    monkeypatch.setattr(download, "PAUSE", 0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return running_server


@pytest.fixture
def archive(server):
    def archive(behaviour):
        return Archive(
            url=f"http://127.0.0.1:{server.server_port}/{behaviour}/set.tar.gz",
            size=len(CONTENT),
            sha256=hashlib.sha256(CONTENT).hexdigest(),
        )

    return archive


@pytest.mark.slow
def test_a_whole_download_is_put_in_place(archive, tmp_path):
    path = fetch(archive("good"), tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "set.tar.gz"
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        ("cut", ("the connection broke off", TRIES)),
        ("broken", ("the server answered 500", TRIES)),
        ("busy", ("the server answered 429", TRIES)),
        ("gone", ("the server answered 404", 1)),
        ("wrong", ("it sent other bytes than the published ones", 1)),
        ("short", ("it sent other bytes than the published ones", 1)),
        ("endless", ("it sent other bytes than the published ones", 1)),
    ],
)
def test_a_download_that_fails_says_why_and_leaves_nothing(
    archive, server, tmp_path, behaviour, expected
):
    wanted, (reason, tries) = archive(behaviour), expected
    with pytest.raises(SweepError) as caught:
        fetch(wanted, tmp_path)
    assert str(caught.value) == (
        f"{wanted.url}: {reason}; try again later, or fetch it by hand (700,000 bytes, SHA-256 "
        f"{wanted.sha256}) and put it at {tmp_path / 'set.tar.gz'}"
    )
    assert server.asked[behaviour] == tries
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_cannot_be_reached_is_tried_again(tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr(download.time, "sleep", pauses.append)
    monkeypatch.setattr(download, "PAUSE", 1.5)
    nobody = Archive(url="http://127.0.0.1:9/set.tar.gz", size=1, sha256="0" * 64)
    with pytest.raises(SweepError, match=r"127.0.0.1:9/set.tar.gz: no connection; try again"):
        fetch(nobody, tmp_path)
    assert pauses == [1.5, 3.0]


@pytest.mark.slow
def test_a_server_that_never_answers_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "PAUSE", 0)
    monkeypatch.setattr(download, "TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        url = f"http://127.0.0.1:{port}/set.tar.gz"
        with pytest.raises(SweepError, match="no answer within 0 seconds"):
            fetch(Archive(url=url, size=1, sha256="0" * 64), tmp_path)


@pytest.mark.slow
def test_a_connection_that_breaks_once_is_made_again(archive, server, tmp_path):
    assert fetch(archive("flaky"), tmp_path).read_bytes() == CONTENT
    assert server.asked["flaky"] == 2


def test_a_folder_that_cannot_be_made_is_refused(archive, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SweepError, match=r"file/sub: cannot be written to: Not a directory"):
        fetch(archive("good"), tmp_path / "file" / "sub")


def test_a_full_disk_is_named(archive, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download._Bounded, "write", full)
    with pytest.raises(SweepError, match=r"cannot be written to: No space left on device"):
        fetch(archive("good"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_right_file_is_known_to_be_there(archive, tmp_path):
    assert not already_there(archive("good"), tmp_path)
    (tmp_path / "set.tar.gz").write_bytes(CONTENT)
    assert already_there(archive("good"), tmp_path)


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT[::-1], b""])
def test_another_file_of_that_name_is_neither_taken_nor_replaced(archive, tmp_path, content):
    path = tmp_path / "set.tar.gz"
    path.write_bytes(content)
    with pytest.raises(SweepError, match=r"set.tar.gz: is there already but is not the published"):
        already_there(archive("good"), tmp_path)
    assert path.read_bytes() == content

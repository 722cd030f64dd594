"""A server of MLflow's pages, ended with everything it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from typing import TYPE_CHECKING

from sweep.errors import SweepError
from sweep.tracking.pages import DIRECT, HOST, find_place, has_pages_of

if TYPE_CHECKING:
    from collections.abc import Iterator

START_SECONDS = 90
GRACE_SECONDS = 5
CLOSED = {
    # Called by any other name it refuses: a page from elsewhere may let its own name lead here.
    "MLFLOW_SERVER_ALLOWED_HOSTS": f"{HOST},{HOST}:*,localhost,localhost:*",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    # Whoever reaches a port of this machine could let the assistant run commands as its owner.
    "MLFLOW_ENABLE_REMOTE_ASSISTANT": "false",
    "MLFLOW_ENABLE_ASSISTANT_SANDBOX": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""Shuts what the pages of runs do not need, whatever the environment says."""
WATCH = (
    "import os, signal, sys, time;"
    "sys.stdin.read();"
    "os.killpg(int(sys.argv[1]), signal.SIGTERM);"
    f"time.sleep({GRACE_SECONDS});"
    "os.killpg(int(sys.argv[1]), signal.SIGKILL)"
)


@dataclass(frozen=True)
class Server:
    """A server that answers.

    Attributes
    ----------
    address
        Where a browser finds it.
    process
        None where it was running already: then it stays when we go.

    """

    address: str
    process: subprocess.Popen[bytes] | None

    def wait(self) -> None:
        """Wait until somebody presses Ctrl-C; a server that ends by itself is an error."""
        if self.process is not None:
            code = self.process.wait()
            raise SweepError(
                f"the MLflow server ended by itself with exit code {code}; start it again"
            )


@contextmanager
def serving(uri: str, wanted_port: int, experiment_id: str) -> Iterator[Server]:
    """Serve a tracking store for the length of a block, or use the server that does so already.

    The store's address goes through the environment: it may hold a password, and arguments are
    visible to everybody on the machine. One worker, because four answer more slowly on SQLite.
    """
    place = find_place(wanted_port, partial(has_pages_of, uri=uri, experiment_id=experiment_id))
    if place.served:
        yield Server(place.address, None)
        return
    options = ["--host", HOST, "--port", str(place.port), "--workers", "1"]
    # A closed terminal must not leave the server behind either.
    before = {number: signal.signal(number, _end) for number in (signal.SIGTERM, signal.SIGHUP)}
    process = subprocess.Popen(  # noqa: S603 - our own interpreter, fixed arguments
        [sys.executable, "-m", "mlflow", "server", *options],
        env={**os.environ, **CLOSED, "MLFLOW_BACKEND_STORE_URI": uri},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        with _outlived_by_none(process):
            _await_answer(place.address, process)
            yield Server(place.address, process)
    finally:
        _end_group(process)
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _outlived_by_none(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End the process's group with this one, even if that is killed: its end closes a pipe."""
    with subprocess.Popen(  # noqa: S603 - our own interpreter, fixed arguments
        [sys.executable, "-S", "-c", WATCH, str(process.pid)],
        stdin=subprocess.PIPE,
        start_new_session=True,
    ) as watch:
        try:
            yield
        finally:
            watch.kill()


def _end(number: int, _frame: object) -> None:
    sys.exit(128 + number)


def _await_answer(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SweepError(
                f"the MLflow server did not start (exit code {process.returncode}); "
                "starting it by hand in this folder says why"
            )
        try:
            with DIRECT.open(f"{address}/health", timeout=1):
                return
        except (OSError, HTTPException):
            time.sleep(0.2)
    raise SweepError(f"the MLflow server at {address} did not answer within {START_SECONDS} s")


def _end_group(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            continue

"""A server of MLflow's pages on this machine, ended with everything it started."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING, Final
from urllib.request import ProxyHandler, build_opener

from sweep.errors import SweepError
from sweep.tracking.client import in_one_line, open_client

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST: Final = "127.0.0.1"
"""Where servers of pages listen: for this machine alone."""
PORTS_TRIED: Final = 100
ANSWER_SECONDS = 3
START_SECONDS = 90
GRACE_SECONDS = 5
DIRECT: Final = build_opener(ProxyHandler({}))
"""A proxy of the environment knows nothing of our 127.0.0.1."""
CLOSED: Final = {
    # Called by any other name it refuses: a page from elsewhere may let its own name lead here.
    "MLFLOW_SERVER_ALLOWED_HOSTS": f"{HOST},{HOST}:*,localhost,localhost:*",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "PYTHONWARNINGS": "ignore",  # where warnings are errors its first deprecation would end it
    # Whoever reaches a port of this machine could let the assistant run commands as its owner.
    "MLFLOW_ENABLE_REMOTE_ASSISTANT": "false",
    "MLFLOW_ENABLE_ASSISTANT_SANDBOX": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""Shuts what the pages of runs do not need, whatever the environment says."""


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
    port = wanted_port
    while not _is_free(port):
        if has_pages_of(_address(port), uri, experiment_id):
            yield Server(_address(port), None)
            return
        port += 1
        if port >= min(wanted_port + PORTS_TRIED, 65536):
            raise SweepError(f"no free port from {wanted_port} to {port - 1}; name another: --port")
    options = ["--host", HOST, "--port", str(port), "--workers", "1"]
    with (
        _ending_with_the_terminal(),
        subprocess.Popen(  # noqa: S603 - our own interpreter, fixed arguments
            [sys.executable, "-m", "mlflow", "server", *options],
            env={**os.environ, **CLOSED, "MLFLOW_BACKEND_STORE_URI": uri},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process,
    ):
        try:
            _await_answer(_address(port), process)
            yield Server(_address(port), process)
        finally:
            _end_group(process)


def _address(port: int) -> str:
    return f"http://{HOST}:{port}"


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def has_pages_of(address: str, uri: str, experiment_id: str) -> bool:
    """Whether the server at an address has the pages of this store, whoever started it.

    It has if it knows the experiment by that number with the same name, files and birth.
    """
    names = ("name", "artifact_location", "creation_time")
    page = f"{address}/api/2.0/mlflow/experiments/get?experiment_id={experiment_id}"
    try:
        with DIRECT.open(page, timeout=ANSWER_SECONDS) as answer:
            experiment = json.load(answer)["experiment"]
            theirs = [str(experiment[name]) for name in names]
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return False  # something else listens there
    client = open_client(uri)
    with in_one_line(uri):
        ours = client.get_experiment(experiment_id)
    return theirs == [str(getattr(ours, name)) for name in names]


@contextmanager
def _ending_with_the_terminal() -> Iterator[None]:
    """Leave the block on SIGTERM, and when the terminal is closed."""
    numbers = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    before = {number: signal.signal(number, _end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, _frame: object) -> None:
    sys.exit(128 + number)


def _await_answer(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SweepError(
                f"the MLflow server did not start (exit code {process.returncode}); "
                "`mlflow server` in this folder says why"
            )
        try:
            with DIRECT.open(f"{address}/health", timeout=1):
                return
        except (OSError, HTTPException):
            time.sleep(0.2)
    raise SweepError(f"the MLflow server at {address} did not answer within {START_SECONDS} s")


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End a server and the workers that it started."""
    for number in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
        try:
            if hasattr(os, "killpg"):
                os.killpg(process.pid, number)
            else:  # Windows, where nothing but the server itself can be ended
                process.terminate()
        except ProcessLookupError:
            return
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)

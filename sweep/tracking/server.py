"""MLflow's own server, on this machine only and ended with everything it started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.parse import quote, urlencode
from urllib.request import ProxyHandler, build_opener

from sweep.errors import SweepError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sweep.settings import Settings

HOST = "127.0.0.1"
PORTS_TRIED = 100
START_SECONDS = 90
GRACE_SECONDS = 5


@dataclass(frozen=True)
class Server:
    """A server that answers."""

    address: str
    process: subprocess.Popen[bytes]

    def wait(self) -> None:
        """Wait until somebody presses Ctrl-C; a server that ends by itself is an error."""
        code = self.process.wait()
        raise SweepError(f"the MLflow server ended by itself with exit code {code}; start it again")


def link(address: str, experiment_id: str, settings: Settings | None = None) -> str:
    """Return the page of an experiment's runs, or of one study's trials as charts, best first.

    Without its `workflowType` the UI shows GenAI.
    """
    query = {"workflowType": "machine_learning"}
    if settings is not None:
        query |= {
            "searchFilter": "tags.`sweep.role` = 'trial' and "
            f"tags.`sweep.study` = '{settings.study}'",
            "orderByKey": f"metrics.`{settings.metric}`",
            "orderByAsc": str(settings.direction == "minimize").lower(),
            "compareRunsMode": "CHART",
        }
    page = f"#/experiments/{experiment_id}/runs?{urlencode(query, quote_via=quote)}"
    return f"{address.rstrip('/')}/{page}"


def free_port(wanted: int) -> int:
    """Return the first port from `wanted` on that nobody listens on."""
    for port in range(wanted, min(wanted + PORTS_TRIED, 65536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise SweepError(
        f"no free port from {wanted} to {wanted + PORTS_TRIED - 1}; name another with --port"
    )


@contextmanager
def serving(uri: str, wanted_port: int) -> Iterator[Server]:
    """Serve a tracking store for the length of a block.

    One worker, because four answer more slowly on SQLite; no job runner, which is not needed and
    was a way in. The address goes through the environment: it may hold a password, and arguments
    are visible to everybody on the machine.
    """
    port = free_port(wanted_port)
    address = f"http://{HOST}:{port}"
    environment = {
        **os.environ,
        "MLFLOW_BACKEND_STORE_URI": uri,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = ["server", "--host", HOST, "--port", str(port), "--workers", "1"]
    # A closed terminal must not leave the server behind either.
    before = {number: signal.signal(number, _end) for number in (signal.SIGTERM, signal.SIGHUP)}
    process = subprocess.Popen(  # noqa: S603 - our own interpreter, fixed arguments
        [sys.executable, "-m", "mlflow", *command],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _await_health(address, process)
        yield Server(address, process)
    finally:
        _end_group(process)
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, _frame: object) -> None:
    sys.exit(128 + number)


def _await_health(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    direct = build_opener(ProxyHandler({}))  # a proxy of the environment knows no 127.0.0.1 of ours
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SweepError(
                f"the MLflow server did not start (exit code {process.returncode}); "
                "`mlflow server` in this folder says why"
            )
        try:
            with direct.open(f"{address}/health", timeout=1):
                return
        except (URLError, OSError):
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

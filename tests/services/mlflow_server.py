"""A real MLflow server, which tests may kill and start again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import urlopen

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

PATIENCE = 120
"""Seconds to wait for the first answer, on a machine that has much else to do."""


class MlflowServer:
    """`mlflow server` on a port of its own, with a backend and a folder for the runs' files."""

    def __init__(self, backend: str, folder: Path) -> None:
        self.backend, self.folder = backend, folder
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            self._port = listening.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it at the same address as before, and return when it answers."""
        command = [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"),
            *("--port", str(self._port), "--workers", "1", "--backend-store-uri", self.backend),
            *("--artifacts-destination", str(self.folder / "artifacts")),
        ]
        environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
        environment.pop("MLFLOW_TRACKING_URI", None)
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # its processes are ended together
            )
        self._await_answer()

    def kill(self) -> None:
        """End it at once, with all that it started."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _await_answer(self) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            assert self._process is not None
            assert self._process.poll() is None, (self.folder / "server.log").read_text()
            try:
                with urlopen(f"{self.uri}/health", timeout=5) as answer:  # noqa: S310 - our own
                    if answer.status == 200:
                        return
            except (URLError, OSError):
                time.sleep(0.1)
        raise AssertionError(f"no answer: {(self.folder / 'server.log').read_text()}")


@pytest.fixture(scope="session")
def serving_mlflow(
    tmp_path_factory, empty_mlflow_database
) -> Callable[..., AbstractContextManager[MlflowServer]]:
    """Return a context of a server, ended with it: `serving_mlflow(backend address or None)`."""

    @contextmanager
    def serve(backend: str | None = None) -> Iterator[MlflowServer]:
        folder = tmp_path_factory.mktemp("mlflow-server")
        if backend is None:
            shutil.copy(empty_mlflow_database, folder / "mlflow.db")
            backend = f"sqlite:///{folder / 'mlflow.db'}"
        server = MlflowServer(backend, folder)
        try:
            server.start()
            yield server
        finally:
            server.kill()

    return serve


@pytest.fixture(scope="session")
def mlflow_cluster(serving_mlflow) -> Iterator[MlflowServer]:
    """Return a server for the length of the session; a test that needs it takes `mlflow_server`."""
    with serving_mlflow() as server:
        yield server


@pytest.fixture
def mlflow_server(mlflow_cluster: MlflowServer) -> MlflowServer:
    """Return an MLflow server that is up, whatever the test before did to it."""
    if mlflow_cluster._process is None:
        mlflow_cluster.start()
    return mlflow_cluster

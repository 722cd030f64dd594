"""Servers of pages, ended with everything they started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from http.client import HTTPException
from importlib.util import find_spec
from typing import TYPE_CHECKING

from sweep.errors import SweepError
from sweep.tracking.access import HOST, Access
from sweep.tracking.guard import guarding
from sweep.tracking.pages import DIRECT, Place, find_place, has_pages_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

START_SECONDS = 90
GRACE_SECONDS = 5
OPTUNA_PAGES = (
    "import os, optuna_dashboard;"
    "optuna_dashboard.run_server("
    f"os.environ['SWEEP_OPTUNA_STORAGE'], '{HOST}', int(os.environ['SWEEP_OPTUNA_PORT']))"
)
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
    name
        What it is called in messages.

    """

    address: str
    process: subprocess.Popen[bytes] | None
    name: str = "MLflow"

    def wait(self) -> None:
        """Wait until somebody presses Ctrl-C; a server that ends by itself is an error."""
        if self.process is not None:
            code = self.process.wait()
            raise SweepError(
                f"the {self.name} server ended by itself with exit code {code}; start it again"
            )


@contextmanager
def serving(
    uri: str, wanted_port: int, experiment_id: str, access: Access | None = None
) -> Iterator[Server]:
    """Serve a tracking store for the length of a block, or use the server that does so already.

    Where others get in it is always a server of our own, with its own login. The store's address
    goes through the environment: it may hold a password, and arguments are visible to everybody
    on the machine.
    """
    access = access or Access()
    serves = partial(has_pages_of, uri=uri, experiment_id=experiment_id)
    if access.login is None:
        place = find_place(wanted_port, serves)
    else:
        place = find_place(wanted_port, host=access.host)
    if place.served:
        yield Server(place.address, None)
        return
    reached = Place(place.port, host=access.reached)
    with (
        guarding(access, place.port) as (arguments, environment),
        _running(
            "MLflow",
            ["-m", "mlflow", "server", *arguments],
            environment | {"MLFLOW_BACKEND_STORE_URI": uri},
            reached,
            "health",
        ) as server,
    ):
        yield replace(server, address=f"http://{access.names[0]}:{place.port}")


@contextmanager
def serving_optuna(storage: str, wanted_port: int) -> Iterator[Server]:
    """Serve Optuna's own dashboard of a storage for the length of a block."""
    if find_spec("optuna_dashboard") is None:
        raise SweepError(
            "optuna-dashboard is not installed; `pip install 'sweep[optuna-dashboard]'`, "
            "or leave --optuna out for MLflow's pages"
        )
    place = find_place(wanted_port)
    asked = {"SWEEP_OPTUNA_STORAGE": storage, "SWEEP_OPTUNA_PORT": str(place.port)}
    command = ["-c", OPTUNA_PAGES]
    environment = {**os.environ, **asked}
    with _running("optuna-dashboard", command, environment, place, "api/meta") as server:
        yield server


@contextmanager
def _running(
    name: str, arguments: Sequence[str], environment: Mapping[str, str], place: Place, page: str
) -> Iterator[Server]:
    """Run a Python program until the block ends; it begins when the program's page answers."""
    # A closed terminal must not leave the server behind either.
    before = {number: signal.signal(number, _end) for number in (signal.SIGTERM, signal.SIGHUP)}
    process = subprocess.Popen(  # noqa: S603 - our own interpreter, fixed arguments
        [sys.executable, *arguments],
        env=dict(environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    server = Server(place.address, process, name)
    try:
        with _outlived_by_none(process):
            _await_answer(server, process, page)
            yield server
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


def _await_answer(server: Server, process: subprocess.Popen[bytes], page: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SweepError(
                f"the {server.name} server did not start (exit code {process.returncode}); "
                "starting it by hand in this folder says why"
            )
        try:
            with DIRECT.open(f"{server.address}/{page}", timeout=1):
                return
        except (OSError, HTTPException):
            time.sleep(0.2)
    raise SweepError(
        f"the {server.name} server at {server.address} did not answer within {START_SECONDS} s"
    )


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

"""Addresses of MLflow's pages, and which server on this machine has those of a store."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

from sweep.errors import SweepError

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = "127.0.0.1"
"""Where servers of pages listen: for this machine alone."""
PORTS_TRIED = 100
ANSWER_SECONDS = 3
TRAINING = {"workflowType": "machine_learning"}
"""Part of every link: without it the pages show GenAI."""
DIRECT = build_opener(ProxyHandler({}))
"""A proxy of the environment knows nothing of our 127.0.0.1."""


@dataclass(frozen=True)
class Place:
    """A port of this machine that nobody listens on, or on which a server has what we want."""

    port: int
    served: bool = False

    @property
    def address(self) -> str:
        """Where this machine finds it."""
        return f"http://{HOST}:{self.port}"


def link(address: str, experiment_id: str, view: str | None = None) -> str:
    """Return the page of an experiment's runs, with the view of that key."""
    query = TRAINING
    if view is not None:
        query = query | {"viewStateShareKey": view, "compareRunsMode": "CHART"}
    return f"{address.rstrip('/')}/#/experiments/{experiment_id}/runs?{urlencode(query)}"


def run_link(address: str, experiment_id: str, run_id: str) -> str:
    """Return the page of a run's charts."""
    page = f"experiments/{experiment_id}/runs/{run_id}/model-metrics"
    return f"{address.rstrip('/')}/#/{page}?{urlencode(TRAINING)}"


def find_place(wanted: int, has_it: Callable[[str], bool] = lambda _: False) -> Place:
    """Return the first port from `wanted` on that is free, or whose server `has_it`."""
    for port in range(wanted, min(wanted + PORTS_TRIED, 65536)):
        place = Place(port)
        if _is_free(port):
            return place
        if has_it(place.address):
            return Place(port, served=True)
    raise SweepError(
        f"no free port from {wanted} to {wanted + PORTS_TRIED - 1}; name another with --port"
    )


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
    import mlflow

    from sweep.tracking.contact import in_one_line

    names = ("name", "artifact_location", "creation_time")
    page = f"{address}/ajax-api/2.0/mlflow/experiments/get?experiment_id={experiment_id}"
    try:
        with DIRECT.open(page, timeout=ANSWER_SECONDS) as answer:
            experiment = json.load(answer)["experiment"]
            theirs = [str(experiment[name]) for name in names]
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return False  # something else listens there
    with in_one_line(uri):
        ours = mlflow.MlflowClient(tracking_uri=uri).get_experiment(experiment_id)
    return theirs == [str(getattr(ours, name)) for name in names]

"""The connection to one MLflow tracking store, with failures said in one line."""

from __future__ import annotations

import logging
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sweep.errors import SweepError
from sweep.tracking.address import database_path, mask
from sweep.tracking.contact import in_one_line
from sweep.tracking.making import make_tables
from sweep.tracking.relocation import artifact_folder, relocate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlflow import MlflowClient
    from mlflow.entities import Experiment
    from mlflow.entities import Run as MlflowRun

    from sweep.workspace import Workspace

BATCH = 900
"""MLflow takes at most 1,000 metrics in a call."""
EXAMPLE_URI = "sqlite:///mlruns/mlflow.db"
DEFAULTS = {
    # A store that is away is given up within seconds, not after MLflow's minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
NOTE = "mlflow.note.content"
"""The tag that the pages show as a description."""
DRIVERS = {"psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}
"""What pip calls the modules that SQLAlchemy looks for."""


class Tracker:
    """One experiment of one tracking store.

    Parameters
    ----------
    experiment
        The experiment's name; it is created if it is not there.
    workspace
        Has the store, unless it is said to be elsewhere.
    uri
        Address of the store; else `MLFLOW_TRACKING_URI`, else the workspace's SQLite file.

    Raises
    ------
    StoreUnreachableError
        Where the store does not answer.
    SweepError
        Where MLflow refuses the address, or the experiment was deleted.

    """

    def __init__(self, experiment: str, workspace: Workspace, *, uri: str | None = None) -> None:
        self.uri = tracking_uri(uri, workspace)
        self.experiment = experiment
        with in_one_line(self.uri):
            self.client = _client(self.uri)
            self.experiment_id = self._find_or_create_experiment()

    def _find_or_create_experiment(self) -> str:
        found = self.client.get_experiment_by_name(self.experiment)
        if found is None:
            database = database_path(self.uri)
            location = None if database is None else artifact_folder(database).as_uri()
            found = self._create_experiment(location)
        if found.lifecycle_stage == "deleted":
            raise SweepError(
                f"the MLflow experiment {self.experiment!r} was deleted; bring it back with "
                f"`mlflow experiments restore --experiment-id {found.experiment_id}`"
            )
        return str(found.experiment_id)

    def _create_experiment(self, location: str | None) -> Experiment:
        """Create the experiment, or find the one that another process created meanwhile."""
        from mlflow.exceptions import MlflowException

        try:
            self.client.create_experiment(self.experiment, artifact_location=location)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        found = self.client.get_experiment_by_name(self.experiment)
        assert found is not None  # noqa: S101 - by this process, or by the other
        return found

    def describe(self, markdown: str) -> None:
        """Replace the experiment's description."""
        with self.reaching():
            self.client.set_experiment_tag(self.experiment_id, NOTE, markdown)

    def log_metrics(self, run_id: str, values: Mapping[str, float], step: int) -> None:
        """Log numbers of a run."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(name, float(value), now, step) for name, value in values.items()]
        with self.reaching():
            for start in range(0, len(metrics), BATCH):
                batch = metrics[start : start + BATCH]
                self.client.log_batch(run_id, metrics=batch, synchronous=True)

    @contextmanager
    def reaching(self) -> Iterator[None]:
        """Turn a failure of the store into one line."""
        with in_one_line(self.uri):
            yield

    def runs(self, **tags: object) -> list[MlflowRun]:
        """Return the experiment's runs that carry all these tags of ours, the oldest first."""
        query = " and ".join(f"tags.`sweep.{name}` = '{value}'" for name, value in tags.items())
        found: list[MlflowRun] = []
        token = None
        while True:
            with self.reaching():
                page = self.client.search_runs(
                    [self.experiment_id],
                    query,
                    order_by=["attributes.start_time ASC"],
                    page_token=token,
                )
            found += page
            token = page.token
            if not token:
                return found


def tracking_uri(uri: str | None, workspace: Workspace) -> str:
    """Return the address that counts: the one given, the environment's, or the workspace's file."""
    return uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{workspace.mlflow_database}"


def newest_experiment(uri: str, name: str | None = None) -> str:
    """Return the id of the named experiment, or of the newest; nothing is created."""
    database = database_path(uri)
    missing = SweepError(
        f"no runs of {name or 'any experiment'} in {mask(uri, uri)}; begin some with "
        "`sweep run --loss softmax --trials 50`"
    )
    if database is not None and not database.exists():
        raise missing
    with in_one_line(uri):
        found = _client(uri).search_experiments(order_by=["creation_time DESC"])
    ids = [str(e.experiment_id) for e in found if name in (None, e.name)]
    if not ids:
        raise missing
    return ids[0]


def _client(uri: str) -> MlflowClient:
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    _bypass_proxy(uri)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    import mlflow
    from mlflow.exceptions import MlflowException

    logging.getLogger("mlflow").setLevel(logging.ERROR)  # its import sets it to INFO
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # tracebacks, of ours too
    try:
        make_tables(uri)  # before a client, which would make them in their place
        database = database_path(uri)
        if database is not None and database.exists():
            relocate(database)
        return mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    except MlflowException as error:
        if database_path(uri) is not None:
            raise  # of another schema, or damaged: the address is right
        raise SweepError(
            f"not a tracking address that MLflow takes: {mask(uri, uri)!r}; "
            f"write e.g. {EXAMPLE_URI} or http://127.0.0.1:5000 with --tracking-uri"
        ) from error
    except ModuleNotFoundError as error:
        package = DRIVERS.get(error.name or "", error.name)
        raise SweepError(
            f"{mask(uri, uri)}: its driver {error.name!r} is not installed; `pip install {package}`"
        ) from error


def _bypass_proxy(uri: str) -> None:
    """Let a server of this machine be reached without the environment's proxy."""
    host = urlsplit(uri).hostname
    direct = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if host in ("localhost", "127.0.0.1", "::1") and host not in direct.split(","):
        os.environ["no_proxy"] = os.environ["NO_PROXY"] = f"{direct},{host}".removeprefix(",")

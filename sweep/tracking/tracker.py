"""The connection to one MLflow tracking store, with failures said in one line."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from sweep.errors import SweepError
from sweep.timings import Timings
from sweep.tracking.address import database_path, mask
from sweep.tracking.contact import first_contact, in_one_line
from sweep.tracking.delivery import Delivery
from sweep.tracking.making import make_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mlflow import MlflowClient
    from mlflow.entities import Experiment
    from mlflow.entities import Run as MlflowRun

    from sweep.tracking.news import News

    Record = Callable[[int], None]
    Post = Callable[[Sequence[News], Record], None]

DEFAULT_URI = "sqlite:///mlruns/mlflow.db"
DEFAULTS = {
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
    uri
        Address of the store; else `MLFLOW_TRACKING_URI`, else a SQLite file under `mlruns/`.
    timings
        Where the time spent in the store is added up, as `tracking`.

    Raises
    ------
    StoreUnreachableError
        Where the store does not answer.
    SweepError
        Where MLflow refuses the address, or the experiment was deleted.

    """

    def __init__(
        self, experiment: str, *, uri: str | None = None, timings: Timings | None = None
    ) -> None:
        self.uri = tracking_uri(uri)
        self.experiment = experiment
        self.timings = timings if timings is not None else Timings()
        with first_contact(self.uri):
            self.client = _client(self.uri)
            self.experiment_id = self._find_or_create_experiment()
        self._delivery = Delivery(self.client, self.experiment_id)
        self._post: Post | None = None

    def _find_or_create_experiment(self) -> str:
        found = self.client.get_experiment_by_name(self.experiment)
        if found is None:
            database = database_path(self.uri)
            beside = None if database is None else database.parent.resolve() / "artifacts"
            location = None if beside is None else beside.as_uri()
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

    def files_in(self) -> Path | None:
        """Return the folder of the runs' files; None where a server or a cloud has them."""
        with self.reaching():
            place = urlsplit(self.client.get_experiment(self.experiment_id).artifact_location)
        return Path(url2pathname(place.path)) if place.scheme in ("", "file") else None

    def send(self, letter: Sequence[News], record: Record = lambda _: None) -> None:
        """Send news of some runs: at once, or by the courier that there is, see `Courier.post`."""
        if self._post is not None:
            self._post(letter, record)
            return
        record(0)
        with self.timings.part("tracking"):
            self.deliver(letter)

    def send_by(self, post: Post | None) -> None:
        """Hand news to `post` from now on; with None, to the store itself."""
        self._post = post

    def deliver(self, letter: Sequence[News], *, again: bool = False) -> None:
        """Hand news to the store; `again` where some of it may have arrived before."""
        with in_one_line(self.uri):
            self._delivery.deliver(letter, again=again)

    def describe(self, markdown: str) -> None:
        """Replace the experiment's description."""
        with self.reaching():
            self.client.set_experiment_tag(self.experiment_id, NOTE, markdown)

    def run_id(self, key: str) -> str | None:
        """Return MLflow's id of the run that news name so; None until it is created."""
        return self._delivery.run_id(key)

    @contextmanager
    def reaching(self) -> Iterator[None]:
        """Time a block that talks to the store, and turn its failure into one line."""
        with self.timings.part("tracking"), in_one_line(self.uri):
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


def tracking_uri(uri: str | None) -> str:
    """Return the address that counts: the one given, the environment's, or the default."""
    return uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI


def newest_experiment(uri: str, name: str | None = None) -> str:
    """Return the id of the named experiment, or of the newest; nothing is created."""
    database = database_path(uri)
    missing = SweepError(
        f"no runs of {name or 'any experiment'} in {mask(uri, uri)}; begin some with "
        "`sweep run --loss softmax --trials 50`"
    )
    if database is not None and not database.exists():
        raise missing
    with first_contact(uri):
        found = _client(uri).search_experiments(order_by=["creation_time DESC"])
    ids = [str(e.experiment_id) for e in found if name in (None, e.name)]
    if not ids:
        raise missing
    return ids[0]


def _client(uri: str) -> MlflowClient:
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    import mlflow
    from mlflow.exceptions import MlflowException

    logging.getLogger("mlflow").setLevel(logging.ERROR)  # its import sets it to INFO
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # tracebacks, of ours too
    if uri == DEFAULT_URI:
        Path("mlruns").mkdir(exist_ok=True)
    try:
        make_tables(uri)  # before a client, which would make them in their place
        mlflow.set_tracking_uri(uri)  # the model flavours know no client, only this
        return mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    except MlflowException as error:
        if database_path(uri) is not None:
            raise  # of another schema, or damaged: the address is right
        raise SweepError(
            f"not a tracking address that MLflow takes: {mask(uri, uri)!r}; "
            f"write e.g. {DEFAULT_URI} or http://127.0.0.1:5000 with --tracking-uri"
        ) from error
    except ModuleNotFoundError as error:
        package = DRIVERS.get(error.name or "", error.name)
        raise SweepError(
            f"{mask(uri, uri)}: its driver {error.name!r} is not installed; `pip install {package}`"
        ) from error

"""The connection to one MLflow tracking store, with failures said in one line."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sweep.databases import make_whole
from sweep.errors import StoreUnreachableError, SweepError
from sweep.timings import Timings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

DEFAULT_URI = "sqlite:///mlruns/mlflow.db"
DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
DRIVERS = {"psycopg": "'psycopg[binary]'", "MySQLdb": "mysqlclient"}
"""What pip calls the modules that SQLAlchemy looks for."""
FIRST_CONTACT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}


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
            _make_database(self.uri)
            self.experiment_id = self._find_or_create_experiment()

    def _find_or_create_experiment(self) -> str:
        found = self.client.get_experiment_by_name(self.experiment)
        if found is None:
            database = _sqlite_path(self.uri)
            beside = None if database is None else database.parent.resolve() / "artifacts"
            location = None if beside is None else beside.as_uri()
            return self.client.create_experiment(self.experiment, artifact_location=location)
        if found.lifecycle_stage == "deleted":
            raise SweepError(
                f"the MLflow experiment {self.experiment!r} was deleted; bring it back with "
                f"`mlflow experiments restore --experiment-id {found.experiment_id}`"
            )
        return str(found.experiment_id)

    @contextmanager
    def reaching(self) -> Iterator[None]:
        """Time a block that talks to the store, and turn its failure into one line."""
        with self.timings.part("tracking"), _in_one_line(self.uri):
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


def _make_database(uri: str) -> None:
    """Make the SQLite file of an address as a whole; MLflow's migrations take seconds."""
    database = _sqlite_path(uri)
    if database is not None and database.parent.is_dir():
        make_whole(database, _migrate)


def _migrate(path: Path) -> None:
    from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore(f"sqlite:///{path}", DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH)  # type: ignore[no-untyped-call]  # MLflow has no types here
    store.engine.dispose()


def tracking_uri(uri: str | None) -> str:
    """Return the address that counts: the one given, the environment's, or the default."""
    return uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI


def newest_experiment(uri: str, name: str | None = None) -> str:
    """Return the id of the named experiment, or of the newest; nothing is created."""
    database = _sqlite_path(uri)
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


def _sqlite_path(uri: str) -> Path | None:
    return Path(urlsplit(uri).path.removeprefix("/")) if uri.startswith("sqlite:") else None


def mask(text: str, uri: str) -> str:
    """Return `text` without the user name and password that `uri` carries."""
    login = _login(uri)
    return text.replace(login, "***@") if login else text


def without_login(uri: str) -> str:
    """Return the address alone, fit to be shown and opened."""
    return uri.replace(_login(uri), "", 1)


def _login(uri: str) -> str:
    """Return `user:password@`; empty where the address has none."""
    login, at, _ = urlsplit(uri).netloc.rpartition("@")
    return login + at


def _client(uri: str) -> MlflowClient:
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    import mlflow
    from mlflow.exceptions import MlflowException

    logging.getLogger("mlflow").setLevel(logging.ERROR)  # its import sets it to INFO
    if uri == DEFAULT_URI:
        Path("mlruns").mkdir(exist_ok=True)
    try:
        mlflow.set_tracking_uri(uri)  # the model flavours know no client, only this
        return mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    except MlflowException as error:
        raise SweepError(
            f"not a tracking address that MLflow takes: {mask(uri, uri)!r}; "
            f"write e.g. {DEFAULT_URI} or http://127.0.0.1:5000 with --tracking-uri"
        ) from error
    except ModuleNotFoundError as error:
        package = DRIVERS.get(error.name or "", error.name)
        raise SweepError(
            f"{mask(uri, uri)}: its driver {error.name!r} is not installed; `pip install {package}`"
        ) from error


@contextmanager
def first_contact(uri: str) -> Iterator[None]:
    """Give up on a store that does not answer within seconds, not after MLflow's minutes."""
    with _environment(FIRST_CONTACT), _in_one_line(uri):
        yield


@contextmanager
def _in_one_line(uri: str) -> Iterator[None]:
    """Turn a failing store into one line that says which and why, without its password."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise StoreUnreachableError(
            f"MLflow at {mask(uri, uri)} does not do as asked: {mask(_reason(error), uri)}; "
            "check that it is up and has space, then run the same command again"
        ) from error


def _reason(error: BaseException) -> str:
    """Return what the system said where an `OSError` lies beneath, else the first line."""
    beneath: BaseException | None = error
    while beneath is not None:
        if isinstance(beneath, OSError) and beneath.strerror:
            return beneath.strerror
        beneath = beneath.__cause__ or beneath.__context__
    return (str(error) or type(error).__name__).splitlines()[0]


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables that the user has not set, for the length of a block."""
    fresh = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(fresh)
    try:
        yield
    finally:
        for name in fresh:
            del os.environ[name]

"""The connection to one MLflow tracking store, with failures said in one line."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, Final, ParamSpec, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from sweep.environment import environment, git_state
from sweep.errors import StoreUnreachableError, SweepError
from sweep.io import check_tables, make_whole, may_write, sqlite_address, with_room
from sweep.tracking.undocumented import (
    artifact_folder,
    create_tables,
    knows_schema,
    load_mlflow,
    own_settings,
    relocate,
    without_stray_folder,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mlflow import MlflowClient
    from mlflow.entities import Experiment
    from mlflow.entities import Run as MlflowRun

    from sweep.config import DataConfig
    from sweep.data import Prepared
    from sweep.workspace import Workspace

P = ParamSpec("P")
T = TypeVar("T")

EXAMPLE_URI: Final = "sqlite:///mlruns/mlflow.db"
SERVERS: Final = ("http", "https")
KINDS: Final = (*SERVERS, "sqlite", "postgresql", "mysql", "mssql")
"""What an address may begin with. On Databricks experiments are named by folders of its own."""
DRIVERS: Final = {"psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}
"""What pip calls the modules that SQLAlchemy looks for."""
NOTE: Final = "mlflow.note.content"
"""The tag that the pages show as a description."""
DATA: Final = "sweep.data"
"""The tag by which an experiment is found that was renamed in the pages."""
MOST_METRICS: Final = 1_000
"""MLflow takes no more in a call."""
DIGEST_CHARACTERS: Final = 36
"""MLflow's limit for the digest of an input; the whole one stands in the tags."""
SECRETS: Final = (
    (re.compile(r"(?<=:)//\S*@"), "//***@"),  # user name and password in an address
    (re.compile(r"(?i)\b(password|passwd|pwd|secret|token)=[^&\s'\"]+"), r"\1=***"),
    (re.compile(r"\b(Basic|Bearer) [\w+/=.~-]{8,}"), r"\1 ***"),
)
"""What a message or traceback may repeat of addresses and of what the stores said."""


class Tracker:
    """One experiment of one tracking store.

    Parameters
    ----------
    experiment
        The experiment's name; it is created if it is not there, and found if it was renamed.
    workspace
        Has the store, unless it is said to be elsewhere.
    uri
        Address of the store; else `MLFLOW_TRACKING_URI`, else the workspace's SQLite file.
    restore
        Whether an experiment that was deleted is brought back.

    Attributes
    ----------
    restored
        Whether it was.

    Raises
    ------
    StoreUnreachableError
        Where the store does not answer.
    SweepError
        Where MLflow refuses the address, or the experiment was deleted.

    """

    def __init__(
        self,
        experiment: str,
        workspace: Workspace,
        *,
        uri: str | None = None,
        restore: bool = False,
    ) -> None:
        self.uri = tracking_uri(uri, workspace)
        self.client = open_client(self.uri)
        with self.reaching():
            existing = _find_experiment(self.client, experiment)
            if existing is None:
                existing = self._create_experiment(experiment)
            self.restored = existing.lifecycle_stage == "deleted"
            if self.restored:
                if not restore:
                    raise _deleted(existing, self.uri, workspace)
                self.client.restore_experiment(existing.experiment_id)
        self.experiment, self.experiment_id = str(existing.name), str(existing.experiment_id)
        self._data = experiment

    def _create_experiment(self, name: str) -> Experiment:
        """Create the experiment, or find the one that another process created meanwhile."""
        from mlflow.exceptions import MlflowException

        database = database_path(self.uri)
        location = None if database is None else artifact_folder(database).as_uri()
        try:
            self.client.create_experiment(name, artifact_location=location, tags={DATA: name})
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        existing = self.client.get_experiment_by_name(name)
        assert existing is not None  # noqa: S101 - by this process, or by the other
        return existing

    def describe(self, markdown: str) -> None:
        """Give the experiment its description and the tag that finds it, where it has none."""
        with self.reaching():
            existing = self.client.get_experiment(self.experiment_id).tags
            for tag, value in ((NOTE, markdown), (DATA, self._data)):
                if tag not in existing:
                    self.client.set_experiment_tag(self.experiment_id, tag, value)

    def log_metrics(self, run_id: str, values: Mapping[str, float], step: int) -> None:
        """Log numbers of a run."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(name, float(value), now, step) for name, value in values.items()]
        with self.reaching():
            for start in range(0, len(metrics), MOST_METRICS):
                batch = metrics[start : start + MOST_METRICS]
                self.client.log_batch(run_id, metrics=batch, synchronous=True)

    @contextmanager
    def reaching(self) -> Iterator[None]:
        """Turn a failure of the store into one line."""
        with in_one_line(self.uri):
            yield

    def call(
        self, function: Callable[Concatenate[Tracker, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Return what a function says of this tracker, as a mirror elsewhere does."""
        return function(self, *args, **kwargs)

    def runs(self, **tags: object) -> list[MlflowRun]:
        """Return the experiment's runs that carry all these tags of ours, the oldest first."""
        query = " and ".join(f"tags.`sweep.{name}` = '{value}'" for name, value in tags.items())
        runs: list[MlflowRun] = []
        token = None
        while True:
            with self.reaching():
                page = self.client.search_runs(
                    [self.experiment_id],
                    query,
                    order_by=["attributes.start_time ASC"],
                    page_token=token,
                )
            runs += page
            token = page.token
            if not token:
                return runs


class NoExperimentError(SweepError):
    """There is no experiment of that name, or none at all."""


def tracking_uri(uri: str | None, workspace: Workspace) -> str:
    """Return the address that counts: the one given, the environment's, or the workspace's file."""
    own = sqlite_address(workspace.mlflow_database)
    return uri or os.environ.get("MLFLOW_TRACKING_URI") or own


def newest_experiment(uri: str, name: str | None = None) -> str:
    """Return the id of the named experiment, or of the newest; nothing is created."""
    database = database_path(uri)
    missing = NoExperimentError(
        f"no runs of {name or 'any experiment'} in {mask(uri, uri)}; begin some with "
        "`sweep run --loss softmax --trials 50`"
    )
    if database is not None and not database.exists():
        raise missing
    client = open_client(uri)
    with in_one_line(uri):
        if name is None:
            newest = client.search_experiments(order_by=["creation_time DESC"], max_results=1)
            existing = next(iter(newest), None)
        else:
            existing = _find_experiment(client, name)
    if existing is None:
        raise missing
    if existing.lifecycle_stage == "deleted":
        raise _deleted(existing, uri)
    return str(existing.experiment_id)


def _find_experiment(client: MlflowClient, name: str) -> Experiment | None:
    """Return the experiment of that name, or the one that had it: it may be deleted."""
    from mlflow.entities import ViewType

    existing = client.get_experiment_by_name(name)
    if existing is not None:
        return existing
    renamed = client.search_experiments(ViewType.ALL, filter_string=f"tags.`{DATA}` = '{name}'")
    return next(iter(renamed), None)


def _deleted(experiment: Experiment, uri: str, workspace: Workspace | None = None) -> SweepError:
    usual = workspace is None or uri == tracking_uri(None, workspace)
    where = "" if usual else f" --tracking-uri {mask(uri, uri)}"
    return SweepError(
        f"the MLflow experiment {experiment.name!r} was deleted; "
        f"`sweep doctor --repair{where}` brings it back"
    )


def open_client(uri: str) -> MlflowClient:
    """Connect to a store; a SQLite file is made where it is missing: its migrations take seconds.

    Where its folder was moved, the paths in it are corrected.
    """
    check_address(uri)
    load_mlflow()
    from mlflow import MlflowClient

    database = database_path(uri)
    with in_one_line(uri):
        if database is not None:
            database.parent.mkdir(parents=True, exist_ok=True)
            make_whole(database, lambda path: create_tables(path, artifact_folder(database)))
            relocate(database)
        try:
            address = without_stray_folder(uri) if database is not None else uri
            return MlflowClient(tracking_uri=address, registry_uri=address)
        except ModuleNotFoundError as error:
            package = DRIVERS.get(error.name or "", error.name)
            raise SweepError(
                f"{mask(uri, uri)}: its driver {error.name!r} is not installed; "
                f"`pip install {package}`"
            ) from error


def check_address(uri: str) -> None:
    """Refuse an address that cannot be right; what only its server knows is left to the server.

    Raises
    ------
    SweepError
        It is none that is taken, or its file cannot be a database.
    StoreUnreachableError
        Its file is damaged.

    """
    refused = SweepError(
        f"not a tracking address that sweep takes: {mask(uri, uri)!r}; "
        f"write e.g. {EXAMPLE_URI} or http://127.0.0.1:5000 with --tracking-uri"
    )
    try:
        parts = urlsplit(uri)
        named = parts.hostname and parts.port != 0 and uri.isprintable() and " " not in uri
    except ValueError:  # a port or a bracket that is none
        raise refused from None  # the cause would repeat the address, login and all
    kind = parts.scheme.partition("+")[0]
    if kind not in KINDS or (kind in SERVERS and not named):
        raise refused
    if kind == "sqlite":
        _check_file(uri)


def _check_file(uri: str) -> None:
    path = database_path(uri)
    if path is None:
        raise SweepError(
            f"{uri}: names no file, so all of it would be lost; write e.g. {EXAMPLE_URI} "
            "with --tracking-uri"
        )
    try:
        if path.is_dir():
            raise SweepError(
                f"{path}: is a folder; name a file with --tracking-uri, e.g. {uri}/a.db"
            )
        if path.exists():
            check_tables(path, "experiments")
        else:
            _check_makeable(path)
    except OSError as error:
        raise SweepError(
            f"{path}: cannot be used: {error.strerror}; name another file with --tracking-uri"
        ) from error
    except sqlite3.OperationalError:
        return  # sealed or busy: MLflow will say so
    except sqlite3.DatabaseError as error:
        raise StoreUnreachableError(
            f"{path}: the store of MLflow's runs is damaged: {error}; put back a copy of it, or "
            "move it away: the next `sweep run` fills a new one from the studies' own record"
        ) from error


def _check_makeable(path: Path) -> None:
    """Refuse a place where MLflow would try for minutes to make its file."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir() or not may_write(folder):
        raise SweepError(
            f"{path}: cannot be made: nothing can be written to {folder}; name another file with "
            "--tracking-uri"
        )


# What is said of a store that fails

CAUSES: Final = (
    (r"(?:error code|too many) (5\d\d) ", r"HTTP \1", "the server's log says why"),
    (
        r"error code (401|403) ",
        r"HTTP \1, it wants a login",
        "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
    ),
    (r"error code (\d+) ", r"HTTP \1, no MLflow server", "check the address"),
    (r"not in a valid JSON format", "no MLflow server answers there", "check the address"),
    (r"timed out", "it does not answer in time", "check that it is up"),
    (r"refused|resol|not known|nreachable|reset|aborted", "", "check that it is up"),
    (r"database is locked", "", "close the program that holds it"),
    (r"full|No space|quota", "", "make room there"),
    (
        r"readonly|Read-only|denied",
        "",
        "work in a folder you may write to, e.g. a copy of this one",
    ),
)
"""What is found in an error, what is said of it (else its own words), and what helps."""


@contextmanager
def in_one_line(uri: str) -> Iterator[None]:
    """Turn a failing store into one line that says which and why, without its password."""
    load_mlflow()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with own_settings:
            yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as error:
        kind = SweepError if LASTING.search(str(error)) else StoreUnreachableError
        raise kind(mask(_failure(error, uri), uri)) from error


SCHEMA: Final = re.compile(r"out-of-date database schema \(found version (\w+)")
LASTING: Final = re.compile(rf"{SCHEMA.pattern}|readonly")
"""What is no store that is away: trying later is of no use."""


def _failure(error: BaseException, uri: str) -> str:
    """Return what is said of a failure: its cause as far as it is known, and only what helps."""
    if (schema := SCHEMA.search(str(error))) is not None:
        return _other_schema(schema[1], uri)
    reason = _reason(error, uri)
    helps = ""
    for pattern, words, advice in CAUSES:
        if (match := re.search(pattern, reason)) is not None:
            reason, helps = match.expand(words) or reason, f"; {advice}"
            break
    proxy, host = _proxy(uri)
    if proxy is not None:
        reason = f"{reason} (through the proxy {proxy})"
        helps = f"; `NO_PROXY={host}` in the environment asks it directly"
    return f"MLflow request to {uri} failed: {reason}{helps}"


def _other_schema(revision: str, uri: str) -> str:
    from mlflow import __version__ as version

    if revision == "None" or knows_schema(revision):
        return (
            f"{uri}: its tables are those of an earlier MLflow than {version}; keep a copy of it, "
            f"then bring it up to date: mlflow db upgrade {uri}"
        )
    return (
        f"{uri}: its tables are those of a later MLflow than {version}; install that: "
        "pip install --upgrade mlflow"
    )


def _reason(error: BaseException, uri: str) -> str:
    """Return what the system or the database said where that lies beneath, else the first line."""
    from sqlalchemy.exc import DBAPIError

    path = database_path(uri)
    beneath: BaseException | None = error
    while beneath is not None:
        if isinstance(beneath, OSError) and beneath.strerror:
            where = beneath.filename2 or beneath.filename or path
            return beneath.strerror if where is None else with_room(beneath.strerror, Path(where))
        if isinstance(beneath, DBAPIError) and beneath.orig is not None:
            beneath = beneath.orig
        if isinstance(beneath, sqlite3.Error):
            text = str(beneath).splitlines()[0]
            return text if path is None else with_room(text, path)
        if isinstance(beneath, TimeoutError) or type(beneath).__name__ == "ResponseError":
            return str(beneath)
        beneath = beneath.__cause__ or beneath.__context__
    return (str(error) or type(error).__name__).splitlines()[0]


def _proxy(uri: str) -> tuple[str | None, str]:
    """Return the proxy through which the environment has a server asked, and the server's name."""
    parts = urlsplit(uri)
    host = parts.hostname or ""
    if parts.scheme not in SERVERS or proxy_bypass(host):
        return None, host
    return getproxies().get(parts.scheme), host


# What of an address may be shown


def database_path(uri: str) -> Path | None:
    """Return the file that an address names; None of one that is not SQLite's, or names none."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        name = make_url(uri).database if uri.startswith("sqlite:") else None
    except (ArgumentError, ValueError):
        return None
    return Path(name) if name and name != ":memory:" else None


def mask(text: str, uri: str) -> str:
    """Return `text` without what is secret of `uri`, and of any other address in it."""
    login = _login(uri)
    # Of a password with an @ or / in it a driver takes the end for the name of the host.
    for start in range(len(login) - 1):
        if start == 0 or login[start - 1] in ":@/?#":
            text = text.replace(login[start:], "***@")
    return without_secrets(text)


def without_secrets(text: str) -> str:
    """Return `text` without passwords and tokens, as far as they can be told from the rest."""
    for secret, shown in SECRETS:
        text = secret.sub(shown, text)
    return text


def without_login(uri: str) -> str:
    """Return the address alone, fit to be shown and opened."""
    return uri.replace(_login(uri), "", 1)


def _login(uri: str) -> str:
    """Return `user:password@`; empty where the address has none."""
    if uri.startswith("sqlite:"):
        return ""
    after = uri.partition("//")[2]
    if uri.startswith("http"):
        after = after.partition("/")[0]  # in a database's password may stand what ends a host here
    login, at, _ = after.rpartition("@")
    return login + at


# What a run's numbers rest on


def provenance(
    config: DataConfig, trained_with: Mapping[str, str] | None = None
) -> dict[str, object]:
    """Return tags that say on which rows, and with which versions, something was trained."""
    versions = environment() if trained_with is None else trained_with
    return {
        "data": config.name,
        "data_digest": config.data_digest,
        "split_digest": config.split_digest,
        **{f"environment.{name}": value for name, value in versions.items()},
        **{f"git.{name}": value for name, value in git_state().items()},
    }


def inputs(config: DataConfig, data: Prepared) -> list[dict[str, str]]:
    """Return both sets of rows as MLflow's datasets."""
    source = json.dumps({"source": config.source, "data_digest": config.data_digest})
    return [
        {
            "name": f"{config.name}-{context}",
            "digest": config.split_digest[:DIGEST_CHARACTERS],
            "source": source,
            "profile": json.dumps({"rows": len(part.labels), "features": part.rows.shape[1]}),
            "context": context,
        }
        for context, part in (("training", data.training), ("validation", data.validation))
    ]

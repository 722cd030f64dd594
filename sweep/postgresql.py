"""PostgreSQL databases: their addresses read, compared and named, and connections to them."""

from __future__ import annotations

import os
import re
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sweep.errors import StoreUnreachableError, SweepError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL, Connection

EXAMPLE = "postgresql+psycopg://host/database"
NAMES = ("postgresql", "postgresql+psycopg")
PORT, PORTS = 5432, range(1, 65_536)
SESSION = {
    "timezone": "utc",  # heartbeats are compared with the database's clock, in one zone
    # A machine that is gone must not hold its locks for hours; a stopped one neither.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "idle_in_transaction_session_timeout": "120s",
}
CONNECTION = {
    "connect_timeout": 10,  # seconds
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds without an answer to what was sent
}
WRONG = re.compile(
    r"password|authentication failed|does not exist|pg_hba\.conf|permission denied|"
    r"invalid .*(option|value)|bad value|no schema has been selected"
)
"""What a server says of an address that another attempt would not put right."""


def is_postgresql(address: str | None) -> bool:
    """Whether an address is one of PostgreSQL's, by any driver."""
    return address is not None and re.match(r"postgres(ql)?(\+\w+)?:", address) is not None


def read_address(address: str) -> URL:
    """Take the address of a study store apart; refuse one that cannot be right.

    Raises
    ------
    SweepError
        It is none of PostgreSQL's, or names no database. The message repeats no password.

    """
    kind = re.match(r"[\w+]*(?=:)", address)
    scheme = kind.group() if kind else ""
    if scheme.startswith("sqlite"):
        raise SweepError(
            "--storage: a SQLite file serves one machine; leave --storage out to use that of the "
            f"working folder, or write e.g. {EXAMPLE}"
        )
    if scheme not in NAMES:
        what = f"{scheme}://..." if scheme else "no address"
        raise SweepError(
            f"--storage: {what} is no study store; those are PostgreSQL databases, e.g. {EXAMPLE}"
        )
    url = parse_address(address)
    if url is None:
        raise SweepError(
            f"--storage: not an address that can be read; write e.g. {EXAMPLE}, with % and two "
            "digits for what is special in it"
        )
    if not url.database:
        raise SweepError(f"--storage: {place(url)} names no database; write e.g. {EXAMPLE}")
    return url.set(drivername="postgresql+psycopg")


def parse_address(address: str) -> URL | None:
    """Return the parts of an address, where it has them and none holds what belongs to another."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    if not address.isprintable():
        return None
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):  # which repeat the address, login and all
        return None
    port = PORT if url.port is None else url.port
    return url if port in PORTS and "@" not in _shown(url) else None


def place(url: URL) -> str:
    """Return what may be shown of an address: where the database lies, and no login."""
    return f"postgresql://{_shown(url)}"


def _shown(url: URL) -> str:
    given = url.query.get("host", "")
    host = url.host or (given if isinstance(given, str) else ",".join(given))
    port = f":{url.port}" if url.port else ""
    return f"{f'[{host}]' if ':' in host else host}{port}/{url.database or ''}"


def connection_arguments(url: URL) -> dict[str, Any]:
    """Return what a connection is opened with, beside what the address says; that counts more."""
    called = f"sweep process {os.getpid()} on {socket.gethostname()}"[:63]
    own: dict[str, Any] = {**CONNECTION, "application_name": called}
    settings = " ".join(f"-c {name}={value}" for name, value in SESSION.items())
    left_open = {name: value for name, value in own.items() if name not in url.query}
    return left_open | {"options": f"{settings} {_options(url)}".rstrip()}


def _options(url: URL) -> str:
    given = url.query.get("options", os.environ.get("PGOPTIONS", ""))
    return given if isinstance(given, str) else " ".join(given)


def check_driver(url: URL) -> None:
    """Refuse to go on without the package that speaks to PostgreSQL."""
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise SweepError(
            f"{place(url)}: its driver is not installed; `pip install 'sweep[postgresql]'`"
        ) from error


def check_apart(storage: str, tracking: str) -> None:
    """Refuse one schema of one database for Optuna and MLflow: both own `alembic_version`.

    Raises
    ------
    SweepError
        The addresses name the same.

    """
    other = parse_address(tracking) if is_postgresql(tracking) else None
    if other is None:  # another kind, or MLflow says what is wrong with it
        return
    url = read_address(storage)
    if _whereabouts(url) == _whereabouts(other):
        raise SweepError(
            f"--storage and --tracking-uri are both {place(url)}, and one schema cannot hold both "
            "stores; name two databases, or two schemas with ?options=-csearch_path%3DNAME"
        )


def _whereabouts(url: URL) -> tuple[object, ...]:
    def said(name: str, otherwise: object) -> str:
        return str(url.query.get(name) or otherwise or "")

    host = said("host", url.host or os.environ.get("PGHOST")).lower()
    port = said("port", url.port or os.environ.get("PGPORT") or PORT)
    found = re.findall(r"(?:-c\s*|--)search_path\s*=\s*(\S+)", _options(url))
    schema = found[-1].split(",")[0] if found else "public"
    local = host in ("", "localhost", "127.0.0.1", "::1") or host.startswith("/")
    return "localhost" if local else host, port, said("dbname", url.database), schema


def explained(error: BaseException, url: URL) -> SweepError:
    """Return what a database said as one line that names it, and what to do."""
    said = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
    detail = said.splitlines()[0].removeprefix("connection failed: ")
    for secret in (url.password, url.query.get("password")):
        if secret:
            detail = detail.replace(str(secret), "***")
    if WRONG.search(detail):
        return SweepError(
            f"{place(url)}: the study store refuses: {detail}; put --storage right (a password may "
            "stand in PGPASSWORD or ~/.pgpass), or ask who keeps the database"
        )
    return StoreUnreachableError(
        f"{place(url)}: the study store does not answer: {detail}; check that it is up and can be "
        "reached from here, then run the same command again"
    )


@contextmanager
def connected(url: URL) -> Iterator[Connection]:
    """Yield a connection of its own, outside of any transaction; it ends with the block."""
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    arguments = connection_arguments(url) if url.get_driver_name().startswith("psycopg") else {}
    engine = create_engine(
        url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=arguments
    )
    with engine.connect() as connection:
        yield connection


def table_names(url: URL) -> list[str]:
    """Return the names of the tables of the schema that an address names."""
    from sqlalchemy import inspect

    with connected(url) as connection:
        return inspect(connection).get_table_names()


def check_unmixed(url: URL, expected: str) -> bool:
    """Refuse a schema where another program keeps its versions; return whether a table is there.

    Raises
    ------
    SweepError
        Its `alembic_version` is not that of the program that owns the expected table.

    """
    tables = table_names(url)
    if "alembic_version" in tables and expected not in tables:
        raise SweepError(
            f"{place(url)}: holds another program's tables ({', '.join(tables):.60}), and two "
            "cannot share a schema; name another database, or another schema with "
            "?options=-csearch_path%3DNAME"
        )
    return expected in tables

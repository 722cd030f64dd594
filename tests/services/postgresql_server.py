"""A PostgreSQL server of the tests' own, which they may stop and start as they like."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "correct horse/battery@staple"  # noqa: S105 - of no account anywhere
ACCOUNT = "postgres"
"""The user as which Debian runs servers; root may not."""
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "fsync": "off",  # a killed server loses nothing by it, only a dead machine
    "shared_buffers": "16MB",
}


def binaries() -> Path | None:
    """Return the folder of the newest server's programs, if there is one."""
    found = [
        Path(name).parent for name in (shutil.which("initdb"), shutil.which("postgres")) if name
    ]
    debian = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = sorted((path.parent for path in debian), key=lambda path: float(path.parent.name))
    return (newest or found or [None])[-1]


class PostgresServer:
    """One cluster in a folder of its own, reached by a password at a port of its own."""

    user, password = "sweeper", PASSWORD

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder, self._programs = folder, programs
        self.port = _free_port()
        self._names = count()
        secret = folder / "password"
        secret.write_text(self.password)
        if os.geteuid() == 0:
            shutil.chown(folder, ACCOUNT, ACCOUNT)
            shutil.chown(secret, ACCOUNT, ACCOUNT)
        self._run(
            "initdb", "--no-sync", "--locale=C", "--encoding=UTF8", "--auth=scram-sha-256",
            f"--username={self.user}", f"--pwfile={secret}", "-D", str(folder / "data"),
        )  # fmt: skip
        secret.unlink()
        with (folder / "data" / "postgresql.conf").open("a") as configuration:
            for name, value in SETTINGS.items():
                configuration.write(f"{name} = '{value}'\n")
            configuration.write(f"port = {self.port}\nunix_socket_directories = '{folder}'\n")

    def address(self, database: str, *, password: str | None = None, options: str = "") -> str:
        """Return the address of a database, as `--storage` takes it."""
        login = f"{self.user}:{quote(password or self.password, safe='')}"
        query = f"?options={quote(options)}" if options else ""
        return f"postgresql+psycopg://{login}@127.0.0.1:{self.port}/{database}{query}"

    def new_database(self) -> str:
        """Make an empty database and return its address."""
        name = f"fresh_{next(self._names)}"
        self.query("postgres", f"CREATE DATABASE {name}")
        return self.address(name)

    def query(self, database: str, statement: str) -> list[tuple[object, ...]]:
        """Run one statement as the owner of everything."""
        import psycopg

        with psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=self.user,
            password=self.password,
            dbname=database,
            autocommit=True,
        ) as connection:
            found = connection.execute(statement)
            return found.fetchall() if found.description else []

    def start(self) -> None:
        """Start it, and return when it answers."""
        self._control("start", "-w", "-l", str(self.folder / "log"))

    def stop(self) -> None:
        """Stop it as a pulled plug would."""
        self._control("stop", "-m", "immediate")

    def restart(self) -> None:
        """Stop it as a pulled plug would, and start it again."""
        self.stop()
        self.start()

    @property
    def is_up(self) -> bool:
        """Whether it runs."""
        return (self.folder / "data" / "postmaster.pid").exists()

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        root = os.geteuid() == 0
        subprocess.run(
            [self._programs / program, *arguments],
            check=True,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # the server would hold a pipe open
            stderr=subprocess.DEVNULL,
            user=ACCOUNT if root else None,
            group=ACCOUNT if root else None,
            extra_groups=[] if root else None,
        )


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[PostgresServer]:
    """Return a server for the length of the session; a test that needs it takes `postgres`."""
    pytest.importorskip("psycopg", reason="psycopg, of the extra `postgresql`, is not installed")
    programs = binaries()
    if programs is None:
        pytest.skip("no PostgreSQL server is installed here")
    # Not within pytest's own folder, which is closed to the account that the server has.
    folder = Path(tempfile.mkdtemp(prefix="sweep-postgresql-"))
    try:
        server = PostgresServer(folder, programs)
        server.start()
        try:
            yield server
        finally:
            if server.is_up:
                server.stop()
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def postgres(postgres_cluster: PostgresServer) -> PostgresServer:
    """Return a PostgreSQL server that is up, whatever the test before did to it."""
    if not postgres_cluster.is_up:
        postgres_cluster.start()
    return postgres_cluster


@pytest.fixture
def fresh_database(postgres: PostgresServer) -> str:
    """Return the address of an empty database, with a password in it."""
    return postgres.new_database()

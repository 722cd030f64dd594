"""Who may open the pages from elsewhere: asked for, never written on a command line."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

import click

from sweep.errors import SweepError

if TYPE_CHECKING:
    from sweep.tracking.access import Access, Login

NAME: Final = "MLFLOW_AUTH_ADMIN_USERNAME"
PASSWORD: Final = "MLFLOW_AUTH_ADMIN_PASSWORD"  # noqa: S105 - where to look for it
"""MLflow's own variables."""


def settle_access(host: str, names: str | None) -> Access:
    """Return who gets into the pages; where others can, ask for a login.

    Raises
    ------
    click.UsageError
        An address that others reach, and no names by which they do.

    """
    from sweep.tracking.access import HOST, Access

    if names is None:
        if host == HOST:
            return Access()
        raise click.UsageError(
            f"--host {host} lets others in: name this machine as their browsers do, e.g. "
            "--allowed-hosts lab.example.org."
        )
    called = tuple(name.strip() for name in names.split(","))
    login = _login()
    access = Access(host=host, names=called, login=login)
    click.echo(
        f"Whoever logs in as {login.name!r} gets in. Nothing is encrypted: put a proxy with TLS in "
        "front, or stay in a network that you trust.",
        err=True,
    )
    return access


def _login() -> Login:
    from sweep.tracking.access import Login

    name, password = os.environ.get(NAME), os.environ.get(PASSWORD)
    if (name is None or password is None) and not sys.stdin.isatty():
        raise SweepError(
            f"pages that others reach ask for a login, and there is no terminal to ask for one: "
            f"set {NAME} and {PASSWORD}"
        )
    if name is None:
        name = click.prompt("Name to log in with", default="admin", err=True)
    if password is None:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return Login(name=str(name), password=str(password))

"""MLflow's server told whom to let in: by its environment, which only its owner reads."""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sweep.errors import SweepError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sweep.tracking.access import Access, Login

ACCOUNTS: Final = """[mlflow]
default_permission = NO_PERMISSIONS
database_uri = sqlite:///{folder}/accounts.db
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
"""
OPENS: Final = ("MLFLOW_SERVER_", "MLFLOW_AUTH_", "MLFLOW_BASIC_AUTH_", "_MLFLOW_")
"""Beginnings of the variables that decide who gets in, or that lead the server astray."""
MISLEADS: Final = (
    "MLFLOW_ARTIFACTS_ONLY",
    "MLFLOW_ENABLE_WORKSPACES",
    "MLFLOW_EXPOSE_PROMETHEUS",
    "MLFLOW_GUNICORN_OPTS",
    "MLFLOW_STATIC_PREFIX",
    "MLFLOW_UVICORN_OPTS",
)

CLOSED: Final = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_ENABLE_REMOTE_ASSISTANT": "false",
    # Whoever reaches a port of this machine could let the assistant run commands as its owner.
    "MLFLOW_ENABLE_ASSISTANT_SANDBOX": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""What the pages of runs do not need, and what was or may be a way in."""


@contextmanager
def guarding(access: Access, port: int) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Yield the arguments and the whole environment of a server that lets in nobody else.

    One worker, because four answer more slowly on SQLite. The environment of this process may hold
    what opens a server: that is left out. An account lives as long as the block, in a folder of its
    own.
    """
    arguments = ["--host", access.host, "--port", str(port), "--workers", "1"]
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith((*OPENS, *MISLEADS))
    }
    # A tunnel or a proxy may have another port. MLflow's own list has "10.*", a fine name.
    called = [pattern for name in access.names for pattern in (name, f"{name}:*")]
    environment = inherited | CLOSED | {"MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(called)}
    if access.login is None:
        yield arguments, environment
        return
    if find_spec("flask_wtf") is None:
        raise SweepError("MLflow's login needs Flask-WTF; `pip install 'sweep[auth]'`")
    with tempfile.TemporaryDirectory() as folder:
        account = _account(access.login, Path(folder))
        origins = {"MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": ",".join(_origins(access, port))}
        yield [*arguments, "--app-name", "basic-auth"], environment | account | origins


def _account(login: Login, folder: Path) -> dict[str, str]:
    """Return what makes MLflow ask for a login; the password stands in no file and no argument."""
    accounts = folder / "accounts.ini"
    accounts.touch(mode=0o600)
    accounts.write_text(ACCOUNTS.format(folder=folder), encoding="utf-8")
    return {
        "MLFLOW_AUTH_CONFIG_PATH": str(accounts),
        "MLFLOW_AUTH_ADMIN_USERNAME": login.name,
        "MLFLOW_AUTH_ADMIN_PASSWORD": login.password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(),
    }


def _origins(access: Access, port: int) -> Iterator[str]:
    """Yield whose pages may send requests: the server's own, also behind a proxy with TLS."""
    for name in access.names:
        for scheme in ("http", "https"):
            yield f"{scheme}://{name}"
            yield f"{scheme}://{name}:{port}"

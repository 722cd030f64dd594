"""Addresses at which no store can be: refused before anything is begun, and nobody is asked."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sweep.databases import check_tables
from sweep.errors import StoreUnreachableError, SweepError
from sweep.tracking.address import database_path, mask
from sweep.tracking.tracker import EXAMPLE_URI

if TYPE_CHECKING:
    from pathlib import Path

SERVERS = ("http", "https")
KINDS = (*SERVERS, "sqlite", "postgresql", "mysql", "mssql", "databricks")


def check_address(uri: str) -> None:
    """Refuse an address that cannot be right; what only its server knows is left to the server.

    Raises
    ------
    SweepError
        It is none that MLflow takes, or its file cannot be a database.
    StoreUnreachableError
        Its file is damaged.

    """
    try:
        parts = urlsplit(uri)
        named = parts.hostname and parts.port != 0 and uri.isprintable() and " " not in uri
    except ValueError:  # a port or a bracket that is none
        raise _refused(uri) from None  # the cause would repeat the address, login and all
    kind = parts.scheme.partition("+")[0] or uri
    if kind not in KINDS or (kind in SERVERS and not named):
        raise _refused(uri)
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
    place = next(parent for parent in path.absolute().parents if parent.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK, effective_ids=True):
        raise SweepError(
            f"{path}: cannot be made: nothing can be written to {place}; name another file with "
            "--tracking-uri"
        )


def _refused(uri: str) -> SweepError:
    return SweepError(
        f"not a tracking address that MLflow takes: {mask(uri, uri)!r}; "
        f"write e.g. {EXAMPLE_URI} or http://127.0.0.1:5000 with --tracking-uri"
    )

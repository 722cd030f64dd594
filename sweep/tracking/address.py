"""Addresses of stores taken apart: the file they name, and what of them may be shown."""

from __future__ import annotations

from pathlib import Path


def database_path(uri: str) -> Path | None:
    """Return the file that an address names; None of one that is not SQLite's, or names none."""
    name = uri.partition(":///")[2].partition("?")[0]
    return Path(name) if uri.startswith("sqlite:") and name not in ("", ":memory:") else None


def mask(text: str, uri: str) -> str:
    """Return `text` without the user name and password that `uri` carries."""
    login = _login(uri)
    return text.replace(login, "***@") if login else text


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

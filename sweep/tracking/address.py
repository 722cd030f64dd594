"""Addresses of stores taken apart: the file they name, and what of them may be shown."""

from __future__ import annotations

import re
from pathlib import Path

SECRETS = (
    (re.compile(r"(?<=:)//\S*@"), "//***@"),  # user name and password in an address
    (re.compile(r"(?i)\b(password|passwd|pwd|secret|token)=[^&\s'\"]+"), r"\1=***"),
    (re.compile(r"\b(Basic|Bearer) [\w+/=.~-]{8,}"), r"\1 ***"),
)
"""What a message or traceback may repeat of addresses and of what the stores said."""


def database_path(uri: str) -> Path | None:
    """Return the file that an address names; None of one that is not SQLite's, or names none."""
    name = uri.partition(":///")[2].partition("?")[0]
    return Path(name) if uri.startswith("sqlite:") and name not in ("", ":memory:") else None


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

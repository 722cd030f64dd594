"""Who gets into a server of pages: this machine alone, or whoever knows its name and a login."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address
from typing import Final

from sweep.errors import SweepError

HOST: Final = "127.0.0.1"
EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 - such a server is refused without a login
LOCAL_NAMES: Final = (HOST, "localhost")
NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", re.IGNORECASE)
MIN_PASSWORD: Final = 12
"""MLflow's own rule."""
KNOWN_PASSWORD: Final = "password1234"  # noqa: S105 - older versions of MLflow came with it


@dataclass(frozen=True, kw_only=True)
class Login:
    """The one account of a server; its password is shown nowhere."""

    name: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.name or ":" in self.name:
            raise SweepError(
                f"a login has a name, and no colon in it: {self.name!r}; choose another name"
            )
        if self.password == KNOWN_PASSWORD or len(self.password) < MIN_PASSWORD:
            raise SweepError(
                f"a login's password has at least {MIN_PASSWORD} characters and is not the one "
                "that MLflow used to come with; choose another password"
            )


@dataclass(frozen=True, kw_only=True)
class Access:
    """Where a server listens, by which names it is called and who gets in.

    Attributes
    ----------
    host
        The IPv4 address of this machine that it listens on.
    names
        What stands in the address line of a browser, the one to show first. Called by any other
        name the server refuses: a page from elsewhere may let its own name lead here.
    login
        Who gets in; nobody is asked only where nobody else can knock.

    """

    host: str = HOST
    names: tuple[str, ...] = LOCAL_NAMES
    login: Login | None = None

    def __post_init__(self) -> None:
        try:
            IPv4Address(self.host)
        except AddressValueError as error:
            raise SweepError(
                f"a server listens on an IPv4 address of this machine: {self.host!r}; "
                f"write e.g. {HOST}, or {EVERYWHERE} for all of them"
            ) from error
        if not self.names or not all(NAME.fullmatch(name) for name in self.names):
            raise SweepError(
                "allowed hosts are names of this machine, without ports and wildcards: "
                f"{','.join(self.names)!r}; write e.g. lab.example.org"
            )
        if self.login is None and (self.host, self.names) != (HOST, LOCAL_NAMES):
            raise SweepError(f"a server that others reach on {self.host} asks for a login: None")

    @property
    def reached(self) -> str:
        """The address at which this machine finds the server."""
        return HOST if self.host == EVERYWHERE else self.host

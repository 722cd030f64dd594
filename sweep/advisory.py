"""Locks of a PostgreSQL database, which one process on all machines may hold."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from sweep.postgresql import connected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL

KEY = "hashtextextended('sweep ' || coalesce(current_schema(), '') || ' ' || :name, 0)"
HOLDER = f"""
SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND objsubid = 1
AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND (classid::bigint << 32) | objid::bigint = {KEY}
"""  # noqa: S608 - all of it stands here


@contextmanager
def advisory_lock(url: URL, name: str, *, wait: bool = True) -> Iterator[bool]:
    """Hold a lock that one process on all machines may hold; yield whether it could be had.

    It belongs to a connection, so it falls with its process, and with a machine that is gone
    once the server notices (`SESSION`).
    """
    from sqlalchemy import text
    from sqlalchemy.exc import DBAPIError

    function = "pg_advisory_lock" if wait else "pg_try_advisory_lock"
    with connected(url) as connection:
        taken = connection.execute(text(f"SELECT {function}({KEY})"), {"name": name}).scalar()
        held = wait or bool(taken)
        try:
            yield held
        finally:
            if held:
                with suppress(DBAPIError):  # gone with its connection
                    connection.execute(text(f"SELECT pg_advisory_unlock({KEY})"), {"name": name})


def holder_of(url: URL, name: str) -> str | None:
    """Return who holds a lock, as the connections of `sweep` call themselves."""
    from sqlalchemy import text

    with connected(url) as connection:
        found = connection.execute(text(HOLDER), {"name": name}).scalar()
    return None if found is None else str(found).removeprefix("sweep ")

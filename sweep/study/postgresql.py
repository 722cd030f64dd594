"""Optuna's store in a PostgreSQL database: made once, opened by any number of machines."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from sweep.errors import SweepError
from sweep.postgresql import check_driver, check_unmixed, connected, connection_arguments, place

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from sqlalchemy import URL


def open_database(url: URL, *, make: bool) -> RDBStorage:
    """Open a store; make its tables where asked to, and else refuse where there are none.

    Raises
    ------
    SweepError
        It holds no studies, or somebody else's tables.
    RuntimeError
        Its tables are those of another version of Optuna.

    """
    from optuna.storages import RDBStorage

    check_driver(url)
    if not is_made(url) and not make:
        raise SweepError(
            f"no studies at {place(url)}: it has no tables; make them with `sweep init`, or check "
            "the database and schema that --storage names"
        )
    storage = RDBStorage(
        url.render_as_string(hide_password=False),
        engine_kwargs={
            "pool_pre_ping": True,  # a server may have been started anew in between
            "pool_size": 1,
            "max_overflow": 2,  # a worker's loop and its heartbeat, and a look at the schema
            "connect_args": connection_arguments(url),
        },
        skip_table_creation=not make,
        skip_compatibility_check=True,  # not yet: where it fails, the connection would be left open
    )
    weakref.finalize(storage, storage.engine.dispose)  # takes leave of the server, at exit too
    storage._version_manager.check_table_schema_compatibility()  # noqa: SLF001 - see above
    return storage


def is_made(url: URL) -> bool:
    """Whether all of the tables are there; refuse a schema that holds somebody else's."""
    from alembic.runtime.migration import MigrationContext

    if not check_unmixed(url, "studies"):
        return False
    with connected(url) as connection:
        return MigrationContext.configure(connection).get_current_revision() is not None

"""SQLite files: whole, readable, and of the version that the installed packages expect."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from sweep.doctor.finding import fail, ok, unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sweep.doctor.finding import Finding

TIMEOUT_SECONDS = 5.0
"""How long another process may hold a database before it counts as locked."""
JOURNAL, LOG = "-journal", "-wal"


@dataclass(frozen=True, kw_only=True)
class Schema:
    """The tables that an installed package expects in its database.

    Attributes
    ----------
    package
        Optuna or MLflow.
    migrations
        The folder of its revisions.
    upgrade
        The command that brings an older database up to date.

    """

    package: str
    migrations: Path
    upgrade: str

    def check(self, database: Path) -> tuple[str, str] | None:
        """Return what is wrong with a database's revision and what to do; None if nothing is."""
        from alembic.script import ScriptDirectory

        script = ScriptDirectory(str(self.migrations))
        there, head = revision(database), script.get_current_head()
        if there == head:
            return None
        said = f"its tables are of revision {there or 'none'}, {self.package} expects {head}"
        if there in {known.revision for known in script.walk_revisions()}:
            return said, f"copy the file first, then: {self.upgrade}"
        return said, f"install the {self.package} that wrote it, or move the file away"


def optuna_schema(database: Path) -> Schema:
    """Return what Optuna expects of a database."""
    import optuna

    return Schema(
        package=f"Optuna {optuna.__version__}",
        migrations=Path(optuna.__file__).parent / "storages" / "_rdb" / "alembic",
        upgrade=f"optuna storage upgrade --storage sqlite:///{database}",
    )


def mlflow_schema(database: Path) -> Schema:
    """Return what MLflow expects of a database."""
    import mlflow

    return Schema(
        package=f"MLflow {mlflow.__version__}",
        migrations=Path(mlflow.__file__).parent / "store" / "db_migrations",
        upgrade=f"mlflow db upgrade sqlite:///{database}",
    )


def check_database(original: Path, copy: Path, schema: Schema) -> Finding:
    """Copy a database and look at the copy: is it whole, and of the expected revision?"""
    check = str(original)
    backup = f"move it away and put back a copy of it, or recover: sqlite3 {original} .recover"
    try:
        copy_database(original, copy)
        with closing(sqlite3.connect(copy)) as connection:
            said = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
    except sqlite3.OperationalError as error:
        return unreachable(
            check, f"does not answer: {error}", "wait for whoever holds it, or check the disk"
        )
    except sqlite3.DatabaseError as error:
        return fail(check, f"is damaged: {error}", backup)
    except OSError as error:
        return unreachable(
            check, f"cannot be read: {error.strerror}", "check its permissions and the disk"
        )
    if said != ["ok"]:
        return fail(check, f"is damaged: {'; '.join(' '.join(s.split()) for s in said)}", backup)
    trouble = schema.check(copy)
    if trouble is not None:
        return fail(check, *trouble)
    return ok(check, f"whole, {original.stat().st_size / 1e6:.1f} MB, tables of {schema.package}")


def copy_database(original: Path, copy: Path) -> None:
    """Copy a database as it stands now, without changing a byte of it or of its folder."""
    unopened = _is_logged(original) and not _beside(original, LOG).exists()
    how = "immutable=1" if unopened else "mode=ro"
    address = f"{original.resolve().as_uri()}?{how}"
    try:
        with (
            closing(sqlite3.connect(address, uri=True, timeout=TIMEOUT_SECONDS)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()
            source.backup(target)
    except sqlite3.OperationalError:
        journal = _beside(original, JOURNAL)
        if not journal.exists():
            raise
        # Left by a process that died; SQLite undoes in the copy what that had not finished.
        copy.unlink(missing_ok=True)
        shutil.copyfile(original, copy)
        shutil.copyfile(journal, _beside(copy, JOURNAL))


def _is_logged(database: Path) -> bool:
    """Whether it has a write-ahead log; where there is none yet, reading would make an empty one.

    https://www.sqlite.org/fileformat.html, offset 18: the file format's read and write version.
    """
    with database.open("rb") as file:
        return file.read(20)[18:] == b"\2\2"


def _beside(database: Path, ending: str) -> Path:
    return database.with_name(database.name + ending)


def revision(database: Path) -> str | None:
    """Return the revision of a database's tables; None where it tells none."""
    with closing(sqlite3.connect(database)) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError:
            return None
    return None if row is None else str(row[0])


@contextmanager
def room_for_copies() -> Iterator[Path]:
    """Hold a folder for copies, which goes away at the end."""
    with TemporaryDirectory(prefix="sweep-doctor-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)

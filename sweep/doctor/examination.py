"""All checks in their order: the machine, the folder, the databases, the studies."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.doctor.databases import check_database, mlflow_schema, optuna_schema, room_for_copies
from sweep.doctor.finding import Level, fail, ok, unreachable
from sweep.doctor.folder import check_folder
from sweep.doctor.locks import check_locks
from sweep.doctor.machine import check_machine
from sweep.doctor.studies import REPAIR, check_study, read_copy
from sweep.errors import StoreUnreachableError, SweepError
from sweep.study.storage import FOLDER, STORE
from sweep.tracking.address_rules import check_address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from optuna.storages import BaseStorage

    from sweep.doctor.finding import Finding

ADDRESS = "MLFLOW_TRACKING_URI"


def examine(tracking_uri: str | None = None) -> list[Finding]:
    """Look at everything, and change nothing.

    The databases are copied, and the copies read: opening one may roll back what a dead process
    left, or make tables.

    Parameters
    ----------
    tracking_uri
        Address of the MLflow store; the usual one where it is not given.

    """
    from sweep.tracking.tracker import tracking_uri as resolve

    found = [*check_machine(), *check_folder()]
    uri = resolve(tracking_uri)
    if not FOLDER.is_dir():
        return found
    found.append(check_locks())
    with room_for_copies() as room, _keeping_address():
        found += _check_stores(room, uri)
    return found


@contextmanager
def _keeping_address() -> Iterator[None]:
    """Forget afterwards where the copies lay: MLflow keeps the last address in the environment."""
    before = os.environ.get(ADDRESS)
    try:
        yield
    finally:
        os.environ.pop(ADDRESS, None)
        if before is not None:
            os.environ[ADDRESS] = before


def _check_stores(room: Path, uri: str) -> list[Finding]:
    if not STORE.exists():
        return [ok(str(STORE), "not here yet: no study was begun in this folder")]
    record = check_database(STORE, room / STORE.name, optuna_schema(STORE))
    found = [record]
    copied_uri: str | None = uri
    if uri.startswith("sqlite:"):
        copied_uri, finding = _check_mlflow_file(room, uri)
        found.append(finding)
    else:
        try:
            check_address(uri)
        except SweepError as error:
            found.append(fail("MLflow's store", str(error), ""))
            copied_uri = None
    if record.level == Level.FAIL:
        return found
    return found + _check_studies(room / STORE.name, copied_uri)


def _check_mlflow_file(room: Path, uri: str) -> tuple[str | None, Finding]:
    """Return the address of a copy, where that can be read, and what was found."""
    path = Path(uri.partition(":///")[2].partition("?")[0])
    if not path.exists():
        return None, fail(str(path), "is missing", f"{REPAIR} makes it anew, from the record")
    finding = check_database(path, room / "mlflow.db", mlflow_schema(path))
    usable = finding.level != Level.FAIL
    return (f"sqlite:///{room / 'mlflow.db'}" if usable else None), finding


def _check_studies(record: Path, uri: str | None) -> list[Finding]:
    from optuna.storages import RDBStorage

    from sweep.study.opening import study_names

    storage = RDBStorage(f"sqlite:///{record}", skip_table_creation=True)
    try:
        return [
            finding for name in study_names(storage) for finding in _check_named(name, storage, uri)
        ]
    finally:
        storage.engine.dispose()


def _check_named(name: str, storage: BaseStorage, uri: str | None) -> list[Finding]:
    from sweep.study.opening import load_study

    check = f"study {name}"
    try:
        study = load_study(name, storage)
        if uri is None:
            return [ok(check, f"{len(study.trials())} trials; not compared with MLflow")]
        return check_study(study, read_copy(study, uri))
    except StoreUnreachableError as error:
        return [unreachable(check, str(error), "")]
    except SweepError as error:
        return [fail(check, str(error), "")]

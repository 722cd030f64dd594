"""A study store that machines share: whether it answers, and how its studies are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.doctor.finding import fail, ok, unreachable
from sweep.errors import StoreUnreachableError, SweepError
from sweep.study.opening import study_names
from sweep.study.storage import backend_of, name_of, open_storage

if TYPE_CHECKING:
    from collections.abc import Callable

    from optuna.storages import BaseStorage

    from sweep.doctor.finding import Finding


def check_shared_store(
    address: str, check_named: Callable[[str, BaseStorage], list[Finding]]
) -> list[Finding]:
    """Open it as every command does, and look at each of its studies; no table is made."""
    check = name_of(address)
    try:
        storage = open_storage(address)
        names = study_names(storage)
    except StoreUnreachableError as error:
        return [unreachable(check, str(error).removeprefix(f"{check}: "), "")]
    except SweepError as error:
        return [fail(check, str(error).removeprefix(f"{check}: "), "")]
    revision = backend_of(storage)._version_manager.get_current_version()  # noqa: SLF001 - Optuna has no other name for it
    plural = "study" if len(names) == 1 else "studies"
    found = [ok(check, f"answers; Optuna's tables of revision {revision}, {len(names)} {plural}")]
    found += [finding for name in names for finding in check_named(name, storage)]
    backend_of(storage).engine.dispose()
    return found

"""A shared study begun, or joined: whoever comes first makes it, all others find it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.errors import SweepError
from sweep.study import attributes
from sweep.study.opening import begin_study, load_study
from sweep.study.storage import locked

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

    from sweep.layout import LayoutChoice
    from sweep.settings import Settings
    from sweep.study.opening import OpenStudy

GRACE_SECONDS = 60.0


def begin_shared(
    settings: Settings,
    storage: BaseStorage,
    asked: LayoutChoice,
    *,
    trials: int,
    grace: float | None,
) -> OpenStudy:
    """Create the study, or open it where it exists with the same settings, and set its budget.

    All its workers go by the budget and by the grace that were set last; where no grace is given
    it stays as it is.
    """
    with locked(storage, f"begin-{settings.study}"):
        study = begin_study(settings, storage, asked)
        known = study.attribute(attributes.GRACE, GRACE_SECONDS)
        study.set_attribute(attributes.GRACE, known if grace is None else grace)
        study.set_attribute(attributes.BUDGET, trials)
    return study


def join_shared(name: str, storage: BaseStorage) -> tuple[OpenStudy, int]:
    """Open a study that was begun; return it with its budget, or refuse one that is not shared."""
    study = load_study(name, storage)
    budget = study.attribute(attributes.BUDGET)
    if not study.settings.shared or budget is None:
        raise SweepError(
            f"study {name!r} is not shared: one `sweep run` at a time trains it; begin another "
            "with `sweep run --storage URL --study NAME`"
        )
    return study, int(budget)

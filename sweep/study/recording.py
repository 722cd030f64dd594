"""Trials in the Optuna store: each begins and ends in one transaction.

Optuna's own way takes one transaction for every value, 50 fsyncs for a trial of 50 epochs, and
a process that dies among them leaves half an ending. So the tables are written directly; which
is why pyproject.toml admits one minor version of Optuna.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sweep.study.ending import Ending
from sweep.study.storage import backend_of, reaching_store

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import optuna
    from optuna.storages import RDBStorage
    from optuna.storages._rdb.models import TrialModel
    from sqlalchemy.orm import Session

    from sweep.study.opening import OpenStudy


def begin_trial(
    study: OpenStudy, trial: optuna.Trial, attributes: Mapping[str, Any]
) -> tuple[int, int]:
    """Add a running trial with the setting of `trial`; return its number and the store's id."""
    from optuna.trial import TrialState, create_trial

    with reaching_store(study.storage):
        study_id = study.storage.get_study_id_from_name(study.name)
        trial_id = study.storage.create_new_trial(
            study_id,
            create_trial(
                state=TrialState.RUNNING,
                params=trial.params,
                distributions=trial.distributions,
                user_attrs=dict(attributes),
            ),
        )
        return study.storage.get_trial_number_from_id(trial_id), trial_id


def finish_trial(
    study: OpenStudy,
    trial_id: int,
    ending: Ending,
    values: Sequence[float],
    attributes: Mapping[str, Any],
) -> None:
    """End a running trial: all of it is recorded, or nothing.

    `values` are the objective's after every epoch; a complete trial is worth the last.
    """
    from optuna.storages._rdb import models
    from optuna.storages._rdb.storage import _create_scoped_session

    backend = backend_of(study.storage)
    with reaching_store(study.storage), _create_scoped_session(backend.scoped_session) as session:
        trial = models.TrialModel.find_or_raise_by_id(trial_id, session, for_update=True)
        set_attributes(backend, session, trial_id, attributes)
        write_ending(backend, session, trial, ending, values)


def set_attributes(
    backend: RDBStorage, session: Session, trial_id: int, attributes: Mapping[str, Any]
) -> None:
    """Set user attributes of a running trial within a transaction."""
    from optuna.storages._rdb import models

    for key, value in attributes.items():
        backend._set_trial_attr_without_commit(  # noqa: SLF001 - see above
            session, models.TrialUserAttributeModel, trial_id, key, value
        )


def write_values(
    session: Session, trial_id: int, values: Sequence[float], *, there: Collection[int] = ()
) -> None:
    """Write the objective's values after each epoch, but for the epochs that are `there`."""
    from optuna.storages._rdb import models
    from sqlalchemy import insert

    stored = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr
    rows = [
        {
            "trial_id": trial_id,
            "step": epoch,
            "intermediate_value": stored(value)[0],
            "intermediate_value_type": stored(value)[1],
        }
        for epoch, value in enumerate(values, start=1)
        if epoch not in there
    ]
    if rows:
        session.execute(insert(models.TrialIntermediateValueModel), rows)


def write_ending(
    backend: RDBStorage,
    session: Session,
    trial: TrialModel,
    ending: Ending,
    values: Sequence[float],
    *,
    there: Collection[int] = (),
) -> None:
    """End a running trial within a transaction."""
    write_values(session, int(trial.trial_id), values, there=there)
    if ending == Ending.COMPLETE:
        backend._set_trial_value_without_commit(session, trial, 0, values[-1])  # noqa: SLF001
    trial.state = ending.state
    trial.datetime_complete = datetime.now()  # noqa: DTZ005 - as Optuna has it, local time

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
    from collections.abc import Mapping, Sequence

    import optuna

    from sweep.study.opening import OpenStudy


def begin_trial(
    study: OpenStudy, trial: optuna.Trial, attributes: Mapping[str, Any]
) -> tuple[int, int]:
    """Add a running trial with the setting of `trial`; return its number and the store's id."""
    from optuna.trial import TrialState, create_trial

    with reaching_store():
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
    from sqlalchemy import insert

    backend = backend_of(study.storage)
    with reaching_store(), _create_scoped_session(backend.scoped_session) as session:
        trial = models.TrialModel.find_or_raise_by_id(trial_id, session, for_update=True)
        for key, value in attributes.items():
            backend._set_trial_attr_without_commit(  # noqa: SLF001 - see above
                session, models.TrialUserAttributeModel, trial_id, key, value
            )
        if values:
            rows = [_value_row(trial_id, epoch, value) for epoch, value in enumerate(values, 1)]
            session.execute(insert(models.TrialIntermediateValueModel), rows)
        if ending == Ending.COMPLETE:
            backend._set_trial_value_without_commit(session, trial, 0, values[-1])  # noqa: SLF001
        trial.state = ending.state
        trial.datetime_complete = datetime.now()  # noqa: DTZ005 - as Optuna has it, local time


def _value_row(trial_id: int, epoch: int, value: float) -> dict[str, Any]:
    from optuna.storages._rdb.models import TrialIntermediateValueModel

    stored, kind = TrialIntermediateValueModel.intermediate_value_to_stored_repr(value)
    return {
        "trial_id": trial_id,
        "step": epoch,
        "intermediate_value": stored,
        "intermediate_value_type": kind,
    }

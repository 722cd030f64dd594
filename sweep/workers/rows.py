"""What leases read and write in Optuna's tables, each within a transaction of the caller's."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sweep.study import attributes
from sweep.workers import heartbeat_rows
from sweep.workers.lease import Lease

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from optuna.distributions import BaseDistribution
    from optuna.storages._rdb.models import TrialModel
    from sqlalchemy.orm import Session


def lock_study(session: Session, study_id: int) -> None:
    """Let one worker at a time ask for trials."""
    from optuna.storages._rdb.models import StudyModel

    StudyModel.find_or_raise_by_id(study_id, session, for_update=True)


def locked_trial(session: Session, trial_id: int) -> TrialModel:
    """Return a trial, which nobody else changes until the transaction ends."""
    from optuna.storages._rdb.models import TrialModel

    return TrialModel.find_or_raise_by_id(trial_id, session, for_update=True)


def study_attribute(session: Session, study_id: int, key: str) -> Any:
    """Return a user attribute of the study; None where it has none."""
    from optuna.storages._rdb.models import StudyUserAttributeModel as Attribute
    from sqlalchemy import select

    query = select(Attribute.value_json).where(Attribute.study_id == study_id, Attribute.key == key)
    value = session.scalar(query)
    return None if value is None else json.loads(value)


def set_study_attribute(session: Session, study_id: int, key: str, value: object) -> None:
    """Set a user attribute of a study whose row is locked."""
    from optuna.storages._rdb.models import StudyUserAttributeModel as Attribute
    from sqlalchemy import insert, update

    known, written = study_attribute(session, study_id, key), json.dumps(value)
    if known is None:
        session.execute(insert(Attribute).values(study_id=study_id, key=key, value_json=written))
        return
    named = update(Attribute).where(Attribute.study_id == study_id, Attribute.key == key)
    session.execute(named.values(value_json=written))


def counts(session: Session, study_id: int) -> tuple[int, int, int]:
    """Return how many trials train, how many are finished, and the next one's number."""
    from optuna.storages._rdb.models import TrialModel
    from optuna.trial import TrialState
    from sqlalchemy import func, select

    query = (
        select(TrialModel.state, func.count(), func.max(TrialModel.number))
        .where(TrialModel.study_id == study_id)
        .group_by(TrialModel.state)
    )
    found = {state: (count, last) for state, count, last in session.execute(query)}
    number = {state: count for state, (count, _) in found.items()}
    return (
        number.get(TrialState.RUNNING, 0),
        number.get(TrialState.COMPLETE, 0) + number.get(TrialState.PRUNED, 0),
        1 + max((last for _, last in found.values()), default=-1),
    )


def abandoned(session: Session, study_id: int, cutoff: datetime) -> list[Lease]:
    """Return the leases, by number, that somebody gave back or has not kept alive; lock them.

    One that was given back names no worker. A trial without any heartbeat gets one now: if it has
    a worker, that will be the next to beat.
    """
    silent = heartbeat_rows.silent(session, study_id, cutoff)
    if not silent:
        return []
    owned = owners(session, list(silent))
    # One of them may have been heard of, or have ended, before its row was locked.
    silent = heartbeat_rows.silent(session, study_id, cutoff, among=list(silent))
    mute = [trial_id for trial_id, (_, heartbeat) in silent.items() if heartbeat is None]
    heartbeat_rows.write(session, mute, heartbeat_rows.clock(session))
    return [
        _abandoned(trial_id, number, owned.get(trial_id))
        for trial_id, (number, heartbeat) in silent.items()
        if heartbeat is not None
    ]


def _abandoned(trial_id: int, number: int, record: Mapping[str, Any] | None) -> Lease:
    if record is None:  # its worker died between asking and taking it
        return Lease(trial_id, number, worker="", attempt=0, deaths=1)
    died = record["worker"] != ""
    return Lease(
        trial_id, number, worker="", attempt=record["attempt"], deaths=record["deaths"] + died
    )


def owners(session: Session, trial_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return the leases' records of these trials, by the trials' ids, and lock their rows."""
    from optuna.storages._rdb.models import TrialModel
    from sqlalchemy import select

    # In one order for everybody, or two workers could wait for each other.
    chosen = select(TrialModel.trial_id).where(TrialModel.trial_id.in_(trial_ids))
    session.execute(chosen.order_by(TrialModel.trial_id).with_for_update()).all()
    return lease_records(session, trial_ids)


def lease_records(session: Session, trial_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return the leases' records of trials whose rows are locked, by the trials' ids."""
    from optuna.storages._rdb.models import TrialUserAttributeModel as Attribute
    from sqlalchemy import select

    query = select(Attribute.trial_id, Attribute.value_json).where(
        Attribute.trial_id.in_(trial_ids), Attribute.key == attributes.LEASE
    )
    return {trial_id: json.loads(value) for trial_id, value in session.execute(query)}


def add_trials(session: Session, study_id: int, first: int, many: int) -> list[tuple[int, int]]:
    """Begin trials that have no setting yet; return each one's number and id."""
    from optuna.storages._rdb.models import TrialModel
    from optuna.trial import TrialState

    now = datetime.now()  # noqa: DTZ005 - as Optuna has it, local time
    fresh = [
        TrialModel(study_id=study_id, number=number, state=TrialState.RUNNING, datetime_start=now)
        for number in range(first, first + many)
    ]
    session.add_all(fresh)
    session.flush()
    return [(int(trial.number), int(trial.trial_id)) for trial in fresh]


def write_fresh(session: Session, leases: Sequence[Lease]) -> None:
    """Write the leases and heartbeats of trials that have none, in few words: others wait."""
    from optuna.storages._rdb.models import TrialHeartbeatModel as Heartbeat
    from optuna.storages._rdb.models import TrialUserAttributeModel as Attribute
    from sqlalchemy import insert

    if not leases:
        return
    known = [(lease.trial_id, json.dumps(lease.record())) for lease in leases]
    session.execute(
        insert(Attribute),
        [{"trial_id": one, "key": attributes.LEASE, "value_json": lease} for one, lease in known],
    )
    now = heartbeat_rows.clock(session)
    session.execute(insert(Heartbeat), [{"trial_id": one, "heartbeat": now} for one, _ in known])


def set_setting(
    session: Session,
    trial_id: int,
    setting: Mapping[str, Any],
    distributions: Mapping[str, BaseDistribution],
) -> None:
    """Record a trial's setting where it has none."""
    from optuna.distributions import distribution_to_json
    from optuna.storages._rdb.models import TrialParamModel
    from sqlalchemy import func, insert, select

    there = select(func.count()).where(TrialParamModel.trial_id == trial_id)
    if session.scalar(there):
        return
    session.execute(
        insert(TrialParamModel),
        [
            {
                "trial_id": trial_id,
                "param_name": name,
                "param_value": distributions[name].to_internal_repr(value),
                "distribution_json": distribution_to_json(distributions[name]),
            }
            for name, value in setting.items()
        ],
    )


def reported_epochs(session: Session, trial_ids: Sequence[int]) -> dict[int, set[int]]:
    """Return the epochs of which the store has the objective's value, by the trials' ids."""
    from optuna.storages._rdb.models import TrialIntermediateValueModel as Value
    from sqlalchemy import select

    epochs: dict[int, set[int]] = {trial_id: set() for trial_id in trial_ids}
    query = select(Value.trial_id, Value.step).where(Value.trial_id.in_(trial_ids))
    for trial_id, epoch in session.execute(query):
        epochs[trial_id].add(epoch)
    return epochs


def drop_values(session: Session, trial_id: int) -> None:
    """Take away what an earlier attempt reported."""
    from optuna.storages._rdb.models import TrialIntermediateValueModel as Value
    from sqlalchemy import delete

    session.execute(delete(Value).where(Value.trial_id == trial_id))

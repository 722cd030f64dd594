"""When each trial was heard of last, in the database's own time: Optuna's table of heartbeats."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session


def clock(session: Session) -> datetime:
    """Return the database's time, in UTC without a zone: workers' clocks may differ."""
    from sqlalchemy import DateTime, func, select

    if session.get_bind().dialect.name == "postgresql":  # its now() is the transaction's beginning
        now = func.clock_timestamp(type_=DateTime(timezone=True))
    else:
        now = func.now()
    found = session.scalar(select(now))
    assert isinstance(found, datetime)  # noqa: S101 - as the type says
    return found.replace(tzinfo=None)


def silent(
    session: Session, study_id: int, cutoff: datetime, among: Sequence[int] | None = None
) -> dict[int, tuple[int, datetime | None]]:
    """Return number and heartbeat of the running trials without a fresh one, by the trials' ids."""
    from optuna.storages._rdb.models import TrialHeartbeatModel as Heartbeat
    from optuna.storages._rdb.models import TrialModel
    from optuna.trial import TrialState
    from sqlalchemy import or_, select

    query = (
        select(TrialModel.trial_id, TrialModel.number, Heartbeat.heartbeat)
        .outerjoin(Heartbeat, Heartbeat.trial_id == TrialModel.trial_id)
        .where(TrialModel.study_id == study_id, TrialModel.state == TrialState.RUNNING)
        .where(or_(Heartbeat.heartbeat.is_(None), Heartbeat.heartbeat < cutoff))
        .order_by(TrialModel.number)
    )
    if among is not None:
        query = query.where(TrialModel.trial_id.in_(among))
    return {one: (number, heartbeat) for one, number, heartbeat in session.execute(query)}


def write(session: Session, trial_ids: Sequence[int], when: datetime) -> None:
    """Write the heartbeats of these trials."""
    from optuna.storages._rdb.models import TrialHeartbeatModel as Heartbeat
    from sqlalchemy import insert, select, update

    if not trial_ids:
        return
    there = set(
        session.scalars(select(Heartbeat.trial_id).where(Heartbeat.trial_id.in_(trial_ids)))
    )
    if there:
        beating = update(Heartbeat).where(Heartbeat.trial_id.in_(there))
        session.execute(beating.values(heartbeat=when))
    fresh = [{"trial_id": one, "heartbeat": when} for one in trial_ids if one not in there]
    if fresh:
        session.execute(insert(Heartbeat), fresh)


def keep(session: Session, trial_ids: Sequence[int], when: datetime) -> None:
    """Write the heartbeats of those of these trials that have one."""
    from optuna.storages._rdb.models import TrialHeartbeatModel as Heartbeat
    from sqlalchemy import update

    beating = update(Heartbeat).where(Heartbeat.trial_id.in_(trial_ids))
    session.execute(beating.values(heartbeat=when))


def drop(session: Session, trial_ids: Sequence[int]) -> None:
    """Take the heartbeats of these trials away."""
    from optuna.storages._rdb.models import TrialHeartbeatModel as Heartbeat
    from sqlalchemy import delete

    session.execute(delete(Heartbeat).where(Heartbeat.trial_id.in_(trial_ids)))


def alive(session: Session, study_id: int, cutoff: datetime) -> set[int]:
    """Return the numbers of the trials, running or finished, whose heartbeat is fresh."""
    from optuna.storages._rdb.models import TrialHeartbeatModel as Heartbeat
    from optuna.storages._rdb.models import TrialModel
    from sqlalchemy import select

    query = (
        select(TrialModel.number)
        .join(Heartbeat, Heartbeat.trial_id == TrialModel.trial_id)
        .where(TrialModel.study_id == study_id, Heartbeat.heartbeat >= cutoff)
    )
    return set(session.scalars(query))

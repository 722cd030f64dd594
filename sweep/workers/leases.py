"""Which worker trains which trial of a shared study, agreed on in the study's own database.

A lease is an attribute of the trial that names its worker, and a row in Optuna's table of
heartbeats, in the database's own time. Whoever finds the heartbeat too old takes the trial over;
whoever comes back too late finds another name, and drops what he has. Trials are asked for under
the lock of the study's row, with which the budget is counted, so it is exact.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sweep.study import attributes
from sweep.study.ending import Ending
from sweep.study.recording import set_attributes, write_ending, write_values
from sweep.study.storage import backend_of, reaching_store
from sweep.workers import heartbeat_rows, rows
from sweep.workers.lease import Lease, LeaseLostError
from sweep.workers.patience import patiently

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    import optuna
    from optuna.storages._rdb.models import TrialModel
    from sqlalchemy.orm import Session

    from sweep.study.opening import OpenStudy

MOST_DEATHS = 4
"""After so many workers that died with it, a trial is given up: it is what kills them."""
LONG_AGO = datetime(1970, 1, 1)  # noqa: DTZ001 - as the column has it, without a zone


@dataclass(frozen=True)
class Claim:
    """What a worker was given, and whether the study has all its trials: none trains or lacks."""

    leases: Sequence[Lease] = ()
    over: bool = False
    given_up: Sequence[int] = ()


class Leases:
    """The leases of one study, as one of its workers takes and keeps them.

    Every method is one transaction, and waits patiently for a database that restarts.

    Parameters
    ----------
    study
        A shared one.
    worker
        The worker's name, unlike any other's.

    """

    def __init__(self, study: OpenStudy, worker: str) -> None:
        self.study, self.worker = study, worker
        self.backend = backend_of(study.storage)
        with reaching_store(study.storage):
            self.study_id = study.storage.get_study_id_from_name(study.name)
        self.grace = float(study.attribute(attributes.GRACE))

    @patiently
    def join(self) -> int:
        """Count this worker in, and return its number, from 0."""
        with self._transaction(locked=True) as session:
            known = rows.study_attribute(session, self.study_id, attributes.WORKERS)
            number = int(known or 0)
            rows.set_study_attribute(session, self.study_id, attributes.WORKERS, number + 1)
            return number

    @patiently
    def claim(self, free: int, *, positions: int | None = None) -> Claim:
        """Take over what others left, then begin trials within the budget: `free` at most.

        `positions` is how many trials there can be, where a grid has no more points.
        """
        with self._transaction(locked=True) as session:
            leases: list[Lease] = []
            given_up: list[int] = []
            for lease in rows.abandoned(session, self.study_id, self._cutoff(session)):
                if lease.deaths >= MOST_DEATHS:
                    self._give_up(session, lease)
                    given_up.append(lease.number)
                elif len(leases) < free:
                    leases.append(self._take_over(session, lease))
            running, finished, following = rows.counts(session, self.study_id)
            budget = int(rows.study_attribute(session, self.study_id, attributes.BUDGET) or 0)
            missing = budget - running - finished
            if positions is not None:
                missing = min(missing, positions - following)
            new = min(free - len(leases), missing)
            fresh = [
                Lease(trial_id, number, self.worker)
                for number, trial_id in rows.add_trials(session, self.study_id, following, new)
            ]
            rows.write_fresh(session, fresh)
            leases += fresh
            return Claim(leases, running == 0 and missing <= 0, given_up)

    @patiently
    def begin(self, lease: Lease, trial: optuna.Trial, known: Mapping[str, Any]) -> None:
        """Record the setting of a claimed trial, unless an earlier attempt did, and where it sits.

        Raises
        ------
        LeaseLostError
            Another worker has it.

        """
        with self._transaction() as session:
            self._held(session, lease)
            rows.set_setting(session, lease.trial_id, trial.params, trial.distributions)
            set_attributes(self.backend, session, lease.trial_id, known)

    def beat(self, curves: Mapping[Lease, Sequence[float]]) -> set[Lease]:
        """Say that these trials are alive, with the objective after each epoch; return the lost.

        It is not patient: whoever beats tries again anyway.
        """
        if not curves:
            return set()
        with self._transaction() as session:
            owned = rows.owners(session, [lease.trial_id for lease in curves])
            held = {lease for lease in curves if owned.get(lease.trial_id) == lease.record()}
            heartbeat_rows.keep(
                session, [lease.trial_id for lease in held], heartbeat_rows.clock(session)
            )
            there = rows.reported_epochs(session, [lease.trial_id for lease in held])
            for lease in held:
                write_values(session, lease.trial_id, curves[lease], there=there[lease.trial_id])
            return set(curves) - held

    @patiently
    def finish(
        self, lease: Lease, ending: Ending, values: Sequence[float], known: Mapping[str, Any]
    ) -> None:
        """End a trial: all of it is recorded, or nothing. Doing it twice is as good as once.

        Raises
        ------
        LeaseLostError
            Another worker has it.

        """
        with self._transaction() as session:
            trial = self._held(session, lease)
            if trial.state.is_finished():
                return
            set_attributes(self.backend, session, lease.trial_id, known)
            there = rows.reported_epochs(session, [lease.trial_id])[lease.trial_id]
            write_ending(self.backend, session, trial, ending, values, there=there)

    @patiently
    def release(self, leases: Collection[Lease]) -> None:
        """Give trials back, for the next worker to take at once; nobody died."""
        with self._transaction() as session:
            for lease in sorted(leases, key=lambda lease: lease.trial_id):
                with suppress(LeaseLostError):
                    if not self._held(session, lease).state.is_finished():
                        self._write(session, replace(lease, worker=""), LONG_AGO)

    @patiently
    def forget(self, leases: Collection[Lease]) -> None:
        """Take away the heartbeats of finished trials that MLflow has all of."""
        with self._transaction() as session:
            heartbeat_rows.drop(session, [lease.trial_id for lease in leases])

    @patiently
    def alive(self) -> set[int]:
        """Return the numbers of the trials that some worker trains, or still tells MLflow of."""
        with self._transaction() as session:
            return heartbeat_rows.alive(session, self.study_id, self._cutoff(session))

    def _give_up(self, session: Session, lease: Lease) -> None:
        """End a trial that kills its workers."""
        trial = rows.locked_trial(session, lease.trial_id)
        reason = f"{lease.deaths} workers died with it"
        known = {
            attributes.LEASE: lease.record(),  # of nobody: its last worker may come back
            attributes.REASON: reason,
            attributes.ENDING: str(Ending.ERROR),
        }
        set_attributes(self.backend, session, lease.trial_id, known)
        write_ending(self.backend, session, trial, Ending.ERROR, [])
        heartbeat_rows.drop(session, [lease.trial_id])

    def _take_over(self, session: Session, lease: Lease) -> Lease:
        rows.drop_values(session, lease.trial_id)
        taken = replace(lease, worker=self.worker, attempt=lease.attempt + 1)
        self._write(session, taken)
        return taken

    def _held(self, session: Session, lease: Lease) -> TrialModel:
        """Lock a trial that this worker still has."""
        trial = rows.locked_trial(session, lease.trial_id)
        if rows.lease_records(session, [lease.trial_id]).get(lease.trial_id) != lease.record():
            raise LeaseLostError(lease.number)
        return trial

    def _write(self, session: Session, lease: Lease, heartbeat: datetime | None = None) -> None:
        set_attributes(self.backend, session, lease.trial_id, {attributes.LEASE: lease.record()})
        heartbeat_rows.write(session, [lease.trial_id], heartbeat or heartbeat_rows.clock(session))

    def _cutoff(self, session: Session) -> datetime:
        return heartbeat_rows.clock(session) - timedelta(seconds=self.grace)

    @contextmanager
    def _transaction(self, *, locked: bool = False) -> Iterator[Session]:
        from optuna.storages._rdb.storage import _create_scoped_session

        with (
            reaching_store(self.study.storage),
            _create_scoped_session(self.backend.scoped_session) as session,
        ):
            if locked:
                rows.lock_study(session, self.study_id)
            yield session

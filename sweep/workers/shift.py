"""The loop of one worker: pass by pass, as `sweep.study.passes`, but for trials that it claims.

Time here is the worker's own: its passes count from 0, its seats carry seeds that no other worker
has. So each trial comes out again, bit for bit, from its record, whoever else was at work.
"""

from __future__ import annotations

import random
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from model.results import DivergedError
from sweep.errors import StoreUnreachableError, SweepError
from sweep.study.ending import Ending
from sweep.study.interrupts import InterruptedStudyError
from sweep.study.trial_life import Asked
from sweep.workers.findings import Findings
from sweep.workers.lease import Lease, LeaseLostError
from sweep.workers.leases import Claim

if TYPE_CHECKING:
    from signal import Signals

    from optuna.trial import FrozenTrial

    from model.results import EpochResult
    from sweep.engine import Engine
    from sweep.study.interrupts import Interrupts
    from sweep.study.listener import Listener
    from sweep.workers.leased_trials import LeasedLife, LeasedTrials
    from sweep.workers.reports import Reports
    from sweep.workers.settling import Settling

LOOK_SECONDS = 2.0
"""Between two looks at the store, for trials to claim and for what the others found."""
LOOK_SHARE = 5
"""A look at a large study takes long: so many times as long passes until the next."""


@dataclass
class Training:
    """A trial that trains in a slot."""

    lease: Lease
    life: LeasedLife


class Shift:
    """Trains what a shared study lacks, as one of its workers.

    Parameters
    ----------
    trials
        Begins trials.
    engine
        Empty, before its first pass.
    reports
        Tells MLflow.
    settling
        Logs how the study as a whole stands.
    listener
        Who watches.

    """

    def __init__(
        self,
        trials: LeasedTrials,
        engine: Engine,
        reports: Reports,
        settling: Settling,
        listener: Listener,
    ) -> None:
        self.trials, self.leases, self.study = trials, trials.leases, trials.study
        self.engine, self.timings = engine, engine.timings
        self.reports, self.heartbeat = reports, reports.heartbeat
        self.settling, self.listener = settling, listener
        self.findings = Findings(self.study)
        self.slots: dict[int, Training] = {}
        self.next_look = self.next_claim = 0.0

    def run(self, seconds: float | None, interrupts: Interrupts) -> bool:
        """Train until the study has no trial left to claim; return whether all of them ended.

        Raises
        ------
        InterruptedStudyError
            After Ctrl-C or SIGTERM, at the end of the pass; what trains is given back.
        SweepError
            Every trial fails.
        StoreUnreachableError
            A store is gone for long; others will take over.

        """
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            if interrupts.received:
                self._stop(interrupts.received)
            late = deadline is not None and time.monotonic() >= deadline
            over = self._look(begin=not late)
            if self.slots:
                self._pass()
            elif over or late:
                return over
            else:
                self.reports.let_go()
                time.sleep(LOOK_SECONDS / 10)  # others train: one of them may die

    def _look(self, *, begin: bool) -> bool:
        """Look at the store where that is due: claim trials for free slots, see what others found.

        Return whether the study has all its trials.
        """
        began = time.monotonic()
        free = [n for n in range(self.study.settings.layout.slots) if n not in self.slots]
        if began < (self.next_claim if free else self.next_look):
            return False
        with self.timings.part("sampling"):
            claim = self._claim(len(free) if begin else 0)
            known = self.findings.look(
                own={one.lease.number for one in self.slots.values()},
                claimed={lease.number for lease in claim.leases},
            )
        self.listener.stands(self.findings.lookout.finished, self.findings.standing.best)
        for slot, lease in zip(free, claim.leases, strict=False):
            self._begin(slot, lease, known[lease.number])
        with suppress(StoreUnreachableError):  # the last worker will
            self.settling.note_progress(self.trials.parent)
        took = time.monotonic() - began
        pause = LOOK_SECONDS * random.uniform(0.8, 1.2)  # noqa: S311 - workers must not march in step
        self.next_look = time.monotonic() + max(pause, LOOK_SHARE * took)
        none_left = bool(free) and not claim.leases
        self.next_claim = self.next_look if none_left else time.monotonic() + took
        return claim.over

    def _claim(self, free: int) -> Claim:
        if self.slots and not free:
            return Claim()
        claim = self.leases.claim(free, positions=self.findings.ledger.positions)
        for lease in claim.leases:
            self.heartbeat.hold(lease, ())
        for number in claim.given_up:
            self.listener.warned(f"trial {number} is given up: it killed one worker after another")
        return claim

    def _begin(self, slot: int, lease: Lease, claimed: FrozenTrial) -> None:
        with self.timings.part("sampling"):
            trial = self.findings.ledger.propose(claimed)
        asked = Asked(trial, self.engine.seat(slot), slot, lease.attempt)
        try:
            life = self.trials.begin_claimed(asked, lease)
        except LeaseLostError as error:
            self._lose(lease, error)
            return
        self.engine.start(slot, asked.hyperparameters)
        self.heartbeat.hold(lease, life.values)
        self.slots[slot] = Training(lease, life)
        self.listener.trial_began(life.number)

    def _pass(self) -> None:
        found = self.engine.run_pass()
        lost = self.heartbeat.lost()
        for slot, training in sorted(self.slots.items()):
            result = found[slot]
            if training.lease in lost:
                if not isinstance(result, DivergedError):
                    self.engine.clear(slot)
                self._leave(slot, LeaseLostError(training.lease.number))
            elif isinstance(result, DivergedError):
                self._end(slot, Ending.DIVERGED, str(result))
            else:
                self._take(slot, training.life, result)
        self.reports.send_when_due(one.life.training.run for one in self.slots.values())
        self.reports.let_go()
        self.listener.pass_ended(len(self.slots))

    def _take(self, slot: int, life: LeasedLife, result: EpochResult) -> None:
        try:
            value = life.record(result)
        except SweepError:
            raise
        except Exception as error:  # noqa: BLE001 - one broken trial must not end a study
            self.engine.clear(slot)
            self._end(slot, Ending.ERROR, f"{type(error).__name__}: {error}")
            return
        self.listener.epoch_ended(life.number, result.epoch, value)
        reason = self.findings.ledger.why_prune(life.number, result.epoch, value)
        if reason is None and result.epoch < self.study.settings.epochs:
            return
        self.engine.clear(slot)
        self._end(slot, Ending.COMPLETE if reason is None else Ending.PRUNED, reason or "")

    def _end(self, slot: int, how: Ending, reason: str) -> None:
        """End a trial that has left the engine."""
        training = self.slots[slot]
        lease, life = training.lease, training.life
        try:
            trouble = life.end(how, reason)
        except LeaseLostError as error:
            self._leave(slot, error)
            return
        if trouble is not None:
            self.listener.warned(f"trial {life.number}: not all of its files: {trouble}")
        del self.slots[slot]
        self.reports.ended(lease, life.letter)
        with self.timings.part("sampling"):
            self.findings.take(life, how, reason)
        self.listener.trial_ended(life.number, how, reason, self.findings.standing.best)

    def _leave(self, slot: int, error: LeaseLostError) -> None:
        """Drop what a trial got here whose lease is gone."""
        training = self.slots.pop(slot)
        training.life.training.run.end("KILLED")
        self.settling.has_surplus = True
        self.listener.trial_left(training.lease.number)
        self._lose(training.lease, error)

    def _lose(self, lease: Lease, error: LeaseLostError) -> None:
        self.heartbeat.drop(lease)
        self.listener.warned(f"{error}; what it got here is dropped")

    def give_back(self) -> int:
        """Let other workers have the trials that train here; return how many there are."""
        leases = [training.lease for training in self.slots.values()]
        for training in self.slots.values():
            self.heartbeat.drop(training.lease)
            training.life.training.run.end("KILLED")
        self.leases.release(leases)
        self.slots.clear()
        return len(leases)

    def _stop(self, received: Signals) -> NoReturn:
        trials = self.give_back()
        raise InterruptedStudyError(
            f"a worker of study {self.study.name!r} stopped by {received.name}: {trials} trials "
            "went back to the study; another worker, or the same command, trains them",
            received,
        )

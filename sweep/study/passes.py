"""The study in logical time: pass by pass, and in each pass slot by slot.

A pass over the rows is an epoch of every trial. Between two passes everything happens in the
order of the slots: results are taken in, trials end, the next ones take the free slots. So what
happens does not depend on how long anything takes.

A study that goes on is played again from its first pass. Trials that are settled play from the
record and cost nothing, and so do those that were left in training, up to the last checkpoint, from
where they train on; those that it does not know train again, in their own slot and from their own
first pass. Sampler and pruner see all of it in the order in which it first happened.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from sweep.errors import SweepError
from sweep.study.ending import Ending
from sweep.study.failures import Failures
from sweep.study.interrupts import InterruptedStudyError
from sweep.study.ledger import Ledger
from sweep.study.records import Record, Start, records_of, seat_of
from sweep.study.results import tally
from sweep.study.slots import Replayed, Training
from sweep.study.standing import Standing
from sweep.study.study_run import log_progress
from sweep.study.trial_life import Asked
from sweep_model.results import DivergedError

if TYPE_CHECKING:
    from signal import Signals

    from sweep.engine import Engine
    from sweep.study.checkpoint import TrialState
    from sweep.study.interrupts import Interrupts
    from sweep.study.keeper import Keeper
    from sweep.study.listener import Listener
    from sweep.study.trial_lives import TrialLives
    from sweep.tracking.run import Run
    from sweep_model.results import EpochResult


@dataclass(frozen=True)
class Budget:
    """How long a study runs: finished trials in total, and seconds of this run."""

    trials: int
    seconds: float | None = None


class Passes:
    """Runs the trials that a study lacks.

    Parameters
    ----------
    lives
        Begins its trials.
    engine
        Empty, before its first pass.
    keeper
        Has the last checkpoint, and makes further ones.
    listener
        Who watches.

    """

    def __init__(
        self, lives: TrialLives, engine: Engine, keeper: Keeper, listener: Listener
    ) -> None:
        self.study, self.parent, self.lives = lives.study, lives.parent, lives
        self.engine, self.listener, self.timings = engine, listener, engine.timings
        self.keeper = keeper
        self.ledger = Ledger(self.study.settings)
        trials = self.study.trials()
        self.states = keeper.found_states()
        self.records = records_of(trials, self.states)
        self.standing = Standing(self.study.settings, trials)
        self.slots: dict[int, Replayed | Training] = {}
        self.finished = 0  # in logical time; the standing counts all that the store has
        self.failures, self.exhausted = Failures(), False

    def run(self, budget: Budget, interrupts: Interrupts) -> str:
        """Train until the budget is spent, and say in a phrase why it stopped.

        Raises
        ------
        InterruptedStudyError
            After Ctrl-C or SIGTERM, at the end of the pass; what trains will go on from there.
        SweepError
            Every trial fails.
        StoreUnreachableError
            A store is gone; what it has is kept.

        """
        deadline = None if budget.seconds is None else time.monotonic() + budget.seconds
        while True:
            if interrupts.received and (self.slots or self.finished < budget.trials):
                self._stop(interrupts.received)
            late = deadline is not None and time.monotonic() >= deadline
            self._fill_slots(0 if late else budget.trials)
            if not self.slots and not self._waits():
                break
            found = self.engine.run_pass()
            for slot in sorted(self.slots):
                self._advance(slot, found.get(slot))
            if self.keeper.is_due():
                self._keep()
            self.listener.pass_ended(len(self._runs()))
        if self.finished >= budget.trials:
            return f"{budget.trials} of {budget.trials} trials finished"
        if self.exhausted:
            return "the grid has no point left"
        return f"the time of {budget.seconds:g} s is up"

    def _keep(self) -> None:
        """Make a checkpoint of all that trains, and send what was measured."""
        for slot, trial in self.slots.items():
            if isinstance(trial, Training):
                state = trial.life.training.state(self.engine.state(slot))
                self.states[trial.life.number] = state
        with self.timings.part("tracking"):
            self.keeper.keep(self.states, [self.parent, *self._runs()])

    def _runs(self) -> list[Run]:
        slots = sorted(self.slots.items())
        return [one.life.training.run for _, one in slots if isinstance(one, Training)]

    def _stop(self, received: Signals) -> NoReturn:
        """Leave what trains; the next run of the study goes on with it."""
        self._keep()
        for run in self._runs():
            run.end("KILLED")
        raise InterruptedStudyError(
            f"study {self.study.name!r} stopped by {received.name}: "
            f"{tally(self.study.trials())}; the same command goes on from here",
            received,
        )

    def _fill_slots(self, trials: int) -> None:
        """Let the next positions take the free slots, in order."""
        for slot in range(self.study.settings.layout.slots):
            if slot in self.slots:
                continue
            record = self.records.get(self.ledger.next_position)
            if record is not None and record.start > (self.engine.next_pass, slot):
                continue
            if record is not None and (record.settled or record.state):
                self._replay(slot, record)
            elif self.finished + len(self.slots) >= trials or not self._begin(slot, record):
                return

    def _waits(self) -> bool:
        """Whether the next position is known to begin in a later pass."""
        record = self.records.get(self.ledger.next_position)
        return record is not None and record.start.first_pass > self.engine.next_pass

    def _replay(self, slot: int, record: Record) -> None:
        record.check_start(Start(self.engine.next_pass, slot), self.study.name)
        position = self.ledger.next_position
        self.ledger.ask(record.parameters)
        self.slots[slot] = Replayed(position, record, record.curve(self.study.settings.metric))

    def _begin(self, slot: int, record: Record | None) -> bool:
        if record is not None:
            record.check_start(Start(self.engine.next_pass, slot), self.study.name)
        with self.timings.part("sampling"):
            trial = self.ledger.ask(None if record is None else record.parameters)
        if trial is None:
            self.exhausted = True
            return False
        attempt = 1 if record is None else record.attempts + 1
        asked = Asked(trial, self.engine.seat(slot), slot, attempt)
        if record is not None and record.left:
            life = self.lives.begin_again(asked, record.trial)
        else:
            life = self.lives.begin(asked)
        self.engine.start(slot, asked.hyperparameters)
        self.slots[slot] = Training(asked.position, life)
        self.listener.trial_began(life.number)
        return True

    def _advance(self, slot: int, result: EpochResult | DivergedError | None) -> None:
        """Take in one epoch of the trial in a slot."""
        trial = self.slots[slot]
        if isinstance(trial, Replayed):
            self._advance_replayed(slot, trial)
        elif isinstance(result, DivergedError):
            self._end(slot, trial, Ending.DIVERGED, str(result))
        else:
            assert result is not None  # noqa: S101 - the engine holds what trains
            self._take(slot, trial, result)

    def _advance_replayed(self, slot: int, trial: Replayed) -> None:
        if not trial.advance(self.ledger):
            return
        if trial.record.state is None:
            self._settle(slot, trial.position, trial.record.ending, trial.curve)
        else:
            self._take_up(slot, trial, trial.record.state)

    def _take_up(self, slot: int, trial: Replayed, state: TrialState) -> None:
        """Go on with a trial whose record ends here, at the last checkpoint."""
        record, begun = trial.record, self.ledger.running[trial.position]
        asked = Asked(begun, seat_of(record.trial), slot, record.attempts)
        weights = self.engine.resume(slot, asked.hyperparameters, state.slot)
        life = self.lives.take_up(asked, record.trial, state, weights)
        self.slots[slot] = Training(trial.position, life)
        self.listener.trial_began(life.number)

    def _take(self, slot: int, trial: Training, result: EpochResult) -> None:
        try:
            value = trial.life.record(result)
        except SweepError:
            raise
        except Exception as error:  # noqa: BLE001 - one broken trial must not end a study
            self._end(slot, trial, Ending.ERROR, f"{type(error).__name__}: {error}")
            return
        self.listener.epoch_ended(trial.life.number, result.epoch, value)
        with self.timings.part("sampling"):
            reason = self.ledger.why_prune(trial.position, result.epoch, value)
        if reason is not None:
            self._end(slot, trial, Ending.PRUNED, reason)
        elif result.epoch == self.study.settings.epochs:
            self._end(slot, trial, Ending.COMPLETE, "")

    def _end(self, slot: int, trial: Training, ending: Ending, reason: str) -> None:
        """End a trial that trains: in the stores, in the ledger and in the engine."""
        if ending != Ending.DIVERGED:
            self.engine.clear(slot)
        trouble = trial.life.end(ending, reason)
        if trouble is not None:
            self.listener.warned(f"trial {trial.life.number}: not all of its files: {trouble}")
        self.states.pop(trial.life.number, None)
        self._settle(slot, trial.position, ending, trial.life.values)
        if self.standing.take(trial.life.number, ending, trial.life.training.curves):
            log_progress(self.parent, self.standing)
        self.listener.trial_ended(trial.life.number, ending, reason, self.standing.best)
        self.failures.refuse_row(self.study.name, trial.position, reason)

    def _settle(self, slot: int, position: int, ending: Ending, curve: list[float]) -> None:
        """Free the slot of a trial that has ended."""
        with self.timings.part("sampling"):
            self.ledger.end(position, ending, curve)
        del self.slots[slot]
        if ending in (Ending.COMPLETE, Ending.PRUNED):
            self.finished += 1
        else:
            self.failures.add(position)

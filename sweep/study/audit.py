"""Finish some pruned trials all the same, to see whether pruning gave a winner away."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from model.hyperparameters import Hyperparameters
from model.results import DivergedError
from sweep.engine import make_engine
from sweep.study import attributes
from sweep.study.ending import Ending
from sweep.study.position import settled
from sweep.study.records import seat_of
from sweep.study.results import ending
from sweep.study.standing import Standing
from sweep.study.training_run import TrainingRun
from sweep.study.trial_life import trial_parameters, trial_title
from sweep.tracking.run import Run

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from model.results import EpochResult
    from sweep.data import Prepared
    from sweep.engine import Engine
    from sweep.study.interrupts import Interrupts
    from sweep.study.opening import OpenStudy
    from sweep.timings import Timings


@dataclass
class Audit:
    """What pruned trials would have come to, by their number.

    Attributes
    ----------
    pruned
        How many trials of the study were pruned.
    values
        The objective's value of those that were trained to the end.
    winners
        Those of them that would have beaten the best trial.
    diverged
        Those that diverged on the way.

    """

    pruned: int
    values: dict[int, float] = field(default_factory=dict)
    winners: list[int] = field(default_factory=list)
    diverged: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        names = ", ".join(f"trial {number}: {self.values[number]:.4f}" for number in self.winners)
        return (
            f"{len(self.values) + len(self.diverged)} of {self.pruned} pruned trials trained to "
            f"their end, {len(self.winners)} would have beaten the best"
            + (f" ({names})" if names else "")
        )


@dataclass(frozen=True)
class _Resumed:
    """A pruned trial that trains to its end, and the run that shows it."""

    trial: FrozenTrial
    training: TrainingRun


class PruningAudit:
    """Trains pruned trials, drawn at random, from their start to their end.

    Each trains where it did, so up to where it was pruned it is the very trial. The study's own
    record does not change; the runs in MLflow carry the role `audit`.

    Parameters
    ----------
    study
        The study, which nobody else runs.
    data
        What its trials train on.
    parent
        The study's MLflow run.
    timings
        Where the time goes.
    interrupts
        Ctrl-C and SIGTERM, looked at between two passes.

    """

    def __init__(
        self,
        study: OpenStudy,
        data: Prepared,
        parent: Run,
        timings: Timings,
        interrupts: Interrupts,
    ) -> None:
        self.study, self.data, self.parent = study, data, parent
        self.timings, self.interrupts = timings, interrupts
        self.standing = Standing(study.settings, study.trials())
        self.slots: dict[int, _Resumed] = {}

    def run(self, count: int) -> Audit:
        """Audit `count` trials, or all if there are fewer.

        Raises
        ------
        InterruptedStudyError
            After Ctrl-C or SIGTERM; the runs say so.

        """
        # By position: an interruption gives trials other numbers, and the sample stays the same.
        pruned = [trial for trial in settled(self.study.trials()) if ending(trial) == Ending.PRUNED]
        draw = random.Random(self.study.settings.seed)  # noqa: S311 - a sample, not a secret
        waiting = draw.sample(pruned, min(count, len(pruned)))
        audit = Audit(len(pruned))
        try:
            while waiting:  # two that sat in one slot at overlapping times take two rounds
                with make_engine(self.data, self.study.settings, self.timings) as engine:
                    waiting = self._round(waiting, engine, audit)
        finally:
            for resumed in self.slots.values():
                resumed.training.run.end("KILLED")
        return audit

    def _round(self, waiting: list[FrozenTrial], engine: Engine, audit: Audit) -> list[FrozenTrial]:
        """Train all that fit, from the study's first pass on; return the others."""
        while self.slots or any(_first_pass(trial) >= engine.next_pass for trial in waiting):
            self.interrupts.raise_received(f"the audit of study {self.study.name!r} was stopped")
            for trial in list(waiting):
                slot = int(trial.user_attrs[attributes.SLOT])
                if _first_pass(trial) == engine.next_pass and slot not in self.slots:
                    self.slots[slot] = self._begin(trial, slot, engine)
                    waiting.remove(trial)
            for slot, result in engine.run_pass().items():
                self._take(slot, result, engine, audit)
        return waiting

    def _begin(self, trial: FrozenTrial, slot: int, engine: Engine) -> _Resumed:
        settings = self.study.settings
        hyperparameters = Hyperparameters(**trial.params)
        tags = {"role": "audit", **self.study.tags, "original_trial": trial.number}
        run = Run.create(
            self.parent.tracker, f"audit-trial-{trial.number:03d}", tags=tags, parent=self.parent
        )
        given = trial_parameters(settings, hyperparameters, seat_of(trial))
        training = TrainingRun.begun(run, self.data, settings.data, given)
        engine.start(slot, hyperparameters)
        return _Resumed(trial, training)

    def _take(
        self, slot: int, result: EpochResult | DivergedError, engine: Engine, audit: Audit
    ) -> None:
        """Take in one epoch."""
        resumed = self.slots[slot]
        number, training = resumed.trial.number, resumed.training
        if isinstance(result, DivergedError):
            audit.diverged.append(number)
            self._end(slot, Ending.DIVERGED, str(result))
            return
        training.record(result)
        training.run.flush_when_due()
        if result.epoch == self.study.settings.epochs:
            engine.clear(slot)
            audit.values[number] = training.curves[self.study.settings.metric][-1]
            if self.standing.is_beaten_by(number, training.curves):
                audit.winners.append(number)
            self._end(slot, Ending.COMPLETE, "")

    def _end(self, slot: int, how: Ending, reason: str) -> None:
        resumed = self.slots.pop(slot)
        title = f"{trial_title(self.study, resumed.trial.number)}, had it not been pruned"
        resumed.training.log_ending(how, reason, title=title)
        resumed.training.run.end(how.mlflow_status)


def _first_pass(trial: FrozenTrial) -> int:
    return seat_of(trial).first_pass

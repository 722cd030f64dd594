"""What a study does between two passes: which trials end and why, and which begin.

Pure: no store, no clock, no training. Given the config and the results it always says the same, in
whatever order workers finish, so a study that was interrupted is replayed by handing it the results
that are on record.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from sweep.search.halving import BASELINE, Trial, first_rung, make_pruner
from sweep.search.sampler import Sampler
from sweep.search.trials import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import optuna

    from sweep.config import StudyConfig


@dataclass(frozen=True)
class Outcome:
    """What one epoch of a trial came to: the objective and the validation loss after it."""

    value: float
    loss: float


class Scheduler:
    """Decides for one study, pass by pass: `begin`, then `take`, and so on.

    Parameters
    ----------
    config : of the study.
    rows, classes, eigenvalues : of the training rows, see `sampler.Coordinates`.

    Attributes
    ----------
    next_pass : the number of the next pass.
    trials : all that have begun, by index.
    exhausted : whether a grid has no point left.
    """

    def __init__(
        self, config: StudyConfig, *, rows: int, classes: int, eigenvalues: Mapping[str, float]
    ) -> None:
        self.config, self.next_pass = config, 0
        self.trials: list[Trial] = []
        self.exhausted = False
        self._sampler = Sampler(config, rows=rows, classes=classes, eigenvalues=eigenvalues)
        self._pruner = make_pruner(config)

    @property
    def running(self) -> list[Trial]:
        """The trials that have not ended, by index."""
        return [trial for trial in self.trials if trial.status == Status.RUNNING]

    @property
    def finished(self) -> int:
        """How many trials are complete or pruned."""
        return sum(trial.status in (Status.COMPLETE, Status.PRUNED) for trial in self.trials)

    def begin(
        self, total: int, given: Callable[[int], Mapping[str, Any] | None] = lambda _: None
    ) -> list[Trial]:
        """Let trials begin with the next pass.

        Parameters
        ----------
        total : how many finished trials the study is to have; 0 where no more may begin.
        given : by index the setting of a trial that is on record, or all or part of one that
            somebody queued; what it lacks is proposed.
        """

        @cache
        def observe() -> optuna.Study:
            return self._sampler.observed(self.trials, first_rung(self.config))

        begun: list[Trial] = []
        running, finished = len(self.running), self.finished
        while running < self.config.slots and finished + running < total:
            index = len(self.trials)
            params = dict(given(index) or {})
            if len(params) < len(self.config.space.axes):
                proposed = self._sampler.propose(index, self.trials, observe)
                if proposed is None and not params:
                    self.exhausted = True
                    break
                params = {**(proposed or self.trials[0].params), **params}
            trial = Trial(index, params, self.next_pass)
            self.trials.append(trial)
            begun.append(trial)
            running += 1
        return begun

    def take(self, results: Mapping[int, Outcome | str]) -> list[Trial]:
        """Take in what a pass came to, by index; text says why a trial failed.

        Returns
        -------
        The trials that end with this pass, by index, with their status and reason.
        """
        advanced: list[Trial] = []
        ended: list[Trial] = []
        for trial in self.running:
            result = results[trial.index]
            if isinstance(result, str):
                trial.status, trial.reason = Status.FAILED, result
                ended.append(trial)
            else:
                trial.values.append(result.value)
                trial.losses.append(result.loss)
                advanced.append(trial)
        reasons = self._pruner.judge(advanced)
        for trial in advanced:
            if trial.epoch == self.config.epochs:
                trial.status = Status.COMPLETE
            elif trial.index in reasons and trial.index != BASELINE:
                trial.status, trial.reason = Status.PRUNED, reasons[trial.index]
            elif trial.index in reasons:
                trial.halted = trial.halted or trial.epoch
            if trial.status != Status.RUNNING:
                ended.append(trial)
        self.next_pass += 1
        return sorted(ended, key=lambda trial: trial.index)

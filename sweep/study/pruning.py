"""When a trial is given up early, and the sentence that says why."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from sweep.study.position import settled

if TYPE_CHECKING:
    import optuna
    from optuna.pruners import BasePruner
    from optuna.trial import FrozenTrial

    from sweep.settings import Settings
    from sweep.study.ending import Ending
    from sweep.study.opening import OpenStudy

MEDIAN_STARTUP_TRIALS = 5
WARMUP_SHARE = 10
"""The median pruner looks first after a tenth of the epochs."""


def pruner(settings: Settings) -> BasePruner:
    """Return the study's pruner."""
    from optuna import pruners

    if settings.pruner == "median":
        return pruners.MedianPruner(
            n_startup_trials=MEDIAN_STARTUP_TRIALS,
            n_warmup_steps=max(1, settings.epochs // WARMUP_SHARE),
        )
    if settings.pruner == "hyperband":
        from sweep.study.positioned import PositionedHyperband

        return PositionedHyperband(max_resource=settings.epochs)
    return pruners.NopPruner()


class Referee:
    """Decides about pruning from a copy of the study in memory.

    Optuna's own `should_prune` reads all trials from the store: 3 ms on SQLite, every epoch of
    every trial. The copy has the study's name and holds the trials that ended by themselves, each
    under its position, so that an interruption changes no decision: they draw Hyperband's brackets.

    Parameters
    ----------
    study
        The study; nothing is written to it.

    """

    def __init__(self, study: OpenStudy) -> None:
        import optuna

        self.settings = study.settings
        self.copy = optuna.create_study(
            study_name=study.name,
            direction=study.settings.direction,
            pruner=pruner(study.settings),
            sampler=optuna.samplers.RandomSampler(seed=0),
        )
        self.trial: optuna.Trial | None = None
        earlier = settled(study.trials())
        if self.settings.pruner != "hyperband":
            self.copy.add_trials(earlier)
            return
        for trial in earlier:
            self._replay(trial)

    def begin(self) -> None:
        """Take in that the next trial has begun."""
        self.trial = self.copy.ask()

    def why_prune(self, epoch: int, value: float) -> str | None:
        """Return why the trial ends after `epoch`; None where it goes on, as in the last epoch."""
        assert self.trial is not None  # noqa: S101 - begin comes first
        self.trial.report(value, epoch)
        if epoch == self.settings.epochs or not self.trial.should_prune():
            return None
        there = f"epoch {epoch}: {self.settings.metric} {value:.4f}"
        if self.settings.pruner != "median":
            return f"{there}, not among the best of its {self.settings.pruner} bracket"
        others = self._others(epoch)
        middle = median(others)
        return f"{there}, its best so far worse than the median {middle:.4f} of {len(others)}"

    def end(self, ending: Ending, value: float | None) -> None:
        """Take in how the trial ended."""
        assert self.trial is not None  # noqa: S101 - begin comes first
        self.copy.tell(self.trial, value, state=ending.state)
        self.trial = None

    def _replay(self, trial: FrozenTrial) -> None:
        """Judge a trial again: how far it came in its bracket stands in no store."""
        from optuna.trial import TrialState

        self.begin()
        for epoch, value in sorted(trial.intermediate_values.items()):
            self.why_prune(epoch, value)
        assert self.trial is not None  # noqa: S101 - begin sets it
        result = trial.value if trial.state == TrialState.COMPLETE else None
        self.copy.tell(self.trial, result, state=trial.state)

    def _others(self, epoch: int) -> list[float]:
        from optuna.trial import TrialState

        complete = self.copy.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return [
            other.intermediate_values[epoch]
            for other in complete
            if epoch in other.intermediate_values
        ]

"""When a trial is given up early, and the sentence that says why."""

from __future__ import annotations

from collections import defaultdict
from statistics import median
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import optuna

    from sweep.settings import Settings
    from sweep.study.ending import Ending

MEDIAN_STARTUP_TRIALS = 5
WARMUP_SHARE = 10
"""The median rule looks first after a tenth of the epochs."""


class Pruner(Protocol):
    """Judges the trials of a study, which are told apart by their position."""

    def why_prune(self, position: int, epoch: int, value: float) -> str | None:
        """Take in a value; return why the trial ends after `epoch`, None where it goes on."""

    def end(self, position: int, ending: Ending, curve: list[float]) -> None:
        """Take in how a trial ended, with its values after every epoch."""


class NoPruner(Pruner):
    """Lets every trial go on to its end."""

    def why_prune(self, position: int, epoch: int, value: float) -> None:
        """Never."""

    def end(self, position: int, ending: Ending, curve: list[float]) -> None:
        """Nothing to take in."""


class MedianPruner(Pruner):
    """Optuna's median rule, with the medians kept: its own reads every trial at every epoch.

    A trial ends where its best value so far is worse than the median of what the complete trials
    had after as many epochs, once there are five of them and a tenth of its epochs have passed.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.better: Callable[[float, float], float] = (
            max if settings.direction == "maximize" else min
        )
        self.warmup = max(1, settings.epochs // WARMUP_SHARE)
        self.best: dict[int, float] = {}
        self.complete: defaultdict[int, list[float]] = defaultdict(list)
        self.medians: dict[int, float] = {}

    def why_prune(self, position: int, epoch: int, value: float) -> str | None:
        """Compare the trial's best so far with the median."""
        best = self.best[position] = self.better(self.best.get(position, value), value)
        others = self.complete[epoch]
        too_soon = epoch < self.warmup or len(others) < MEDIAN_STARTUP_TRIALS
        if too_soon or epoch == self.settings.epochs:
            return None
        if epoch not in self.medians:
            self.medians[epoch] = median(others)
        middle = self.medians[epoch]
        if self.better(best, middle) == best:
            return None
        return (
            f"epoch {epoch}: {self.settings.metric} {value:.4f}, its best so far worse than the "
            f"median {middle:.4f} of {len(others)}"
        )

    def end(self, position: int, ending: Ending, curve: list[float]) -> None:
        """Count a complete trial among those that others are compared with."""
        self.best.pop(position, None)
        if ending == "complete":
            for epoch, value in enumerate(curve, start=1):
                self.complete[epoch].append(value)
            self.medians.clear()


class HyperbandPruner(Pruner):
    """Optuna's Hyperband, on the trials of a study in memory that are numbered by position."""

    def __init__(self, settings: Settings, trials: Mapping[int, optuna.Trial]) -> None:
        self.settings = settings
        self.trials = trials

    def why_prune(self, position: int, epoch: int, value: float) -> str | None:
        """Report the value and ask Optuna."""
        trial = self.trials[position]
        trial.report(value, epoch)
        if epoch == self.settings.epochs or not trial.should_prune():
            return None
        return (
            f"epoch {epoch}: {self.settings.metric} {value:.4f}, not among the best of its "
            "hyperband bracket"
        )

    def end(self, position: int, ending: Ending, curve: list[float]) -> None:
        """Nothing: the study in memory is told."""


def make_pruner(settings: Settings, trials: Mapping[int, optuna.Trial]) -> Pruner:
    """Return the study's pruner; `trials` are those that Hyperband judges, by position."""
    if settings.pruner == "median":
        return MedianPruner(settings)
    if settings.pruner == "hyperband":
        return HyperbandPruner(settings, trials)
    return NoPruner()

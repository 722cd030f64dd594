"""Which trials end early, and why: pure rules over the values after each epoch.

Successive halving (the default) and Hyperband follow Jamieson and Talwalkar, "Non-stochastic Best
Arm Identification and Hyperparameter Optimization", AISTATS 2016, and Li et al., "Hyperband", JMLR
2018. Here trials come in waves, so a trial must be among the best of all that ever reached a rung,
and among the best of those that reach it in the same pass: without the second condition pruning
fades as later trials get better.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, insort
from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from sweep.config import HALVING
from sweep.search.trials import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweep.config import StudyConfig

Key: TypeAlias = tuple[float, float, int]
"""What trials are ordered by, the best first: objective, then validation loss, then index."""

BASELINE = 0
"""The index of the report's own setting, which always goes on."""
MEDIAN_TRIALS = 5
"""The median rule waits for so many complete trials..."""
MEDIAN_WARMUP = 0.1
"""...and for this share of a trial's epochs."""
NEEDED = re.compile(r"needed (-?\d+\.\d+)")
"""In the reason of a pruned trial."""


@dataclass(eq=False)
class Trial:
    """A trial as the search sees it.

    Attributes
    ----------
    index : its place in the order in which the study's trials begin, from 0.
    params : the setting.
    first_pass : its first epoch.
    values, losses : the objective and the validation loss after each epoch.
    halted : the epoch after which the rule would have ended the baseline; None if it would not.
    """

    index: int
    params: dict[str, Any]
    first_pass: int
    values: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    status: Status = Status.RUNNING
    reason: str = ""
    halted: int | None = None

    @property
    def epoch(self) -> int:
        """How many epochs it has had."""
        return len(self.values)

    def key(self, epoch: int, sign: int) -> Key:
        """Return what it is ordered by after an epoch; `sign` is -1 where more is better."""
        return sign * self.values[epoch - 1], self.losses[epoch - 1], self.index


def rungs(epochs: int, eta: int) -> list[int]:
    """Return the epochs after which trials are compared: half of all, rounded up, a third, ...

    With eta in place of three: ceil(epochs / (2 eta^k)), k = 0, 1, 2.
    """
    return sorted({math.ceil(epochs / (2 * eta**k)) for k in range(3)} - {epochs})


def rungs_of(config: StudyConfig) -> list[int]:
    """Return the rungs of a study; the pruners that are no halving have none."""
    return rungs(config.epochs, config.eta) if config.pruner in HALVING else []


def needed(reason: str) -> float | None:
    """Return the value that a pruned trial would have needed, from its reason on record."""
    match = NEEDED.search(reason)
    return None if match is None else float(match[1])


def first_rung(config: StudyConfig) -> int:
    """Return the epoch after which trials can be compared, since nearly all have it.

    The sampler learns from then on, and what is said of the space rests on it. Where nothing is
    pruned, or there is no rung, it is the last epoch.
    """
    if config.pruner == "none":
        return config.epochs
    return min(rungs(config.epochs, config.eta), default=config.epochs)


class Pruner(Protocol):
    """A rule that is told of every pass, in order."""

    def judge(self, advanced: Sequence[Trial]) -> dict[int, str]:
        """Take in the trials that just had an epoch; return by index why some of them end."""


class Halving:
    """Successive halving of all trials, or within the brackets of Hyperband."""

    def __init__(self, config: StudyConfig, *, brackets: bool = False) -> None:
        self.config, self._brackets = config, brackets
        self.rungs = rungs(config.epochs, config.eta)
        self._reached: defaultdict[tuple[int, int], list[Key]] = defaultdict(list)

    def bracket(self, index: int) -> int:
        """Return a trial's bracket: how many of the first rungs let it pass."""
        if not self._brackets:
            return 0
        zeros = (index & -index).bit_length() - 1 if index else len(self.rungs)
        return min(zeros, len(self.rungs))

    def judge(self, advanced: Sequence[Trial]) -> dict[int, str]:
        """Compare those at a rung with all that ever reached it, and with each other."""
        reasons: dict[int, str] = {}
        for level in reversed(range(len(self.rungs))):
            rung = self.rungs[level]
            waves: defaultdict[int, list[Trial]] = defaultdict(list)
            for trial in advanced:
                if trial.epoch == rung and self.bracket(trial.index) <= level:
                    waves[self.bracket(trial.index)].append(trial)
            for bracket, wave in sorted(waves.items()):
                keys = sorted(trial.key(rung, self.config.sign) for trial in wave)
                everyone = self._reached[level, bracket]
                for key in keys:
                    insort(everyone, key)
                for trial in wave:
                    reason = self._why(trial, rung, everyone, keys)
                    if reason is not None:
                        reasons[trial.index] = reason
        return reasons

    def _why(self, trial: Trial, rung: int, everyone: list[Key], wave: list[Key]) -> str | None:
        key = trial.key(rung, self.config.sign)
        for keys, whom in ((everyone, "so far"), (wave, "in this pass")):
            places = math.ceil(len(keys) / self.config.eta)
            if bisect_left(keys, key) >= places:
                needed = self.config.sign * keys[places - 1][0]
                tie = " and less loss" if needed == trial.values[-1] else ""
                return (
                    f"rung {rung}: {self.config.signal} {trial.values[-1]:.4f}, needed "
                    f"{needed:.4f}{tie} to be among the best {places} of {len(keys)} {whom}"
                )
        return None


class Median:
    """Ends a trial whose best so far is worse than the median of the complete ones by then."""

    def __init__(self, config: StudyConfig) -> None:
        self.config = config
        self._warmup = max(1, int(config.epochs * MEDIAN_WARMUP))
        self._complete: list[list[float]] = []

    def judge(self, advanced: Sequence[Trial]) -> dict[int, str]:
        """Compare each trial with the trials that were complete before this pass."""
        sign, reasons = self.config.sign, {}
        for trial in advanced:
            epoch = trial.epoch
            too_soon = epoch < self._warmup or len(self._complete) < MEDIAN_TRIALS
            if too_soon or epoch == self.config.epochs:
                continue
            best = sign * min(sign * value for value in trial.values)
            middle = median(values[epoch - 1] for values in self._complete)
            if sign * best > sign * middle:
                reasons[trial.index] = (
                    f"epoch {epoch}: {self.config.metric} {best:.4f} at best, needed {middle:.4f}, "
                    f"the median of {len(self._complete)} complete trials"
                )
        self._complete += [t.values for t in advanced if t.epoch == self.config.epochs]
        return reasons


class NoPruner:
    """Lets every trial go on to its end."""

    def judge(self, advanced: Sequence[Trial]) -> dict[int, str]:  # noqa: ARG002 - as the others
        """End none."""
        return {}


def make_pruner(config: StudyConfig) -> Pruner:
    """Return the study's pruner."""
    makers: dict[str, Pruner] = {
        "halving": Halving(config),
        "hyperband": Halving(config, brackets=True),
        "median": Median(config),
        "none": NoPruner(),
    }
    return makers[config.pruner]

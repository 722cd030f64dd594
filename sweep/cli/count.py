"""How far a running study is, counted from what it tells its listener."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweep.search.listener import Listener
from sweep.search.trials import Status, rank

if TYPE_CHECKING:
    from rich.console import Console

    from sweep.config import StudyConfig
    from sweep.search.trials import TrialRecord


@dataclass(frozen=True)
class Leader:
    """The best result or, until there is one, the best value of a trial in training."""

    word: str
    value: float
    number: int

    def __str__(self) -> str:
        return f"{self.word} {self.value:.4f} (trial {self.number})"


class Count(Listener):
    """Counts epochs and trials: how far a study is, and how long the rest may take."""

    def __init__(self, console: Console, config: StudyConfig, *, total: int) -> None:
        self.console, self.config = console, config
        self.done, self.total = 0, total
        self.epochs: dict[int, int] = {}  # of the trials in training
        self.values: dict[int, float] = {}
        self.best: TrialRecord | None = None
        self.trained = 0
        self.began = time.monotonic()
        self._rank = rank(config)

    @property
    def epochs_done(self) -> int:
        """Epochs behind us, as if every finished trial had had all of its own."""
        return self.done * self.config.epochs + sum(self.epochs.values())

    @property
    def seconds_left(self) -> float:
        """As long as all that is missing takes, at the pace so far; pruning shortens it."""
        missing = self.total * self.config.epochs - self.epochs_done
        return (time.monotonic() - self.began) * max(0, missing) / max(1, self.trained)

    @property
    def leader(self) -> Leader | None:
        """Who stands best; None before the first epoch."""
        if self.best is not None:
            return Leader("best", self.best.last(self.config.metric), self.best.number)
        standing = [(self.values[n], n) for n, epochs in self.epochs.items() if epochs]
        ahead = min(standing, key=lambda one: (self.config.sign * one[0], one[1]), default=None)
        return None if ahead is None else Leader("leading", *ahead)

    def trial_began(self, number: int) -> None:
        """Count it among those in training."""
        self.epochs[number] = 0

    def epoch_ended(self, number: int, epoch: int, value: float) -> None:
        """Remember where the trial stands."""
        self.trained += 1
        self.epochs[number], self.values[number] = epoch, value

    def trial_known(self, trial: TrialRecord) -> None:
        """Count a trial that an earlier run of the study has ended."""
        self.done += trial.status in (Status.COMPLETE, Status.PRUNED)
        if trial.status == Status.COMPLETE:
            self.best = trial if self.best is None else min(self.best, trial, key=self._rank)

    def trial_ended(self, trial: TrialRecord) -> None:
        """Count the trial if it counts, and remember the best."""
        del self.epochs[trial.number]
        self.trial_known(trial)

    def warned(self, text: str) -> None:
        """Print it."""
        print_plainly(self.console, f"warning: {text}")


def print_plainly(console: Console, text: str) -> None:
    """Print a line as it is: a reason may hold what rich would read as markup."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)

"""How a running study stands: kept up to date, where reading all trials again would cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweep.study.ending import Ending
from sweep.study.results import best_trial, last_value, tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna.trial import FrozenTrial

    from sweep.curves import Curves
    from sweep.settings import Settings


@dataclass(frozen=True)
class Best:
    """The best complete trial so far: its number, the objective's value, and both of its rows'."""

    number: int
    value: float
    val_accuracy: float
    val_loss: float


class Standing:
    """Counts the finished trials, and knows the best of them.

    Parameters
    ----------
    settings
        The study's.
    trials
        Those that there are already.

    """

    def __init__(self, settings: Settings, trials: Sequence[FrozenTrial]) -> None:
        self.settings = settings
        self.finished = tally(trials).finished
        self.best: Best | None = None
        best = best_trial(settings, trials)
        if best is not None:
            self.best = Best(
                best.number,
                best.value or 0.0,
                last_value(best, "val/accuracy"),
                last_value(best, "val/loss"),
            )

    def take(self, number: int, ending: Ending, curves: Curves) -> bool:
        """Take in how a trial ended; return whether it counts as finished."""
        if ending == Ending.COMPLETE and self.is_beaten_by(number, curves):
            self.best = self._result(number, curves)
        counts = ending in (Ending.COMPLETE, Ending.PRUNED)
        self.finished += counts
        return counts

    def is_beaten_by(self, number: int, curves: Curves) -> bool:
        """Whether a trial that ends with these curves is better than the best."""
        return self.best is None or self._rank(self._result(number, curves)) < self._rank(self.best)

    def _result(self, number: int, curves: Curves) -> Best:
        last = {metric: values[-1] for metric, values in curves.items()}
        return Best(number, last[self.settings.metric], last["val/accuracy"], last["val/loss"])

    def _rank(self, best: Best) -> tuple[float, float, int]:
        """Ties go to the lower validation loss, then to the earlier trial."""
        return self.settings.sign * best.value, best.val_loss, best.number

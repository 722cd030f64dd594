"""What a worker knows of its study: proposals, the best so far, failures, of all workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.study import attributes
from sweep.study.ending import Ending
from sweep.study.failures import Failures
from sweep.study.results import ending
from sweep.study.standing import Standing
from sweep.workers.lookout import Lookout
from sweep.workers.shared_ledger import SharedLedger

if TYPE_CHECKING:
    from collections.abc import Collection, Container

    from optuna.trial import FrozenTrial

    from sweep.curves import Curves
    from sweep.study.opening import OpenStudy
    from sweep.study.trial_life import TrialLife


class Findings:
    """Kept up to date by looks at the store, and by this worker's own trials as they end.

    Parameters
    ----------
    study
        A shared one.

    """

    def __init__(self, study: OpenStudy) -> None:
        self.study = study
        self.lookout = Lookout(study)
        self.ledger = SharedLedger(study.settings)
        self.standing = Standing(study.settings, [])
        self.failures = Failures()

    def look(self, own: Container[int], claimed: Collection[int]) -> dict[int, FrozenTrial]:
        """Take in what others found; return the claimed trials by number. `own` train here."""
        news = self.lookout.look(claimed)
        for trial in self.ledger.take_in(news, own):
            how = ending(trial)
            assert how is not None  # noqa: S101 - it has ended
            self._count(trial.number, how, trial.user_attrs.get(attributes.CURVES, {}))
        self.failures.positions |= self.lookout.failed
        return {trial.number: trial for trial in news if trial.number in claimed}

    def take(self, life: TrialLife, how: Ending, reason: str) -> None:
        """Take in how a trial of this worker ended.

        Raises
        ------
        SweepError
            It is the last in a row of failures.

        """
        self.ledger.end(life.number, how, life.values)
        self._count(life.number, how, life.training.curves)
        self.failures.refuse_row(self.study.name, life.number, reason)

    def _count(self, number: int, how: Ending, curves: Curves) -> None:
        if how in (Ending.COMPLETE, Ending.PRUNED):
            self.standing.take(number, how, curves)
        else:
            self.failures.add(number)

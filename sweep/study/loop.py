"""One `sweep run` of a study: from its lock to its champion."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from sweep.engine import make_engine
from sweep.errors import StoreUnreachableError, SweepError
from sweep.study.conclusion import conclude
from sweep.study.interrupts import InterruptedStudyError, Interrupts
from sweep.study.keeper import Keeper
from sweep.study.lock import study_lock
from sweep.study.passes import Budget, Passes
from sweep.study.reconcile import reconcile, unfinished_runs
from sweep.study.results import tally
from sweep.study.study_run import complete_progress, log_overview, open_study_run
from sweep.study.trial_lives import TrialLives

if TYPE_CHECKING:
    from sweep.data import Prepared
    from sweep.study.listener import Listener
    from sweep.study.opening import OpenStudy
    from sweep.timings import Timings
    from sweep.tracking.run import Run
    from sweep.tracking.tracker import Tracker


class StudyLoop:
    """One `sweep run` of a study.

    Parameters
    ----------
    study
        The study, begun.
    data
        What its trials train on.
    tracker
        The MLflow store.
    listener
        Who watches.
    timings
        Where the time goes.

    """

    def __init__(
        self,
        study: OpenStudy,
        data: Prepared,
        tracker: Tracker,
        listener: Listener,
        timings: Timings,
    ) -> None:
        self.study = study
        self.data = data
        self.tracker = tracker
        self.listener = listener
        self.timings = timings
        self.interrupts = Interrupts()
        self.operations = 0.0
        """Useful floating-point operations of this run's training and evaluation."""

    def run(self, budget: Budget) -> str:
        """Finish the trials that are missing and say in a phrase why the study stopped.

        Raises
        ------
        InterruptedStudyError
            After Ctrl-C or SIGTERM; both stores say what happened.
        SweepError
            Another process runs the study, or every trial fails.
        StoreUnreachableError
            A store is gone; what it has is kept.

        """
        with study_lock(self.study.name), self.interrupts.listening():
            keeper = Keeper(self.study, self.tracker, self.listener.warned)
            keeper.courier.send_left()
            parent = open_study_run(self.study, self.tracker, self.data)
            reconcile(self.study, parent, self.data)
            complete_progress(parent, self.study)
            parent.flush()
            try:
                why = self._run_trials(budget, parent, keeper)
                conclude(parent, self.study, self.listener.warned)
            except InterruptedStudyError:
                with suppress(StoreUnreachableError):
                    log_overview(parent, self.study)
                    parent.end("KILLED")
                raise
            except StoreUnreachableError:
                raise  # nothing more can be written; the next start makes the stores agree
            except Exception:
                with suppress(SweepError):
                    parent.end("FAILED")
                raise
            parent.end("FINISHED")
            return why

    def _run_trials(self, budget: Budget, parent: Run, keeper: Keeper) -> str:
        """Train what is missing, and wait until MLflow has all of it."""
        if tally(self.study.trials()).finished >= budget.trials:
            return f"{budget.trials} of {budget.trials} trials were finished already"
        runs = unfinished_runs(self.study, self.tracker, keeper.found_states())
        lives = TrialLives(self.study, parent, self.data, self.timings, runs)
        with make_engine(self.data, self.study.settings, self.timings) as engine, keeper.courier:
            try:
                why = Passes(lives, engine, keeper, self.listener).run(budget, self.interrupts)
            except InterruptedStudyError:
                with suppress(StoreUnreachableError):  # then it is sent by the next run
                    keeper.courier.drain(patience=0)
                raise
            finally:
                self.operations = engine.operations
            parent.flush()
            keeper.courier.drain()
        keeper.forget()
        return why

"""Run a study: ask, train, record, prune, tell, until the budget is spent."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweep.errors import StoreUnreachableError, SweepError
from sweep.objective import train_trial
from sweep.study.asking import ask
from sweep.study.champion import crown_chosen
from sweep.study.drive import drive
from sweep.study.ending import Ending
from sweep.study.interrupts import InterruptedStudyError, Interrupts
from sweep.study.lock import study_lock
from sweep.study.pruning import Referee
from sweep.study.reconcile import heal, reconcile
from sweep.study.results import best_trial, tally
from sweep.study.storage import reaching_store
from sweep.study.study_run import log_overview, log_progress, open_study_run
from sweep.study.trial_life import TrialLife

if TYPE_CHECKING:
    from model.reference import EpochResult
    from sweep.data import Prepared
    from sweep.study.asking import Asked
    from sweep.study.listener import Listener
    from sweep.study.opening import OpenStudy
    from sweep.timings import Timings
    from sweep.tracking.run import Run
    from sweep.tracking.tracker import Tracker

FAILURES_IN_A_ROW = 10
"""So many trials that fail one after another are a mistake in the space, not bad luck."""


@dataclass(frozen=True)
class Budget:
    """How long a study runs: finished trials in total, and seconds of this run."""

    trials: int
    seconds: float | None = None


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
            heal(self.study)
            parent = open_study_run(self.study, self.tracker, self.data)
            reconcile(self.study, parent, self.data)
            try:
                why = self._run_trials(budget, parent, Referee(self.study))
                self._conclude(parent)
            except InterruptedStudyError:
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

    def _run_trials(self, budget: Budget, parent: Run, referee: Referee) -> str:
        began, failures = time.monotonic(), 0
        if tally(self.study.trials()).finished >= budget.trials:
            return f"{budget.trials} of {budget.trials} trials were finished already"
        while tally(self.study.trials()).finished < budget.trials:
            self._stop_if_asked_to()
            if budget.seconds is not None and time.monotonic() - began >= budget.seconds:
                return f"the time of {budget.seconds:g} s is up"
            with self.timings.part("sampling"), reaching_store():
                asked = ask(self.study)
            if asked is None:
                return "the grid has no point left"
            ending, reason = self._run_trial(asked, parent, referee)
            failures = failures + 1 if ending in (Ending.DIVERGED, Ending.ERROR) else 0
            if failures == FAILURES_IN_A_ROW:
                raise SweepError(
                    f"study {self.study.name!r}: {failures} trials in a row failed, the last "
                    f"because: {reason}; narrow the space, e.g. --set learning_rate=1e-4:1e-2:log"
                )
        return f"{budget.trials} of {budget.trials} trials finished"

    def _run_trial(self, asked: Asked, parent: Run, referee: Referee) -> tuple[Ending, str]:
        number = asked.trial.number
        self.listener.trial_began(number)
        referee.begin()
        life = TrialLife(self.study, asked, parent, self.data, self.timings)
        ending, reason = self._train(asked, life, referee)
        trouble = life.end(ending, reason)
        if trouble is not None:
            self.listener.warned(f"trial {number}: not all of its figures and files: {trouble}")
        referee.end(ending, life.value if ending == Ending.COMPLETE else None)
        log_progress(parent, self.study)
        best = best_trial(self.study.settings, self.study.trials())
        self.listener.trial_ended(number, ending, reason, best)
        return ending, reason

    def _stop_if_asked_to(self) -> None:
        received = self.interrupts.received
        if received is not None:
            raise InterruptedStudyError(
                f"study {self.study.name!r} stopped by {received.name}: "
                f"{tally(self.study.trials())}; the same command goes on from here",
                received,
            )

    def _train(self, asked: Asked, life: TrialLife, referee: Referee) -> tuple[Ending, str]:
        settings = self.study.settings
        epochs = train_trial(
            self.data,
            asked.hyperparameters,
            loss=settings.loss,
            epochs=settings.epochs,
            seed=asked.seed,
        )

        def take(result: EpochResult) -> str | None:
            value = life.record(result)
            self.listener.epoch_ended(asked.trial.number, result.epoch, value)
            with self.timings.part("sampling"):
                return referee.why_prune(result.epoch, value)

        return drive(epochs, take, self.interrupts, self.timings)

    def _conclude(self, parent: Run) -> None:
        log_overview(parent, self.study)
        try:
            crown_chosen(self.study, self.tracker)
        except StoreUnreachableError:
            raise
        except SweepError as error:  # the study is done all the same
            self.listener.warned(f"no champion is registered: {error}")

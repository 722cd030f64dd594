"""One worker of a shared study: it joins, trains what is missing, and leaves both stores whole."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

from sweep.engine import make_engine
from sweep.errors import StoreUnreachableError
from sweep.layout import MOST_SLOTS, LayoutChoice
from sweep.study import attributes
from sweep.study.interrupts import InterruptedStudyError, Interrupts
from sweep.study.results import tally
from sweep.tracking.courier import Courier
from sweep.workers.heartbeat import Heartbeat
from sweep.workers.leased_trials import LeasedTrials
from sweep.workers.leases import Leases
from sweep.workers.mailbox import own_outbox, send_left
from sweep.workers.reports import Reports
from sweep.workers.settling import Settling
from sweep.workers.shift import Shift

if TYPE_CHECKING:
    from sweep.data import Prepared
    from sweep.study.listener import Listener
    from sweep.study.opening import OpenStudy
    from sweep.timings import Timings
    from sweep.tracking.outbox import Outbox
    from sweep.tracking.run import Run
    from sweep.tracking.tracker import Tracker


class Worker:
    """Trains trials of a shared study, beside any number of others.

    Parameters
    ----------
    study
        A shared one.
    data
        What its trials train on.
    tracker
        The MLflow store.
    listener
        Who watches.
    timings
        Where the time goes.
    choice
        Its slots and threads, as far as they are not left to the machine; not its width.

    """

    def __init__(
        self,
        study: OpenStudy,
        data: Prepared,
        tracker: Tracker,
        listener: Listener,
        timings: Timings,
        *,
        choice: LayoutChoice,
    ) -> None:
        layout = choice.for_worker(study.settings.layout)
        self.study = replace(study, settings=replace(study.settings, layout=layout))
        self.data, self.tracker = data, tracker
        self.listener, self.timings = listener, timings
        self.interrupts = Interrupts()
        self.operations = 0.0
        """Useful floating-point operations of this worker's training and evaluation."""

    def run(self, seconds: float | None = None) -> str:
        """Train until the study has all its trials, and say in a phrase why this worker stopped.

        With `seconds` it claims no further trial after so long.

        Raises
        ------
        InterruptedStudyError
            After Ctrl-C or SIGTERM; what trained went back to the study.
        SweepError
            Every trial fails.
        StoreUnreachableError
            A store is gone for long; others take over.

        """
        name = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
        leases = Leases(self.study, name)
        settling = Settling(leases, self.tracker, self.data, self.listener, self.interrupts)
        with self.interrupts.listening(), own_outbox(self.study, name) as outbox:
            settling.has_surplus = send_left(self.study, self.tracker, self.listener.warned)
            parent = settling.begin()
            try:
                over = self._train(leases, settling, parent, outbox, seconds)
            except InterruptedStudyError:
                with suppress(StoreUnreachableError):
                    settling.end(parent, over=False)
                raise
            settling.end(parent, over=over)
        finished = tally(self.study.trials()).finished
        budget = self.study.attribute(attributes.BUDGET)
        if over and finished < budget:
            return f"{finished} of {budget} trials finished, and the grid has no point left"
        return f"{finished} trials finished" if over else f"the time of {seconds:g} s is up"

    def _train(
        self,
        leases: Leases,
        settling: Settling,
        parent: Run,
        outbox: Outbox,
        seconds: float | None,
    ) -> bool:
        """Train what can be claimed, and wait until MLflow has all of it."""
        warned = self.listener.warned
        number = settling.number = leases.join()
        trials = LeasedTrials(leases, parent, self.data, self.timings)
        courier = Courier(self.tracker, outbox, warned)
        with (
            make_engine(
                self.data, self.study.settings, self.timings, number * MOST_SLOTS
            ) as engine,
            Heartbeat(leases, warned) as heartbeat,
            courier,
        ):
            reports = Reports(courier, heartbeat)
            shift = Shift(trials, engine, reports, settling, self.listener)
            try:
                over = shift.run(seconds, self.interrupts)
                courier.drain()
                reports.let_go()
            except StoreUnreachableError:
                raise  # nothing can be given back; the others find out
            except BaseException:
                with suppress(StoreUnreachableError):
                    shift.give_back()
                    courier.drain(patience=0)  # else the next worker here sends it
                    reports.let_go()
                raise
            finally:
                self.operations = engine.operations
            return over

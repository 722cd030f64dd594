"""What workers do once for all of them: heal both stores, and conclude the study."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sweep.study import attributes
from sweep.study.conclusion import conclude
from sweep.study.reconcile import reconcile
from sweep.study.storage import locked, trying_lock
from sweep.study.study_run import complete_progress, open_study_run
from sweep.tracking.contact import hasty
from sweep.workers.patience import patiently

if TYPE_CHECKING:
    from sweep.data import Prepared
    from sweep.study.interrupts import Interrupts
    from sweep.study.listener import Listener
    from sweep.tracking.run import Run
    from sweep.tracking.tracker import Tracker
    from sweep.workers.leases import Leases

POLL_SECONDS = 0.5
PROGRESS_SECONDS, LONGEST_PROGRESS = 10.0, 300.0
"""Between two notes of the best so far: by worker 0, and at most by any of a thousand others."""


class Settling:
    """One worker's part in what one of them does for all, each time under the study's lock.

    Parameters
    ----------
    leases
        Of the study.
    tracker
        The MLflow store.
    data
        What its trials train on.
    listener
        Told in a line what went wrong without harm.
    interrupts
        End the waiting for others.

    """

    def __init__(
        self,
        leases: Leases,
        tracker: Tracker,
        data: Prepared,
        listener: Listener,
        interrupts: Interrupts,
    ) -> None:
        self.study, self.leases = leases.study, leases
        self.tracker, self.data = tracker, data
        self.listener, self.interrupts = listener, interrupts
        self.has_surplus = False
        """Whether this worker sent runs of trials of which others made one as well."""
        self.number = 0
        """The worker's, from 0; the higher, the less often it notes what all of them found."""
        self._noted = time.monotonic()

    @patiently
    def begin(self) -> Run:
        """Return the study's own run; the first worker of all makes both stores agree before."""
        with locked(self.study.storage, self._lock), hasty():
            parent = open_study_run(self.study, self.tracker, self.data)
            if not self.leases.alive():
                self._reconcile(parent)
            return parent

    def note_progress(self, parent: Run) -> None:
        """Log the best so far, where that is due and nobody else does."""
        pause = min(PROGRESS_SECONDS * (self.number + 1), LONGEST_PROGRESS)
        if time.monotonic() - self._noted < pause:
            return
        self._noted = time.monotonic()
        with trying_lock(self.study.storage, self._lock) as held:
            if held:
                complete_progress(parent, self.study)
                news = parent.take_news()
                self.tracker.deliver([news] if news else [])

    @patiently
    def end(self, parent: Run, *, over: bool) -> None:
        """Leave the study; the last worker makes both stores agree, and concludes it if it is over.

        Where it is over, all wait until MLflow has what the others found, or until they are dead.

        Raises
        ------
        InterruptedStudyError
            After Ctrl-C or SIGTERM while it waits.

        """
        while over and self.leases.alive():
            self.interrupts.raise_received(
                f"a worker of study {self.study.name!r} stopped while others end: nothing is lost"
            )
            time.sleep(POLL_SECONDS)
        with locked(self.study.storage, self._lock), hasty():
            if self.leases.alive():
                return
            settled = self.study.attribute(attributes.SETTLED)
            is_settled = over and settled == len(self.study.trials())
            if self.has_surplus or not is_settled:
                self._reconcile(parent)
            if not is_settled:
                self._conclude(parent, over=over)
            parent.end("FINISHED" if over else "KILLED")

    def _reconcile(self, parent: Run) -> None:
        rebuilt: list[int] = []
        reconcile(self.study, parent, self.data, rebuilt.append)
        if rebuilt:
            self.listener.warned(
                f"the runs of {len(rebuilt)} trials are made from the record, without images and "
                f"weights, as their workers are gone: {', '.join(map(str, rebuilt))}; what waits "
                f"on their machines is sent by `sweep worker {self.study.name}` there"
            )

    def _conclude(self, parent: Run, *, over: bool) -> None:
        complete_progress(parent, self.study)
        parent.flush()
        if over:
            conclude(parent, self.study, self.listener.warned)
            self.study.set_attribute(attributes.SETTLED, len(self.study.trials()))

    @property
    def _lock(self) -> str:
        return f"settling-{self.study.identity}"

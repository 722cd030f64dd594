"""What a worker tells MLflow, and which of its ended trials MLflow does not have all of yet."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sweep.tracking.courier import Courier
    from sweep.tracking.run import Run
    from sweep.workers.heartbeat import Heartbeat
    from sweep.workers.lease import Lease

SEND_SECONDS = 2.0
"""Between two letters with what was measured."""


class Reports:
    """Sends what runs measure, and lets go of a trial once the last of it has arrived.

    Until then its heartbeat goes on: so nobody takes its run for one that a dead worker left.

    Parameters
    ----------
    courier
        Sends to MLflow.
    heartbeat
        Keeps leases alive.

    """

    def __init__(self, courier: Courier, heartbeat: Heartbeat) -> None:
        self.courier, self.heartbeat = courier, heartbeat
        self._ended: dict[Lease, int] = {}  # with the letter that tells of it
        self._sent = time.monotonic()

    def ended(self, lease: Lease, letter: int) -> None:
        """Take in that a trial has ended, of which a letter tells."""
        self._ended[lease] = letter

    def send_when_due(self, runs: Iterable[Run]) -> None:
        """Send what these runs measured, unless something was sent just now or is on its way.

        So a server that is behind gets fewer and longer letters, and not ever more of them.
        """
        if time.monotonic() - self._sent < SEND_SECONDS or self.courier.outbox.waiting():
            return
        self._sent = time.monotonic()
        news = [waiting for run in runs if (waiting := run.take_news())]
        if news:
            self.courier.post(news)

    def let_go(self) -> None:
        """Let go of the ended trials of which MLflow has everything."""
        outbox = self.courier.outbox
        arrived = [lease for lease, letter in self._ended.items() if not outbox.waits(letter)]
        for lease in arrived:
            self.heartbeat.drop(lease)
            del self._ended[lease]
        if arrived:
            self.heartbeat.leases.forget(arrived)

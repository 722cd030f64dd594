"""Signs of life for all trials of a worker, from one thread that nothing else waits for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from sweep.errors import StoreUnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sweep.workers.lease import Lease
    from sweep.workers.leases import Leases

BEATS = 6
"""Heartbeats within the grace: so many in a row may be missed."""
LONGEST_PAUSE = 10.0


class Heartbeat:
    """Keeps leases alive for the length of a block, and reports how their trials stand.

    Parameters
    ----------
    leases
        Of the study.
    warned
        Told in a line when the database is away or back.

    """

    def __init__(self, leases: Leases, warned: Callable[[str], None]) -> None:
        self.leases, self._warned = leases, warned
        self.seconds = min(leases.grace / BEATS, LONGEST_PAUSE)
        self._held: dict[Lease, Sequence[float]] = {}
        self._lost: set[Lease] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._away = False
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def hold(self, lease: Lease, values: Sequence[float]) -> None:
        """Keep a lease alive; `values`, the objective after each epoch, may grow meanwhile."""
        with self._lock:
            self._held[lease] = values

    def drop(self, lease: Lease) -> None:
        """Let a lease be."""
        with self._lock:
            self._held.pop(lease, None)
            self._lost.discard(lease)

    def lost(self) -> set[Lease]:
        """Return the leases that another worker has meanwhile."""
        with self._lock:
            return set(self._lost)

    def _run(self) -> None:
        while not self._stopping.wait(self.seconds):
            try:
                self._beat()
            except StoreUnreachableError as error:
                self._say(str(error))
            except Exception as error:  # noqa: BLE001 - whatever it is, the next beat may succeed
                self._say(f"no sign of life could be given: {type(error).__name__}: {error}")

    def _beat(self) -> None:
        with self._lock:
            curves = {lease: tuple(values) for lease, values in self._held.items()}
        lost = self.leases.beat(curves)
        with self._lock:
            self._lost |= lost & self._held.keys()
        if self._away:
            self._away = False
            self._warned("the study's database is back")

    def _say(self, text: str) -> None:
        if not self._away:
            self._away = True
            self._warned(text)

"""Ctrl-C and SIGTERM: the first asks for an orderly end, a second one ends at once."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from sweep.errors import SweepError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
STDERR = 2
AT_ONCE = b"\nsweep: stopped at once; the same command goes on from here\n"
"""After a second signal, written past Python's buffers: they may be locked by whoever is stuck."""


class InterruptedStudyError(SweepError):
    """The study was stopped from outside; its state is saved."""

    label = "stopped"

    def __init__(self, message: str, received: signal.Signals) -> None:
        super().__init__(message)
        self.exit_code = 128 + received  # 130 for SIGINT, 143 for SIGTERM, as shells have it


class Interrupts:
    """Remembers the first signal, so that a loop may end between two epochs."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None

    @contextmanager
    def listening(self) -> Iterator[Interrupts]:
        """Catch the signals for the length of a block.

        A shell script starts background commands with SIGINT ignored, so handlers are set
        explicitly, whatever was there. Only the main thread gets signals: elsewhere `stop` says it.
        """
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {number: signal.signal(number, self._remember) for number in SIGNALS}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def stop(self, number: signal.Signals) -> None:
        """Ask for an orderly end, as a first signal does."""
        self.received = self.received or number

    def raise_received(self, message: str) -> None:
        """Raise if a signal came."""
        if self.received is not None:
            raise InterruptedStudyError(message, self.received)

    def _remember(self, number: int, _frame: FrameType | None) -> None:
        if self.received is not None:
            with suppress(OSError):  # nobody may be left to read it
                os.write(STDERR, AT_ONCE)
            os._exit(128 + number)
        self.received = signal.Signals(number)

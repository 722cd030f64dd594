"""Delivers letters to MLflow beside the training, however long the store may be away."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from sweep.errors import StoreUnreachableError
from sweep.tracking.address import mask
from sweep.tracking.contact import hasty

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sweep.tracking.news import News
    from sweep.tracking.outbox import Outbox
    from sweep.tracking.tracker import Record, Tracker

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 10.0
"""Seconds between two attempts while the store is away; each pause is twice the last."""
PATIENCE = 60.0
"""Seconds that a study which is done waits for a store to come back."""
REFUSED = frozenset(
    {"INVALID_PARAMETER_VALUE", "RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST"}
)
"""What a store says of a letter that it will never take, e.g. since somebody deleted the run."""


class Courier:
    """Sends what a tracker is given by way of an outbox, on a thread of its own.

    As long as the block lasts, the tracker's news wait on disk until they have arrived: nothing
    waits for the store, and a store that is away gets all of it when it is back.

    Parameters
    ----------
    tracker
        Whose news are sent.
    outbox
        Where they wait; what an earlier process left there is sent first.
    warned
        Told in a line when the store is gone or back, and of letters that it refuses.

    """

    def __init__(self, tracker: Tracker, outbox: Outbox, warned: Callable[[str], None]) -> None:
        self.tracker, self.outbox, self._warned = tracker, outbox, warned
        self._away: StoreUnreachableError | None = None
        self._broken: BaseException | None = None
        self._again = {path.name for path in outbox.waiting()}
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._hasty = ExitStack()
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._hasty.enter_context(hasty())
        self.tracker.send_by(self.post)
        return self

    def __exit__(self, *_: object) -> None:
        self.tracker.send_by(None)
        self._stopping.set()
        self._news.set()
        self._thread.join()
        self._hasty.close()

    def post(self, letter: Sequence[News], record: Record = lambda _: None) -> None:
        """Put a letter into the outbox; it is sent as soon as can be.

        It counts only if `record` does not fail, which is given the letter's number: a process
        that dies in between leaves either both or, if the next one asks the record, none.
        """
        self._raise_broken()
        timings = self.tracker.timings
        with timings.part("tracking"):
            number = self.outbox.prepare(letter)
        record(number)
        with timings.part("tracking"):
            self.outbox.release(number)
        self._news.set()

    def send_left(self) -> None:
        """Send what an earlier process left, before the block begins.

        Raises
        ------
        StoreUnreachableError
            The store is away.

        """
        with self.tracker.timings.part("tracking"), hasty():
            for path in self.outbox.waiting():
                self._send(path)
                path.unlink()

    def drain(self, patience: float | None = None) -> None:
        """Wait until everything has arrived; `patience` seconds, or PATIENCE, for a store's return.

        Raises
        ------
        StoreUnreachableError
            The store is away; what waits will be sent by the next run of the study.

        """
        patience = PATIENCE if patience is None else patience
        away_since = None
        with self.tracker.timings.part("tracking"):
            while self.outbox.waiting():
                self._raise_broken()
                now = time.monotonic()
                away_since = None if self._away is None else away_since or now
                if away_since is not None and now - away_since >= patience:
                    raise StoreUnreachableError(
                        f"{self._away}; {len(self.outbox.waiting())} letters for it wait in "
                        f"{self.outbox.folder}"
                    ) from self._away
                time.sleep(0.01)

    def _raise_broken(self) -> None:
        if self._broken is not None:
            raise self._broken

    def _run(self) -> None:
        pause = FIRST_PAUSE
        try:
            while True:
                self._news.clear()
                if self._stopping.is_set():  # not before: what sets it wakes the thread next
                    return
                if self._send_all():
                    pause = FIRST_PAUSE
                    self._news.wait()
                else:
                    self._stopping.wait(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)
        except BaseException as error:  # noqa: BLE001 - raised again where the study runs
            self._broken = error

    def _send_all(self) -> bool:
        """Send what waits; return whether all of it has arrived."""
        for path in self.outbox.waiting():
            if self._stopping.is_set():
                return True
            try:
                self._send(path)
            except StoreUnreachableError as error:
                self._again.add(path.name)
                if self._away is None:
                    self._warned(f"{error}; meanwhile what is logged waits in {path.parent}")
                self._away = error
                return False
            if self._away is not None:
                self._away = None
                self._warned(f"MLflow at {mask(self.tracker.uri, self.tracker.uri)} is back")
            path.unlink()
        return True

    def _send(self, path: Path) -> None:
        try:
            letter = self.outbox.read(path)
        except ValueError as error:  # after a power cut; the record knows what a trial came to
            self._warned(f"{path}: a letter to MLflow is damaged and dropped: {error}")
            return
        try:
            self.tracker.deliver(letter, again=path.name in self._again)
        except StoreUnreachableError as error:
            if not _is_refusal(error):
                raise
            for news in letter:  # one that is refused must not take the others with it
                self._send_alone(news)

    def _send_alone(self, news: News) -> None:
        try:
            self.tracker.deliver([news], again=True)
        except StoreUnreachableError as error:
            if not _is_refusal(error):
                raise
            self._warned(
                f"what was new of a run ({news.name or news.run}) is dropped: MLflow has deleted "
                "it, or never takes this"
                f" ({mask(str(error.__cause__), self.tracker.uri)})"
            )


def _is_refusal(error: StoreUnreachableError) -> bool:
    return getattr(error.__cause__, "error_code", None) in REFUSED

"""A worker's own outbox, and those that dead workers of this machine left behind."""

from __future__ import annotations

import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from sweep.study import attributes
from sweep.study.keeper import outbox_folder
from sweep.tracking.courier import Courier
from sweep.tracking.outbox import Outbox
from sweep.workers.patience import patiently

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from sweep.study.opening import OpenStudy
    from sweep.tracking.tracker import Tracker


@contextmanager
def own_outbox(study: OpenStudy, worker: str) -> Iterator[Outbox]:
    """Hold a folder for a worker's letters; it goes with the block if all of them were sent."""
    from filelock import FileLock

    folder = _folder(study, worker)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(_lock_of(folder)):
            outbox = Outbox(folder)
            try:
                yield outbox
            finally:
                if not outbox.waiting():
                    shutil.rmtree(folder, ignore_errors=True)
    finally:
        if not folder.exists():
            _lock_of(folder).unlink(missing_ok=True)


@patiently
def send_left(study: OpenStudy, tracker: Tracker, warned: Callable[[str], None]) -> bool:
    """Send what dead workers of this machine had written down, as far as it counts.

    Return whether there was any: others may have rebuilt runs meanwhile of which this has more.

    Raises
    ------
    StoreUnreachableError
        MLflow is away.

    """
    from filelock import FileLock, Timeout

    everyone, found = outbox_folder(study.name), False
    for lock in sorted(everyone.parent.glob(f"{everyone.name}@*.lock")):
        folder = lock.with_suffix("")
        try:
            held = FileLock(lock, timeout=0).acquire()
        except Timeout:  # its worker is alive
            continue
        with held:
            if folder.is_dir():
                recorded = _recorded(study, folder.name.partition("@")[2])
                outbox = Outbox(folder, recorded=recorded)
                for key in _ended(outbox, recorded):
                    tracker.restore(key)
                found = found or bool(outbox.waiting())
                Courier(tracker, outbox, warned).send_left()
                shutil.rmtree(folder)
        lock.unlink(missing_ok=True)
    return found


def _ended(outbox: Outbox, recorded: Collection[int]) -> Iterator[str]:
    """Yield the runs whose recorded end waits here; others may have deleted them meanwhile."""
    for path in outbox.waiting():
        if int(path.stem) in recorded:
            with suppress(ValueError):  # a damaged letter; whoever sends it says so
                yield from [news.run for news in outbox.read(path)]


def _recorded(study: OpenStudy, worker: str) -> set[int]:
    """Return the numbers of the letters of a worker that tell of a recorded end."""
    return {
        trial.user_attrs[attributes.LETTER]
        for trial in study.trials()
        if attributes.LETTER in trial.user_attrs
        and trial.user_attrs.get(attributes.LEASE, {}).get("worker") == worker
    }


def _folder(study: OpenStudy, worker: str) -> Path:
    everyone = outbox_folder(study.name)
    return everyone.with_name(f"{everyone.name}@{worker}")


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")

"""One process runs a study at a time, and signals stop it in order.

The lock falls with the process that holds it. The first Ctrl-C, SIGTERM or SIGHUP asks for an
orderly end; a second one ends at once.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, ClassVar

from sweep.errors import SweepError
from sweep.io import file_lock
from sweep.search.storage import locked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from types import FrameType

    from sweep.workspace import Workspace


WAIT_SECONDS = 0.2
"""`is_held` takes the lock for a moment; this is longer."""


def record_lock(workspace: Workspace, study: str) -> AbstractContextManager[None]:
    """Let one process at a time read and write what a study's record holds beside its trials."""
    return locked(workspace, f"{study}.record")


@contextmanager
def study_lock(workspace: Workspace, study: str) -> Iterator[None]:
    """Hold the study, or say which process on which host does."""
    path = workspace.lock(study)
    owner = path.with_suffix(".owner")
    with ExitStack() as held:
        try:
            held.enter_context(file_lock(path, seconds=WAIT_SECONDS))
        except TimeoutError as error:
            raise _held(study, holder(path)) from error
        except OSError as error:
            raise SweepError(
                f"{path}: study {study!r} cannot be locked: {error.strerror}; check the folder's "
                "permissions and the disk"
            ) from error
        try:
            with suppress(OSError):  # only a courtesy to the one who waits
                owner.write_text(f"process {os.getpid()} on {socket.gethostname()}")
            yield
        finally:
            with suppress(OSError):
                owner.unlink(missing_ok=True)


def _held(study: str, runner: str) -> SweepError:
    return SweepError(
        f"study {study!r} is being run by {runner}; wait for it, stop it, or choose another name"
    )


def refuse_running(workspace: Workspace, study: str) -> None:
    """Refuse a study of the working folder that a process runs, before anything is loaded."""
    runner = runner_of(workspace, study)
    if runner is not None:
        raise _held(study, runner)


def runner_of(workspace: Workspace, study: str) -> str | None:
    """Return which process runs a study of the working folder; None if none does."""
    path = workspace.lock(study)
    return holder(path) if is_held(path) else None


def is_held(path: Path) -> bool:
    """Whether a living process holds a lock file.

    It is tried with a shared lock, which is given back at once. Where the system has none of these,
    as Windows has not, whoever takes the lock finds out.
    """
    try:
        import fcntl
    except ModuleNotFoundError:
        return False
    try:
        file = path.open("rb")
    except OSError:
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # a file system without locks
            return False
        fcntl.flock(file, fcntl.LOCK_UN)
    return False


def holder(path: Path) -> str:
    """Return who holds a lock file, as far as it said."""
    owner = ""
    with suppress(OSError, UnicodeDecodeError):
        owner = path.with_suffix(".owner").read_text()
    return owner or "another process"


SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)  # Windows has no SIGHUP
STDERR = 2
STOPPING = b"\nsweep: stopping; once more ends at once\n"
AT_ONCE = b"\nsweep: stopped at once; the same command goes on from here\n"
"""After a second signal, written past Python's buffers: they may be locked by whoever is stuck."""


class InterruptedStudyError(SweepError):
    """The study was stopped from outside; its state is saved."""

    label = "stopped"

    def __init__(self, message: str, received: signal.Signals) -> None:
        super().__init__(message)
        self.exit_code = 128 + received  # 130 for SIGINT, 143 for SIGTERM, as shells have it


class Interrupts:
    """Remembers the first signal, so that a loop may end between two epochs.

    Attributes
    ----------
    own_process
        Whether the process is ours: the command line says on stderr that a signal was heard, and
        a second one ends the process. In a notebook that would end the kernel, so there it raises
        KeyboardInterrupt.

    """

    own_process: ClassVar[bool] = False

    def __init__(self) -> None:
        self.received: signal.Signals | None = None

    @contextmanager
    def listening(self) -> Iterator[Interrupts]:
        """Catch the signals for the length of a block.

        A shell script starts background commands with SIGINT ignored, so handlers are set
        explicitly, whatever was there; but `nohup` ignores SIGHUP on purpose. Only the main thread
        gets signals: elsewhere `stop` says it.
        """
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {
            number: signal.signal(number, self._remember)
            for number in SIGNALS
            if number in SIGNALS[:2] or signal.getsignal(number) != signal.SIG_IGN
        }
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def stop(self, number: signal.Signals) -> None:
        """Ask for an orderly end, as a first signal does."""
        self.received = self.received or number

    def came(self) -> bool:
        """Whether a signal came."""
        return self.received is not None

    def raise_received(self, message: str) -> None:
        """Raise if a signal came."""
        if self.received is not None:
            raise InterruptedStudyError(message, self.received)

    def _remember(self, number: int, _frame: FrameType | None) -> None:
        again = self.received is not None
        self.received = self.received or signal.Signals(number)
        if self.own_process:
            with suppress(OSError):  # nobody may be left to read it
                os.write(STDERR, AT_ONCE if again else STOPPING)
            if again:
                os._exit(128 + number)
        elif again:
            raise KeyboardInterrupt

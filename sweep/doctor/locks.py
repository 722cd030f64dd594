"""Who holds the stores and the studies; nothing is waited for, and nothing changed."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from sweep.doctor.finding import ok
from sweep.study.storage import FOLDER

if TYPE_CHECKING:
    from pathlib import Path

    from sweep.doctor.finding import Finding


def check_locks() -> Finding:
    """Tell which locks are held, and by whom as far as they said."""
    held = [path for path in sorted(FOLDER.glob("*.lock")) if is_held(path)]
    if not held:
        return ok("locks", "none is held")
    return ok("locks", "; ".join(f"{path.name} is held by {_holder(path)}" for path in held))


def runner_of(study: str) -> str | None:
    """Return which process runs a study; None if none does."""
    path = FOLDER / f"{study}.lock"
    return _holder(path) if is_held(path) else None


def is_held(path: Path) -> bool:
    """Whether a living process holds a lock file.

    It is tried with a shared lock, which is given back at once.
    """
    import fcntl

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


def _holder(path: Path) -> str:
    owner = ""
    with suppress(OSError, UnicodeDecodeError):
        owner = path.with_suffix(".owner").read_text()
    return owner or "another process"

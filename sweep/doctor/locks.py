"""Who holds the stores and the studies; nothing is waited for, and nothing changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.doctor.finding import ok
from sweep.study.lock import holder, is_held
from sweep.study.storage import FOLDER

if TYPE_CHECKING:
    from sweep.doctor.finding import Finding


def check_locks() -> Finding:
    """Tell which locks are held, and by whom as far as they said."""
    held = [path for path in sorted(FOLDER.glob("*.lock")) if is_held(path)]
    if not held:
        return ok("locks", "none is held")
    return ok("locks", "; ".join(f"{path.name} is held by {holder(path)}" for path in held))

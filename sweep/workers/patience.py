"""Waiting for a database that restarts: what is done in one transaction can be done again."""

from __future__ import annotations

import time
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from sweep.errors import StoreUnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE = 120.0
"""Seconds for which a database may be away."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds between two attempts; each pause is twice the last."""


def patiently(call: Callable[P, T]) -> Callable[P, T]:
    """Call again while the store is away, and raise its error only after `PATIENCE`."""

    @wraps(call)
    def calling(*args: P.args, **kwargs: P.kwargs) -> T:
        deadline, pause = time.monotonic() + PATIENCE, FIRST_PAUSE
        while True:
            try:
                return call(*args, **kwargs)
            except StoreUnreachableError:
                if time.monotonic() + pause > deadline:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    return calling

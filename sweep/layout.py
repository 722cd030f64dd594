"""How a study's trials are laid out side by side: slots, stacks and the threads that train them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sweep.errors import SweepError

COLUMNS = 256
"""Columns of scores in one stack at which wide products are near their peak and memory is small:
25 slots of 10 classes. Measured with benchmarks/efficiency.py."""
MOST_SLOTS = 4096


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where a study's trials train.

    Attributes
    ----------
    slots
        Trials in training at once.
    width
        Slots of one stack. A trial's bits depend on it, see `sweep_model.stack`.
    workers
        Threads, each with one BLAS thread, that train the stacks; they change no number.

    """

    slots: int
    width: int
    workers: int

    def __post_init__(self) -> None:
        for name in ("slots", "width", "workers"):
            value = getattr(self, name)
            if not 1 <= value <= MOST_SLOTS:
                raise SweepError(f"{name} must lie in [1, {MOST_SLOTS}]: got {value!r}")

    @property
    def stacks(self) -> int:
        """How many stacks hold the slots; the last may have some to spare."""
        return math.ceil(self.slots / self.width)

    def __str__(self) -> str:
        workers = "1 worker" if self.workers == 1 else f"{self.workers} workers"
        return f"{self.slots} slots in stacks of {self.width}, {workers}"


@dataclass(frozen=True, kw_only=True)
class LayoutChoice:
    """What the user says about the layout; None is left to the program."""

    slots: int | None = None
    width: int | None = None
    workers: int | None = None

    def settle(self, *, trials: int, classes: int) -> Layout:
        """Choose what was left open, from this machine, the trials wanted and the classes.

        As few generations of trials as fit, all equally full: a slot costs its time, used or not.
        """
        widest = max(1, min(COLUMNS // classes, 64))
        helpful = min(cores(), math.ceil((self.slots or trials) / min(8, widest)))
        generations = math.ceil(trials / (helpful * widest))
        slots = self.slots or math.ceil(trials / generations)
        stacks = helpful * math.ceil(slots / (helpful * 2 * widest))
        return Layout(
            slots=slots,
            width=self.width or math.ceil(slots / stacks),
            workers=self.workers or helpful,  # of no influence on the rest: they change no number
        )

    def resume(self, recorded: Layout) -> Layout:
        """Return what a study was begun with, but for what the user says; workers may change."""
        return Layout(
            slots=self.slots or recorded.slots,
            width=self.width or recorded.width,
            workers=self.workers or recorded.workers,
        )


def cores() -> int:
    """Return the cores that this process may use, also within a container."""
    from joblib import cpu_count

    return int(cpu_count())

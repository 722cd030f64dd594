"""What a slot of a running study may hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweep.study.ending import Ending

if TYPE_CHECKING:
    from sweep.study.ledger import Ledger
    from sweep.study.records import Record
    from sweep.study.trial_life import TrialLife


@dataclass
class Replayed:
    """A trial in its slot that plays from the record: its epochs pass, nothing is trained."""

    position: int
    record: Record
    curve: list[float]
    epoch: int = 0

    def advance(self, ledger: Ledger) -> bool:
        """Play the next epoch; return whether the record holds no further one."""
        self.epoch += 1
        if self.epoch <= len(self.curve):
            ledger.why_prune(self.position, self.epoch, self.curve[self.epoch - 1])
        broke = self.record.settled and self.record.ending in (Ending.DIVERGED, Ending.ERROR)
        return self.epoch >= len(self.curve) + broke  # in the epoch after the last recorded one


@dataclass
class Training:
    """A trial that trains in its slot."""

    position: int
    life: TrialLife

"""What a slot of a running study may hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweep.study.records import Record
    from sweep.study.trial_life import TrialLife


@dataclass
class Replayed:
    """A settled trial in its slot: its epochs pass, nothing is trained."""

    position: int
    record: Record
    epoch: int = 0


@dataclass
class Training:
    """A trial that trains in its slot."""

    position: int
    life: TrialLife

"""A trial's place in the sequence that the seed decides, which an interruption does not move.

Optuna numbers trials as they are asked. An interrupted trial is asked again under a new number,
so from there on numbers run ahead of positions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.study import attributes
from sweep.study.ending import Ending

if TYPE_CHECKING:
    from collections.abc import Iterable

    from optuna.trial import FrozenTrial


def position_of(trial: FrozenTrial) -> int:
    """Return the trial's position; its number where it carries none."""
    return int(trial.user_attrs.get(attributes.POSITION, trial.number))


def is_settled(trial: FrozenTrial) -> bool:
    """Whether the trial ended by itself, so that it will not be asked again."""
    interrupted = trial.user_attrs.get(attributes.ENDING) == Ending.INTERRUPTED
    return trial.state.is_finished() and not interrupted


def settled(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """Return the trials that ended by themselves, by position."""
    return sorted(filter(is_settled, trials), key=position_of)

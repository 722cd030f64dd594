"""Trials as Optuna's own, for what draws or judges those."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sweep.search.halving import rungs
from sweep.search.trials import Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from optuna.trial import FrozenTrial

    from sweep.config import StudyConfig
    from sweep.search.trials import TrialRecord


def first_rung(config: StudyConfig) -> int:
    """Return the epoch after which all trials can be compared, since nearly all have it."""
    if config.pruner == "none":
        return config.epochs
    return min(rungs(config.epochs, config.eta), default=config.epochs)


def as_optuna(config: StudyConfig, trials: Iterable[TrialRecord]) -> list[FrozenTrial]:
    """Return trials as they ended."""
    return [_frozen(config, trial, trial.status, trial.epochs) for trial in trials]


def at_first_rung(config: StudyConfig, trials: Iterable[TrialRecord]) -> list[FrozenTrial]:
    """Return the trials that reached the first rung, each complete with its value there.

    Few trials complete, and those are the better ones: what is said of the whole space takes what
    all have in common.
    """
    rung = first_rung(config)
    return [
        _frozen(config, trial, Status.COMPLETE, rung) for trial in trials if trial.epochs >= rung
    ]


def _frozen(config: StudyConfig, trial: TrialRecord, status: Status, epochs: int) -> FrozenTrial:
    from optuna.trial import FrozenTrial, TrialState

    states = {
        Status.RUNNING: TrialState.RUNNING,
        Status.COMPLETE: TrialState.COMPLETE,
        Status.PRUNED: TrialState.PRUNED,
        Status.FAILED: TrialState.FAIL,
    }
    values = trial.curves.get(config.metric, [])[:epochs]
    ended = None if trial.ended is None else datetime.fromtimestamp(trial.ended / 1000, UTC)
    return FrozenTrial(
        number=trial.number,
        trial_id=trial.number,
        state=states[status],
        value=values[-1] if status == Status.COMPLETE else None,
        datetime_start=datetime.fromtimestamp(trial.began / 1000, UTC),
        datetime_complete=ended,
        params=trial.params,
        distributions={name: axis.distribution() for name, axis in config.space.axes.items()},
        user_attrs={},
        system_attrs={},
        intermediate_values=dict(enumerate(values, start=1)),
    )

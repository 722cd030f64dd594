"""Which trial comes next: a pure function of the study's settings and its finished trials.

Every trial has a *position* in the sequence that the seed decides. The sampler is seeded anew
for each position, so a study that was interrupted and goes on asks for the same trials as one
that was not (with one sampler seed for the whole study, a resumed study would repeat its first
points). An interrupted trial is asked again at its own position, as its next attempt.
"""

from __future__ import annotations

import random
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from model.hyperparameters import Hyperparameters
from sweep.objective import trial_seed
from sweep.space import BASELINES
from sweep.study import attributes
from sweep.study.position import is_settled, position_of
from sweep.study.pruning import pruner

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import optuna
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

    from sweep.settings import Settings
    from sweep.study.opening import OpenStudy

GRID_LEVELS = 3
"""Points of each range in a grid: its ends and its middle."""


@dataclass(frozen=True)
class Place:
    """Where the next trial stands, and its hyperparameters where they are settled already."""

    position: int
    attempt: int = 1
    parameters: dict[str, Any] | None = None


@dataclass(frozen=True)
class Asked:
    """A trial that is to be trained."""

    trial: optuna.Trial
    hyperparameters: Hyperparameters
    seed: int
    attempt: int


def ask(study: OpenStudy) -> Asked | None:
    """Return the next trial, running; None where a grid has no point left."""
    from optuna.trial import TrialState

    trials = study.trials()
    waiting = any(trial.state == TrialState.WAITING for trial in trials)
    place = next_place(study.settings, trials)
    if place is None:
        return None
    labels = {attributes.POSITION: place.position, attributes.ATTEMPT: place.attempt}
    if place.parameters is not None and not waiting:
        study.optuna.enqueue_trial(place.parameters, user_attrs=labels)
    study.optuna.sampler = sampler(study.settings, place.position)
    study.optuna.pruner = pruner(study.settings)  # the sampler keeps to Hyperband's brackets
    seed = trial_seed(study.settings.seed, place.position)
    trial = study.optuna.ask()
    for key, value in {**labels, attributes.SEED: seed}.items():
        trial.set_user_attr(key, value)
    hyperparameters = Hyperparameters(**study.settings.space.suggest(trial))
    return Asked(trial, hyperparameters, seed, place.attempt)


def next_place(settings: Settings, trials: Sequence[FrozenTrial]) -> Place | None:
    """Return the first position without a trial that ended by itself."""
    placed = [trial for trial in trials if attributes.POSITION in trial.user_attrs]
    taken = {position_of(trial) for trial in placed if is_settled(trial)}
    position = next(p for p in range(len(trials) + 1) if p not in taken)
    # A trial that waits has been queued, not tried: its process ended just then.
    earlier = [trial for trial in placed if position_of(trial) == position and _was_tried(trial)]
    place = Place(position, len(earlier) + 1)
    whole = [trial.params for trial in earlier if len(trial.params) == len(settings.space.axes)]
    if whole:
        return replace(place, parameters=dict(whole[-1]))
    if position == 0:
        return replace(place, parameters=settings.space.clip(BASELINES[settings.loss]))
    if settings.sampler == "grid":
        point = _next_grid_point(settings, trials)
        return None if point is None else replace(place, parameters=point)
    return place


def _was_tried(trial: FrozenTrial) -> bool:
    from optuna.trial import TrialState

    return trial.state != TrialState.WAITING


def _next_grid_point(settings: Settings, trials: Sequence[FrozenTrial]) -> dict[str, Any] | None:
    points = settings.space.grid(GRID_LEVELS)
    random.Random(settings.seed).shuffle(points)  # noqa: S311 - an order, not a secret
    tried = [trial.params for trial in trials]
    return next((point for point in points if point not in tried), None)


def sampler(settings: Settings, position: int) -> BaseSampler:
    """Return the study's sampler, seeded for one position."""
    import optuna

    seed = trial_seed(settings.seed, position)
    if settings.sampler == "tpe":
        return optuna.samplers.TPESampler(seed=seed)
    if settings.sampler != "qmc":  # a grid's points are settled before the sampler is asked
        return optuna.samplers.RandomSampler(seed=seed)
    from sweep.study.positioned import SobolSampler

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return SobolSampler(study_seed=settings.seed, position_seed=seed, position=position)

"""Optuna's Sobol sequence and Hyperband, made to depend on a trial's position alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optuna.pruners import HyperbandPruner
from optuna.samplers import QMCSampler, RandomSampler

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial


class SobolSampler(QMCSampler):
    """Proposes the point of a scrambled Sobol sequence that belongs to one position.

    Parameters
    ----------
    study_seed
        Scrambles the sequence, which is one for the whole study.
    position_seed
        For what is drawn outside the sequence: a setting before any trial has ended.
    position
        From 1; the trial at position 0 has a settled setting.

    """

    def __init__(self, *, study_seed: int, position_seed: int, position: int) -> None:
        super().__init__(
            scramble=True,
            seed=study_seed,
            independent_sampler=RandomSampler(seed=position_seed),
            warn_independent_sampling=False,
        )
        self._position = position

    def _find_sample_id(self, study: Study, search_space: dict[str, BaseDistribution]) -> int:  # noqa: ARG002 - Optuna's own looks the next number up in the store
        return self._position - 1


class SteadyHyperband(HyperbandPruner):
    """Hyperband that knows its brackets before it has pruned: a sampler may ask for them first."""

    def _get_bracket_id(self, study: Study, trial: FrozenTrial) -> int:
        if not self._pruners:
            self._try_initialization(study)
        return super()._get_bracket_id(study, trial)

"""A shared study as one of its workers sees it: in memory, with the trials of all workers.

Trials are taken in from the store as they are there, so what the sampler proposes depends on who
finished first. A proposal is still seeded by the trial's number, and each trial is trained as its
own record says.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from sweep.space import BASELINES
from sweep.study import attributes
from sweep.study.ending import Ending
from sweep.study.ledger import GRID_LEVELS, sampler, study_in_memory
from sweep.study.pruning import make_pruner
from sweep.study.results import ending

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    import optuna
    from optuna.trial import FrozenTrial

    from sweep.settings import Settings


class SharedLedger:
    """Proposes settings and judges trials, given all that the store says of the others.

    Parameters
    ----------
    settings
        The study's.

    """

    def __init__(self, settings: Settings) -> None:
        import optuna

        self.settings = settings
        self.study = study_in_memory(settings)
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # a store that is away is told already
        self.running: dict[int, optuna.Trial] = {}
        self.pruner = make_pruner(settings, self.running)
        self._judged: dict[int, int] = {}  # epochs of each running trial that the pruner knows
        self._ids: list[int] = []  # by number
        self._grid = self._grid_points() if settings.sampler == "grid" else None

    @property
    def positions(self) -> int | None:
        """How many trials there can be; None where there is no end."""
        return None if self._grid is None else len(self._grid)

    def take_in(self, news: Sequence[FrozenTrial], own: Container[int]) -> list[FrozenTrial]:
        """Take in trials as the store has them, by number; return those that have ended now.

        No trial may be left out before one that is new. `own` are the numbers of this worker's,
        whose values come by `why_prune` and `end`.
        """
        ended = []
        for trial in news:
            number = trial.number
            if number == len(self._ids):
                self._add(trial)
            if number in own or number not in self.running:
                continue
            self._set_parameters(trial)
            for epoch, value in sorted(trial.intermediate_values.items()):
                self.why_prune(number, epoch, value)
            how = ending(trial)
            if how is not None:
                curves = trial.user_attrs.get(attributes.CURVES, {})
                self.end(number, how, curves.get(self.settings.metric, []))
                ended.append(trial)
        return ended

    def propose(self, claimed: FrozenTrial) -> optuna.Trial:
        """Return a trial with its setting: that of an earlier attempt, or a new proposal."""
        import optuna

        number = claimed.number
        self._set_parameters(claimed)
        self.study.sampler = sampler(self.settings, number)
        trial = self.running[number] = optuna.Trial(self.study, self._ids[number])
        self.settings.space.suggest(trial)
        return trial

    def why_prune(self, number: int, epoch: int, value: float) -> str | None:
        """Take in a value; return why the trial ends after `epoch`, None where it goes on."""
        if epoch <= self._judged[number]:  # of an earlier attempt, or told before
            return None
        self._judged[number] = epoch
        return self.pruner.why_prune(number, epoch, value)

    def end(self, number: int, how: Ending, curve: Sequence[float]) -> None:
        """Take in how a trial ended, with the objective's value after each of its epochs."""
        if self.settings.pruner != "hyperband":  # which has reported them, one by one
            for epoch, value in enumerate(curve, start=1):
                self._storage.set_trial_intermediate_value(self._ids[number], epoch, value)
        values = [curve[-1]] if how == Ending.COMPLETE else None
        self._storage.set_trial_state_values(self._ids[number], how.state, values)
        self.pruner.end(number, how, list(curve))
        del self.running[number], self._judged[number]

    @property
    def _storage(self) -> Any:
        return self.study._storage  # noqa: SLF001 - values go in without report's check of the others

    def _add(self, trial: FrozenTrial) -> None:
        """Begin a trial here that has begun in the store, with the setting that it must have."""
        import optuna
        from optuna.trial import TrialState, create_trial

        must = self._fixed(trial.number)
        begun = create_trial(
            state=TrialState.RUNNING,
            params=trial.params,
            distributions=trial.distributions,
            system_attrs={} if must is None else {"fixed_params": must},
        )
        study_id = self.study._study_id  # noqa: SLF001 - Optuna's own name for it
        self._ids.append(self._storage.create_new_trial(study_id, begun))
        self.running[trial.number] = optuna.Trial(self.study, self._ids[-1])
        self._judged[trial.number] = 0

    def _set_parameters(self, trial: FrozenTrial) -> None:
        """Take in the setting that another worker has proposed meanwhile."""
        there = self._storage.get_trial(self._ids[trial.number]).params
        for name, value in trial.params.items():
            if name not in there:
                distribution = trial.distributions[name]
                internal = distribution.to_internal_repr(value)
                self._storage.set_trial_param(self._ids[trial.number], name, internal, distribution)

    def _fixed(self, number: int) -> dict[str, Any] | None:
        """Return the setting that a trial has to have; None where the sampler is free."""
        if self._grid is not None:
            return self._grid[number]
        return self._baseline() if number == 0 else None

    def _baseline(self) -> dict[str, Any]:
        return dict(self.settings.space.clip(BASELINES[self.settings.loss]))

    def _grid_points(self) -> list[dict[str, Any]]:
        """Return the baseline and then all other points, in an order of the seed's."""
        points, baseline = self.settings.space.grid(GRID_LEVELS), self._baseline()
        random.Random(self.settings.seed).shuffle(points)  # noqa: S311 - an order, not a secret
        return [baseline, *(point for point in points if point != baseline)]

"""The study as its sampler and its pruner see it: in memory, and in logical time.

Positions are asked, judged and ended here in the order of passes and slots. Optuna's store may
hold the same trials in another order and number, after an interruption; here trial number and
position are the same, so a study that was interrupted proposes and prunes what an unbroken one
would have. It is also many times faster than asking the store.
"""

from __future__ import annotations

import random
import warnings
from typing import TYPE_CHECKING, Any

from sweep.seeds import trial_seed
from sweep.space import BASELINES
from sweep.study.ending import Ending
from sweep.study.pruning import make_pruner

if TYPE_CHECKING:
    from collections.abc import Mapping

    import optuna
    from optuna.samplers import BaseSampler

    from sweep.settings import Settings

GRID_LEVELS = 3
"""Points of each range in a grid: its ends and its middle."""


class Ledger:
    """Proposes the setting of one position after another, and judges the trials that run.

    Every proposal is a function of the study's settings and of what was asked and ended before:
    the sampler is seeded anew for each position.

    Parameters
    ----------
    settings
        The study's.

    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.study = study_in_memory(settings)
        self.running: dict[int, optuna.Trial] = {}
        self.pruner = make_pruner(settings, self.running)
        self._grid: list[dict[str, Any]] | None = None
        self.next_position = 0

    def ask(self, recorded: Mapping[str, Any] | None = None) -> optuna.Trial | None:
        """Begin the trial at the next position; None where a grid has no point left.

        `recorded` is its setting where an earlier run of the study has settled it.
        """
        position = self.next_position
        setting = recorded
        if setting is None and position == 0:
            setting = self.settings.space.clip(BASELINES[self.settings.loss])
        if setting is None and self.settings.sampler == "grid":
            setting = self._next_grid_point()
            if setting is None:
                return None
        self.study.sampler = sampler(self.settings, position)
        if setting is not None:
            self.study.enqueue_trial(dict(setting))
        trial = self.study.ask()
        self.settings.space.suggest(trial)
        self.running[position] = trial
        self.next_position += 1
        return trial

    def why_prune(self, position: int, epoch: int, value: float) -> str | None:
        """Take in a value; return why the trial ends after `epoch`, None where it goes on."""
        return self.pruner.why_prune(position, epoch, value)

    def end(self, position: int, ending: Ending, curve: list[float]) -> None:
        """Take in how a trial ended, with the objective's value after each of its epochs."""
        trial = self.running[position]
        if self.settings.pruner != "hyperband":  # which has reported them, one by one
            for epoch, value in enumerate(curve, start=1):
                self.study._storage.set_trial_intermediate_value(trial._trial_id, epoch, value)  # noqa: SLF001 - without report's check of the others
        result = curve[-1] if ending == Ending.COMPLETE else None
        self.study.tell(trial, result, state=ending.state)
        self.pruner.end(position, ending, curve)
        del self.running[position]

    def _next_grid_point(self) -> dict[str, Any] | None:
        if self._grid is None:
            self._grid = self.settings.space.grid(GRID_LEVELS)
            random.Random(self.settings.seed).shuffle(self._grid)  # noqa: S311 - an order, not a secret
        tried = [trial.params for trial in self.study.get_trials(deepcopy=False)]
        return next((point for point in self._grid if point not in tried), None)


def study_in_memory(settings: Settings) -> optuna.Study:
    """Return an empty study as a sampler needs it."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(study_name=settings.study, direction=settings.direction)
    if settings.pruner == "hyperband":
        from sweep.study.positioned import SteadyHyperband

        # The sampler keeps to Hyperband's brackets, and finds them at the study.
        study.pruner = SteadyHyperband(max_resource=settings.epochs)
    return study


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

"""How much each hyperparameter decides, and how sure that is.

Optuna's PED-ANOVA (Watanabe, Bansal and Hutter, IJCAI 2023) asks how far the settings of the better
trials differ from those of all; the bootstrap over the trials (Efron, 1979) asks how much of its
answer would be the same with other trials.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from optuna.study import StudyDirection

from sweep.search import IMPORTANCES, at_first_rung, first_rung, quiet_optuna
from sweep.statistics import LEVEL

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from optuna.trial import FrozenTrial, TrialState

    from sweep.search import StudyRecord
    from sweep_model import Floats

MIN_TRIALS = 10
"""Fewer are resampled into the same few trials over and over, so their interval says nothing."""
BETTER = 0.5
"""The share of the trials that count as the better ones.

Optuna takes a tenth, which is 5 trials of 50. Measured on 60 synthetic studies of 50 trials with
one hyperparameter that makes 3/4 of the variance: it came first in 57 % of them with the tenth, in
92 % with the better quarter and in 98 % with the better half (with TPE in 38, 58 and 73 %). Forests
(`MeanDecreaseImpurityImportanceEvaluator`) reach 100 and 75 % and take ten times as long.
"""
RESAMPLES = 100
"""An end of an interval is off by some 7 % of the interval's width; with 200 by 5 %, for twice the
time: half a second, of a study that may take ten.
"""


@dataclass(frozen=True, kw_only=True)
class Importance:
    """A hyperparameter's share in what decides the objective, with a 95 % interval."""

    name: str
    share: float
    low: float
    high: float
    """The ends hold the share: resamples repeat trials, which levels the shares a little."""


@dataclass(frozen=True, kw_only=True)
class Importances:
    """The searched hyperparameters of a study, ranked by their shares.

    Attributes
    ----------
    ranked : the largest share first; the shares add up to 1. Empty where there is a `reason`.
    alike : neighbours in the ranking that are not distinguishable: the interval of the difference
        between their shares, paired by resample, covers 0.
    reason : why nothing can be told.
    """

    ranked: list[Importance]
    alike: list[tuple[str, str]]
    reason: str = ""

    @property
    def shares(self) -> dict[str, float]:
        """Each hyperparameter's share, the largest first."""
        return {one.name: one.share for one in self.ranked}

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """Each hyperparameter's interval."""
        return {one.name: (one.low, one.high) for one in self.ranked}


def importances(study: StudyRecord, *, resamples: int = RESAMPLES) -> Importances:
    """Rank the searched hyperparameters by their shares in what decides the objective.

    The objective is that at the first rung, which nearly all trials have: few complete, and those
    are the better ones. What `record_importances` has recorded of them is not computed again.
    """
    complete = at_first_rung(study.config, study.trials())
    recorded = study.attribute(IMPORTANCES, {})
    if recorded.get("of") == _digest(complete):
        return _read(recorded)
    return _computed(study, complete, resamples)


def record_importances(study: StudyRecord) -> Importances:
    """Compute the importances of a study and record them, unless they are; return them."""
    computed, of = importances(study), _digest(at_first_rung(study.config, study.trials()))
    if study.attribute(IMPORTANCES, {}).get("of") != of:
        study.set_attribute(IMPORTANCES, asdict(computed) | {"of": of})
    return computed


def _digest(complete: Sequence[FrozenTrial]) -> str:
    """Tell trials apart from others, and this computation from that of another version."""
    trials = [[trial.number, trial.value, sorted(trial.params.items())] for trial in complete]
    content = json.dumps([optuna.__version__, RESAMPLES, BETTER, trials])
    return hashlib.sha256(content.encode()).hexdigest()


def _read(recorded: Mapping[str, Any]) -> Importances:
    return Importances(
        ranked=[Importance(**one) for one in recorded["ranked"]],
        alike=[(one, other) for one, other in recorded["alike"]],
        reason=recorded["reason"],
    )


def _computed(study: StudyRecord, complete: Sequence[FrozenTrial], resamples: int) -> Importances:
    names = study.config.space.varied()
    if not names:
        return _nothing("no hyperparameter was searched")
    if len(complete) < MIN_TRIALS:
        rung = first_rung(study.config)
        return _nothing(f"{len(complete)} trials reached epoch {rung}, {MIN_TRIALS} needed")
    if len({trial.value for trial in complete}) == 1:
        return _nothing("all trials came to the same")
    given = _GivenTrials(study.optuna.direction)
    shares = given.shares(complete, names)
    ranked = sorted(names, key=lambda name: -shares[name])
    return _with_intervals(shares, ranked, given.resampled(complete, ranked, resamples))


def _nothing(reason: str) -> Importances:
    return Importances(ranked=[], alike=[], reason=reason)


def _with_intervals(
    shares: Mapping[str, float], ranked: Sequence[str], again: Floats
) -> Importances:
    """Add the percentiles of the resampled shares, which are (resamples, names) as ranked."""
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    lows, highs = np.quantile(again, tails, axis=0).tolist()
    # The first of two has the larger share: only the lower end of the difference can reach 0.
    leads = np.quantile(again[:, :-1] - again[:, 1:], tails[0], axis=0).tolist()
    neighbours = zip(itertools.pairwise(ranked), leads, strict=True)
    return Importances(
        ranked=[
            Importance(
                name=name,
                share=shares[name],
                low=min(low, shares[name]),
                high=max(high, shares[name]),
            )
            for name, low, high in zip(ranked, lows, highs, strict=True)
        ],
        alike=[pair for pair, lead in neighbours if lead <= 0],
    )


class _GivenTrials(optuna.Study):
    """A study of the trials that it is given, which is all that an evaluator asks of one.

    Storing each resample would take longer than evaluating it.
    """

    def __init__(self, direction: StudyDirection) -> None:
        storage = optuna.storages.InMemoryStorage()
        with quiet_optuna():
            storage.create_new_study([direction], "given")
        super().__init__("given", storage)
        self._given: list[FrozenTrial] = []

    def get_trials(
        self,
        deepcopy: bool = True,  # noqa: ARG002, FBT001, FBT002 - Optuna's own signature
        states: Container[TrialState] | None = None,  # noqa: ARG002 - all of them are complete
    ) -> list[FrozenTrial]:
        """Return the trials as they were given."""
        return self._given

    def shares(self, complete: Sequence[FrozenTrial], names: Sequence[str]) -> dict[str, float]:
        """Return each hyperparameter's share by PED-ANOVA of these trials."""
        better = _better_trials(complete, self.direction)
        if better == 0:
            return dict.fromkeys(names, 1 / len(names))
        self._given = list(complete)
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(
            target_quantile=(better - 0.5) / len(complete)  # it rounds up
        )
        shares = optuna.importance.get_param_importances(
            self, evaluator=evaluator, params=list(names)
        )
        return {name: float(shares[name]) for name in names}

    def resampled(
        self, complete: Sequence[FrozenTrial], names: Sequence[str], resamples: int
    ) -> Floats:
        """Return the shares for each resample of the trials: (resamples, names)."""
        rng, n = np.random.default_rng(0), len(complete)
        draws = (rng.integers(n, size=n) for _ in range(resamples))
        again = (self.shares([complete[i] for i in draw], names) for draw in draws)
        return np.array([[shares[name] for name in names] for shares in again])


def _better_trials(complete: Sequence[FrozenTrial], direction: StudyDirection) -> int:
    """Count the better half, or as near to it as equal values allow; 0 where all are equal.

    Where most trials do no better than guessing, they all come to the same.
    """
    sign = -1 if direction == StudyDirection.MAXIMIZE else 1
    _, counts = np.unique([sign * (trial.value or 0.0) for trial in complete], return_counts=True)
    parts = np.cumsum(counts)[:-1]
    return int(parts[np.abs(parts - BETTER * len(complete)).argmin()]) if len(parts) else 0

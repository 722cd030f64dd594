"""How much each hyperparameter decides, by Optuna's PED-ANOVA over the complete trials."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from sweep.study.results import tally

if TYPE_CHECKING:
    from sweep.study.opening import OpenStudy

MIN_COMPLETE_TRIALS = 5
"""PED-ANOVA compares the best tenth with the rest and has nothing to say about fewer."""


def importances(study: OpenStudy) -> dict[str, float]:
    """Return each searched hyperparameter's share, the largest first; empty with few trials."""
    import optuna

    varied = study.settings.space.varied()
    trials = study.trials()
    values = {trial.value for trial in trials if trial.state == optuna.trial.TrialState.COMPLETE}
    if tally(trials).complete < MIN_COMPLETE_TRIALS or len(values) == 1:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        shares = optuna.importance.get_param_importances(study.optuna, params=varied)
    return {name: float(share) for name, share in shares.items()}

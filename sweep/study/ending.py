"""How a trial ends, and what both stores call it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.trial import TrialState


class Ending(StrEnum):
    """Why a trial trains no further; `mlflow_status` is the word MLflow has for it."""

    COMPLETE = "complete"
    PRUNED = "pruned"
    DIVERGED = "diverged"
    ERROR = "error"
    INTERRUPTED = "interrupted"

    @property
    def mlflow_status(self) -> str:
        """FINISHED, KILLED or FAILED."""
        return {Ending.COMPLETE: "FINISHED", Ending.PRUNED: "KILLED"}.get(self, "FAILED")

    @property
    def state(self) -> TrialState:
        """Optuna's word: COMPLETE, PRUNED or FAIL."""
        from optuna.trial import TrialState

        states = {Ending.COMPLETE: TrialState.COMPLETE, Ending.PRUNED: TrialState.PRUNED}
        return states.get(self, TrialState.FAIL)

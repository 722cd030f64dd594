"""The figures of a whole study, as MLflow and the report show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.figures.history import history_figure
from sweep.figures.importance import importance_figure
from sweep.figures.parallel import parallel_figure
from sweep.figures.slices import slice_figure
from sweep.search.as_optuna import as_optuna, at_first_rung, first_rung

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from sweep.analysis.importance import Importances
    from sweep.config import StudyConfig
    from sweep.search.trials import TrialRecord


def overview_figures(
    config: StudyConfig,
    trials: Sequence[TrialRecord],
    selected: TrialRecord | None,
    importances: Importances,
) -> dict[str, Figure]:
    """Draw the course of a search and, by the values at the first rung, its space."""
    number = None if selected is None else selected.number
    direction, objective = config.direction, config.metric
    rung, compared = first_rung(config), at_first_rung(config, trials)
    return {
        "history": history_figure(
            as_optuna(config, trials), direction=direction, objective=objective, selected=number
        ),
        "parallel_coordinates": parallel_figure(
            compared, direction=direction, objective=objective, selected=number, epoch=rung
        ),
        "slice": slice_figure(
            compared, direction=direction, objective=objective, selected=number, epoch=rung
        ),
        "importance": importance_figure(
            importances.shares,
            objective=objective,
            intervals=importances.intervals,
            alike=importances.alike,
            reason=importances.reason,
            epoch=rung,
        ),
    }

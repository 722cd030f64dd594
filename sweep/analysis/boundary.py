"""Whether the best of a study lies at a boundary of its space, where better may lie beyond.

The rule is that of Godbole et al., Deep Learning Tuning Playbook (2023), "Identifying bad search
space boundaries": a space is suspicious if its best points cluster near its boundary.
"""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sweep.analysis.selection import find_selected
from sweep.analysis.widening import Side, widened
from sweep.errors import SweepError
from sweep.search.as_optuna import first_rung
from sweep.search.record import load_study, study_names
from sweep.search.run_command import run_command
from sweep.search.trials import best_trial, tally
from sweep.space import Range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweep.config import StudyConfig
    from sweep.search.record import StudyRecord
    from sweep.search.trials import TrialRecord
    from sweep.space import Axis, Number

SIDES: tuple[Side, ...] = ("low", "high")
MARGIN = 0.05
"""A share of a range on its own scale: what is no further from a bound lies at it."""
LEAST_TRIALS = 10
"""Where the best of fewer lies says little of the space."""
LEAST_TOP = 3
LONGEST_NAME = 80
"""The rule for the names of studies, see `sweep.config.check_study_name`."""


@dataclass(frozen=True, kw_only=True)
class Edge:
    """A bound of a searched hyperparameter, at which the best results lie.

    Attributes
    ----------
    name
        Of the hyperparameter.
    side, bound
        Which end of its range or of its choices, and the value there.
    best_at_bound
        Whether the best trial lies there.
    top_there, top
        How many of the best tenth of the trials lie there, and how many these are.
    all_there, compared
        The same for all trials that reached the first rung: if it is most of them, that alone
        explains the best.
    wider
        What `--set` takes to look beyond, e.g. `l2=1e-06:1:log`.

    """

    name: str
    side: Side
    bound: Number
    best_at_bound: bool
    top_there: int
    top: int
    all_there: int
    compared: int
    wider: str

    @property
    def share_of_top(self) -> float:
        """The fraction of the best tenth that lies there."""
        return self.top_there / self.top

    def __str__(self) -> str:
        best = "the best trial" if self.best_at_bound else "not the best trial"
        return (
            f"{self.name} at its {self.side} end, {self.bound:g}: {best}, {self.top_there} of the "
            f"top {self.top}, {self.all_there} of all {self.compared} trials"
        )


def edges_of(
    config: StudyConfig, trials: Sequence[TrialRecord], selected: TrialRecord | None = None
) -> list[Edge]:
    """Return the bounds at which the best trial or most of the best tenth lie.

    The best is the `selected` trial or, where there is none, the best by the objective. Which are
    the best tenth is told by the value at the first rung, which nearly all trials have: three at
    least, and all that equal the last of them. A bound that cannot be moved is none. With fewer
    than `LEAST_TRIALS` there are none to be told.
    """
    compared = [trial for trial in trials if trial.epochs >= first_rung(config)]
    best = selected or best_trial(config, compared)
    if best is None or len(compared) < LEAST_TRIALS:
        return []
    top = _best_tenth(config, compared)
    edges = []
    for name in config.space.varied():
        axis = config.space.axes[name]
        for side in SIDES:
            wider = widened(axis, {side}, config.epochs)
            edge = Edge(
                name=name,
                side=side,
                bound=_bound(axis, side),
                best_at_bound=_lies_at(axis, side, best),
                top_there=sum(_lies_at(axis, side, trial) for trial in top),
                top=len(top),
                all_there=sum(_lies_at(axis, side, trial) for trial in compared),
                compared=len(compared),
                wider=f"{name}={wider}",
            )
            if wider != axis and (edge.best_at_bound or edge.share_of_top > 1 / 2):
                edges.append(edge)
    return edges


def wider_command(study: StudyRecord, edges: Sequence[Edge]) -> str:
    """Return the `sweep run` that looks beyond the edges, as a new study of as many trials."""
    config = study.config
    axes = {
        name: widened(
            config.space.axes[name],
            {edge.side for edge in edges if edge.name == name},
            config.epochs,
        )
        for name in {edge.name: None for edge in edges}
    }
    wider = replace(config, space=config.space.replace(axes))
    named = replace(wider, study=_name_of(wider, study))
    return run_command(named, max(1, tally(study.trials()).finished))


def boundary_lines(study: StudyRecord) -> list[str]:
    """Return a line for each edge and the command that looks beyond; none where there is none."""
    edges = edges_of(study.config, study.trials(), find_selected(study))
    if not edges:
        return []
    where = f"at a boundary of the space, trials compared after epoch {first_rung(study.config)}"
    return [f"{where}: {edge}" for edge in edges] + [
        f"to look beyond: {wider_command(study, edges)}"
    ]


def _best_tenth(config: StudyConfig, complete: Sequence[TrialRecord]) -> list[TrialRecord]:
    rung = first_rung(config)
    worth = [config.sign * trial.curves[config.metric][rung - 1] for trial in complete]
    last = sorted(worth)[max(LEAST_TOP, math.ceil(len(complete) / 10)) - 1]
    return [trial for trial, value in zip(complete, worth, strict=True) if value <= last]


def _bound(axis: Axis, side: Side) -> Number:
    low, high = (
        (axis.low, axis.high) if isinstance(axis, Range) else (min(axis.values), max(axis.values))
    )
    return low if side == "low" else high


def _lies_at(axis: Axis, side: Side, trial: TrialRecord) -> bool:
    value, bound = trial.params[axis.name], _bound(axis, side)
    if not isinstance(axis, Range):
        return bool(value == bound)
    scale = math.log if axis.log else float
    return abs(scale(value) - scale(bound)) <= MARGIN * (scale(axis.high) - scale(axis.low))


def _name_of(wider: StudyConfig, study: StudyRecord) -> str:
    """Return NAME-wider, or the first of NAME-wider-2, NAME-wider-3 and so on that is to be had."""
    taken = set(study_names(study.storage, study.workspace))
    base = re.sub(r"-wider(-\d+)?$", "", study.name)
    endings = itertools.chain(["-wider"], (f"-wider-{number}" for number in itertools.count(2)))
    names = (base[: LONGEST_NAME - len(ending)] + ending for ending in endings)
    return next(name for name in names if name not in taken or _goes_on(wider, name, study))


def _goes_on(wider: StudyConfig, name: str, study: StudyRecord) -> bool:
    """Whether the study of this name is the wider one already."""
    try:
        there = load_study(name, study.storage, study.workspace).config
    except SweepError:  # another program's, or another version's
        return False
    return not there.differences(replace(wider, slots=there.slots, lanes=there.lanes))

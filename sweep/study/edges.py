"""Whether the best of a study lies at an edge of its space, where better may lie beyond.

The rule is that of Godbole et al., Deep Learning Tuning Playbook (2023), "Identifying bad search
space boundaries": a space is suspicious if its best points cluster near its boundary.
"""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sweep.errors import SweepError
from sweep.space import Range
from sweep.study.opening import load_study, study_names
from sweep.study.results import best_trial, find_chosen, tally
from sweep.study.run_command import run_command
from sweep.study.widening import Side, widened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

    from sweep.settings import Settings
    from sweep.space import Axis, Number
    from sweep.study.opening import OpenStudy

SIDES: tuple[Side, ...] = ("low", "high")
MARGIN = 0.05
"""A share of a range on its own scale: what is no further from a bound lies at it."""
LEAST_TRIALS = 10
"""Complete ones. TPE draws its first ten at random, so where their best lies says little."""
LEAST_TOP = 3
LONGEST_NAME = 80
"""The rule for the names of studies, see `sweep.settings.check_study_name`."""


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
        How many of the best tenth of the complete trials lie there, and how many these are.
    all_there, complete
        The same for all complete trials: if it is most of them, that alone explains the best.
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
    complete: int
    wider: str

    @property
    def share_of_top(self) -> float:
        """The fraction of the best tenth that lies there."""
        return self.top_there / self.top

    def __str__(self) -> str:
        best = "the best trial" if self.best_at_bound else "not the best trial"
        return (
            f"{self.name} at its {self.side} end, {self.bound:g}: {best}, {self.top_there} of the "
            f"top {self.top}, {self.all_there} of all {self.complete} complete trials"
        )


def edges_of(
    settings: Settings, trials: Sequence[FrozenTrial], chosen: FrozenTrial | None = None
) -> list[Edge]:
    """Return the bounds at which the best trial or most of the best tenth lie.

    The best is the `chosen` trial where one was confirmed, else the best by the objective. The
    best tenth is three trials at least, and all that equal the last of them. A bound that cannot
    be moved is no edge. With fewer than `LEAST_TRIALS` there are none to be told.
    """
    from optuna.trial import TrialState

    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    best = chosen or best_trial(settings, complete)
    if best is None or len(complete) < LEAST_TRIALS:
        return []
    top = _best_tenth(settings, complete)
    edges = []
    for name in settings.space.varied():
        axis = settings.space.axes[name]
        for side in SIDES:
            wider = widened(axis, {side}, settings.epochs)
            edge = Edge(
                name=name,
                side=side,
                bound=_bound(axis, side),
                best_at_bound=_lies_at(axis, side, best),
                top_there=sum(_lies_at(axis, side, trial) for trial in top),
                top=len(top),
                all_there=sum(_lies_at(axis, side, trial) for trial in complete),
                complete=len(complete),
                wider=f"{name}={wider}",
            )
            if wider != axis and (edge.best_at_bound or edge.share_of_top > 1 / 2):
                edges.append(edge)
    return edges


def wider_command(study: OpenStudy, edges: Sequence[Edge]) -> str:
    """Return the `sweep run` that looks beyond the edges, as a new study of as many trials."""
    settings = study.settings
    axes = {
        name: widened(
            settings.space.axes[name],
            {edge.side for edge in edges if edge.name == name},
            settings.epochs,
        )
        for name in {edge.name: None for edge in edges}
    }
    wider = replace(settings, space=settings.space.replace(axes))
    named = replace(wider, study=_name_of(wider, study))
    return run_command(named, max(1, tally(study.trials()).finished))


def edge_lines(study: OpenStudy) -> list[str]:
    """Return a line for each edge and the command that looks beyond; none where there is none."""
    edges = edges_of(study.settings, study.trials(), find_chosen(study))
    if not edges:
        return []
    return [f"at an edge: {edge}" for edge in edges] + [
        f"to look beyond: {wider_command(study, edges)}"
    ]


def _best_tenth(settings: Settings, complete: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    worth = [settings.sign * (trial.value or 0.0) for trial in complete]
    last = sorted(worth)[max(LEAST_TOP, math.ceil(len(complete) / 10)) - 1]
    return [trial for trial, value in zip(complete, worth, strict=True) if value <= last]


def _bound(axis: Axis, side: Side) -> Number:
    low, high = (
        (axis.low, axis.high) if isinstance(axis, Range) else (min(axis.values), max(axis.values))
    )
    return low if side == "low" else high


def _lies_at(axis: Axis, side: Side, trial: FrozenTrial) -> bool:
    value, bound = trial.params[axis.name], _bound(axis, side)
    if not isinstance(axis, Range):
        return bool(value == bound)
    scale = math.log if axis.log else float
    return abs(scale(value) - scale(bound)) <= MARGIN * (scale(axis.high) - scale(axis.low))


def _name_of(wider: Settings, study: OpenStudy) -> str:
    """Return NAME-wider, or the first of NAME-wider-2, NAME-wider-3 and so on that is to be had."""
    taken = set(study_names(study.storage))
    base = re.sub(r"-wider(-\d+)?$", "", study.name)
    endings = itertools.chain(["-wider"], (f"-wider-{number}" for number in itertools.count(2)))
    names = (base[: LONGEST_NAME - len(ending)] + ending for ending in endings)
    return next(name for name in names if name not in taken or _goes_on(wider, name, study.storage))


def _goes_on(wider: Settings, name: str, storage: BaseStorage) -> bool:
    """Whether the study of this name is the wider one already."""
    try:
        there = load_study(name, storage).settings
    except SweepError:  # another program's, or another version's
        return False
    layout = replace(wider.layout, width=there.layout.width)
    return not there.differences(replace(wider, layout=layout))

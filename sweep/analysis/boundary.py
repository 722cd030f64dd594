"""Whether the best of a study lies at a boundary of its space, where better may lie beyond.

The rule is that of Godbole et al., Deep Learning Tuning Playbook (2023), "Identifying bad search
space boundaries": a space is suspicious if its best points cluster near its boundary.
"""

from __future__ import annotations

import itertools
import math
import re
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from sweep.analysis.selection import find_selected
from sweep.errors import SweepError
from sweep.search import best_trial, first_rung, load_study, study_names, tally
from sweep.search_space import MAX_CHOICES, RULES, Choices, Range, Words

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from sweep.config import StudyConfig
    from sweep.search import StudyRecord, TrialRecord
    from sweep.search_space import Axis, Number

Side: TypeAlias = Literal["low", "high"]
SIDES: tuple[Side, ...] = ("low", "high")
MARGIN = 0.05
"""A share of a range on its own scale: what is no further from a bound lies at it."""
LEAST_TRIALS = 10
"""Where the best of fewer lies says little of the space."""
LEAST_TOP = 3
LONGEST_NAME = 80
"""The rule for the names of studies, see `sweep.config.check_study_name`."""
DECADE = 10
DIGITS = 12
"""Significant ones of a new bound: 1e-5 / 10 is 1.0000000000000002e-06 in floating point."""


@dataclass(frozen=True, kw_only=True)
class Edge:
    """A bound of a searched hyperparameter, at which the best results lie.

    Attributes
    ----------
    name : of the hyperparameter.
    side, bound : which end of its range or of its choices, and the value there.
    best_at_bound : whether the best trial lies there.
    top_there, top : how many of the best tenth of the trials lie there, and how many these are.
    all_there, compared : the same for all trials that reached the first rung: if it is most of
        them, that alone explains the best.
    wider : what `--set` takes to look beyond, e.g. `l2=1e-06:1:log`.
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
        if isinstance(axis, Words):  # which have no ends
            continue
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
    sets = [word for name, axis in axes.items() for word in ("--set", f"{name}={axis}")]
    like = ["sweep", "run", _name_of(wider, study), "--like", study.name]
    trials = [] if study.budgets() else ["--trials", str(max(1, tally(study.trials()).finished))]
    return shlex.join([*like, *trials, *sets])


def boundary_lines(study: StudyRecord) -> list[str]:
    """Return a line for each hyperparameter at an edge and one that looks beyond; none without."""
    edges = edges_of(study.config, study.trials(), find_selected(study))
    if not edges:
        return []
    names = {edge.name: None for edge in edges}
    lines = ["; ".join(str(edge) for edge in edges if edge.name == name) for name in names]
    where = f"boundary (epoch {first_rung(study.config)})"
    return [f"{where}: {line}" for line in lines] + [f"beyond: {wider_command(study, edges)}"]


def _best_tenth(config: StudyConfig, complete: Sequence[TrialRecord]) -> list[TrialRecord]:
    rung = first_rung(config)
    worth = [config.sign * trial.curves[config.metric][rung - 1] for trial in complete]
    last = sorted(worth)[max(LEAST_TOP, math.ceil(len(complete) / 10)) - 1]
    return [trial for trial, value in zip(complete, worth, strict=True) if value <= last]


def _bound(axis: Range | Choices, side: Side) -> Number:
    low, high = (
        (axis.low, axis.high) if isinstance(axis, Range) else (min(axis.values), max(axis.values))
    )
    return low if side == "low" else high


def _lies_at(axis: Range | Choices, side: Side, trial: TrialRecord) -> bool:
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


def widened(axis: Axis, sides: Collection[Side], epochs: int) -> Axis:
    """Return the axis with more room on these sides, or itself where there is none to be had.

    A logarithmic range grows by a decade, a linear one by half its length, choices by twice the
    highest or half the lowest.
    """
    if isinstance(axis, Range):
        return _wider_range(axis, sides, epochs)
    return axis if isinstance(axis, Words) else _more_choices(axis, sides, epochs)


def _wider_range(axis: Range, sides: Collection[Side], epochs: int) -> Range:
    low, high = axis.low, axis.high
    reach = (high - low) / 2
    if "low" in sides:
        wanted = axis.low / DECADE if axis.log else axis.low - reach
        low = min(low, _tidy(axis.name, max(wanted, _least(axis)), math.floor))
    if "high" in sides:
        wanted = axis.high * DECADE if axis.log else axis.high + reach
        high = max(high, _tidy(axis.name, min(wanted, _most(axis.name, epochs)), math.ceil))
    return Range(name=axis.name, low=low, high=high, log=axis.log)


def _more_choices(axis: Choices, sides: Collection[Side], epochs: int) -> Choices:
    values = set(axis.values)
    if "low" in sides:
        values.add(_half(axis.name, min(axis.values)))
    if "high" in sides:
        highest = max(axis.values)
        values.add(max(highest, min(2 * highest, _most(axis.name, epochs))))
    if len(values) == len(axis.values) or len(values) > MAX_CHOICES:
        return axis
    return Choices(name=axis.name, values=tuple(sorted(values)))


def _half(name: str, value: Number) -> Number:
    """Return half of a value, or of a whole number a third or fifth where only that is whole.

    Batch sizes that divide each other let panels share what they read.
    """
    if not RULES[name].integer:
        return value / 2
    whole = [int(value) // parts for parts in (2, 3, 5) if value % parts == 0]
    return max(whole, default=max(1, int(value) // 2))


def _least(axis: Range) -> Number:
    """Return the lowest bound to be had; where zero is none, a decade down instead."""
    rule = RULES[axis.name]
    return max(rule.low, axis.low / DECADE) if axis.log or not rule.low_allowed else rule.low


def _most(name: str, epochs: int) -> Number:
    """Return the highest bound to be had: a rate that decays after the last epoch never does."""
    return epochs if name == "decay_period" else RULES[name].high


def _tidy(name: str, value: float, whole: Callable[[float], int]) -> Number:
    return whole(value) if RULES[name].integer else float(f"{value:.{DIGITS}g}")

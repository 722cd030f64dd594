"""A whole study: its course, its space, and what fresh seeds make of its best trials."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Self, TypeAlias

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.ticker import Locator, LogLocator, MaxNLocator
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from sweep.plots.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    PALE,
    SEQUENTIAL,
    SMALL_SIZE,
    TEXT_SIZE,
    VERMILLION,
    WIDTH,
    dress,
    headline,
    label,
    new_figure,
    say_instead,
    styled,
    with_unit,
)
from sweep.statistics import t_half_width

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

Direction: TypeAlias = Literal["maximize", "minimize"]

COLUMN: Final = 140  # pixels between two parallel axes
NAME: Final = 20  # characters under or over one axis
MOST_COLUMNS: Final = 3
MARGIN: Final = 0.05  # of a range, so that a point on its boundary is seen whole
TICK_ROOM: Final = 36  # characters under the narrowest axis, two of them between labels
MOST_CHOICES: Final = 12  # labels on one axis; of more choices every second, third, ... has one
ROUNDING: Final = 1e-9  # 1e-5 as a tick may miss 1e-5 as an end by the last bit
SHORTEST: Final = 0.01  # smaller numbers are written with an exponent
LONGEST: Final = 1e5  # and larger ones
FEW_DECADES: Final = 2  # below, powers of ten alone leave an axis nearly bare
FENCE: Final = 3.0  # interquartile ranges; beyond is "far out" (Tukey, Exploratory Data Analysis)


class Result(NamedTuple):
    """A trial and the finite objective value that it is drawn at."""

    trial: FrozenTrial
    value: float

    def position(self, name: str) -> float:
        """The parameter as a number; for choices, the index of the choice."""
        return self.trial.distributions[name].to_internal_repr(self.trial.params[name])


def complete(trials: Iterable[FrozenTrial]) -> list[Result]:
    """The complete trials, by number.

    Optuna accepts an infinite objective; it is no result and is left out.
    """
    return [
        Result(trial, trial.value)
        for trial in sorted(trials, key=lambda trial: trial.number)
        if trial.state is TrialState.COMPLETE
        and trial.value is not None
        and math.isfinite(trial.value)
    ]


def pruned(trials: Iterable[FrozenTrial]) -> list[Result]:
    """The pruned trials at the last finite value that each reported, by number."""
    results = []
    for trial in sorted(trials, key=lambda trial: trial.number):
        reported = [value for _, value in sorted(trial.intermediate_values.items())]
        finite = [value for value in reported if math.isfinite(value)]
        if trial.state is TrialState.PRUNED and finite:
            results.append(Result(trial, finite[-1]))
    return results


def best(results: Sequence[Result], direction: Direction, selected: int | None = None) -> Result:
    """The selected trial's result, else the best of at least one, of equals the first."""
    for result in results:
        if result.trial.number == selected:
            return result
    choose = max if direction == "maximize" else min
    return choose(results, key=lambda result: result.value)


def name_of_best(results: Sequence[Result], direction: Direction, selected: int | None) -> str:
    """What the result of `best` is: "best: trial 7"; "selected" where another value is better."""
    winner, highest = best(results, direction, selected), best(results, direction)
    word = "best" if winner.value == highest.value else "selected"
    return f"{word}: trial {winner.trial.number}"


def caption(
    trials: Sequence[FrozenTrial],
    direction: Direction,
    objective: str,
    selected: int | None = None,
    epoch: int | None = None,
) -> str:
    """How many trials ended how, and the best: "36 complete, 13 pruned, 1 failed. Best: ...".

    With `epoch` the trials are those that were compared after it, however they ended later.
    """
    finished = complete(trials)
    if epoch is None:
        states = Counter(trial.state for trial in trials)
        counts = (
            f"{states[TrialState.COMPLETE]} complete, {states[TrialState.PRUNED]} pruned, "
            f"{states[TrialState.FAIL]} failed"
        )
    else:
        counts = f"{len(finished)} trials, compared after epoch {epoch}"
    if not finished:
        return counts
    value = best(finished, direction, selected).value
    winner = name_of_best(finished, direction, selected)
    return f"{counts}. {winner.capitalize()}, {label(objective)} {value:.4g}"


def varied(results: Sequence[Result]) -> dict[str, BaseDistribution]:
    """The parameters that took more than one value, or could have where there is one trial."""
    distributions = {
        name: distribution
        for result in results
        for name, distribution in result.trial.distributions.items()
    }
    return {
        name: distribution
        for name, distribution in distributions.items()
        if not distribution.single()
        and (len(results) == 1 or len({r.trial.params.get(name) for r in results}) > 1)
    }


@dataclass(frozen=True, kw_only=True)
class AxisScale:
    """An axis from `low` to `high`; for `choices`, positions 0, 1, ... mean them."""

    low: float
    high: float
    log: bool = False
    whole: bool = False
    choices: tuple[str, ...] = ()

    @classmethod
    def of(cls, distribution: BaseDistribution) -> Self:
        """The axis of all values that the distribution allows, so that its boundary can be seen.

        A value's position on it is `Result.position`.
        """
        if isinstance(distribution, CategoricalDistribution):
            choices = tuple(label(choice, NAME) for choice in distribution.choices)
            return cls(low=0, high=len(choices) - 1, choices=choices)
        assert isinstance(distribution, FloatDistribution | IntDistribution)  # noqa: S101 - Optuna's
        return cls(
            low=distribution.low,
            high=distribution.high,
            log=distribution.log,
            whole=isinstance(distribution, IntDistribution),
        )

    @classmethod
    def around(cls, values: Sequence[float]) -> Self:
        """The axis from the smallest to the largest of finite values."""
        low, high = min(values), max(values)
        spare = 0.0 if low < high else max(0.5, 0.1 * abs(low))
        return cls(low=low - spare, high=high + spare)

    def unit(self, position: float) -> float:
        """Where a position lies between the ends: 0 at `low`, 1 at `high`."""
        if self.log:
            return math.log(position / self.low) / math.log(self.high / self.low)
        return (position - self.low) / (self.high - self.low)

    def between(self, unit: float) -> float:
        """The position where `unit` lies; the inverse of `unit`, beyond the ends too."""
        if self.log:
            return self.low * math.pow(self.high / self.low, unit)
        return self.low + (self.high - self.low) * unit

    def ticks(self) -> Sequence[tuple[float, str]]:
        """Positions between the ends worth a label, with the labels."""
        if self.choices:
            step = math.ceil(len(self.choices) / MOST_CHOICES)
            return list(enumerate(self.choices))[::step]
        values = self._locator().tick_values(self.low, self.high)
        low, high = self.between(-ROUNDING), self.between(1 + ROUNDING)
        inside = [float(value) for value in values if low <= value <= high]
        ends = [self.low, self.high]
        ticks = [(value, plain(value)) for value in (inside if len(inside) > 1 else ends)]
        while sum(len(words) + 2 for _, words in ticks) > TICK_ROOM:
            ticks = ticks[::2]
        return ticks

    def _locator(self) -> Locator:
        if not self.log:
            return MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=self.whole)
        few = math.log10(self.high / self.low) < FEW_DECADES
        return LogLocator(subs=(1, 2, 5) if few else (1,), numticks=8)


def plain(value: float) -> str:
    """A number as one types it, and short: 1e-3, 0.01, 25, 1e6."""
    if value and not SHORTEST <= abs(value) < LONGEST:
        text = np.format_float_scientific(value, precision=3, trim="-", exp_digits=1)
        return text.replace("e+", "e")
    return f"{value:g}"


@styled
def history_figure(
    trials: Sequence[FrozenTrial],
    *,
    direction: Direction,
    objective: str,
    selected: int | None = None,
    baseline: int | None = None,
    rungs: Sequence[int] = (),
    best_so_far: Sequence[tuple[int, float]] = (),
) -> Figure:
    """Each finished trial's curve as far as it was trained, and the best so far by what it cost.

    Pruned trials are pale and end in a cross; failed ones are only counted. The `selected` trial,
    or the best, and the `baseline` are marked. `rungs` are the epochs after which trials were
    compared, `best_so_far` are values by the trial-epochs spent until then.
    """
    figure = new_figure(WIDTH, 430, layout="constrained")
    finished, stopped = complete(trials), pruned(trials)
    cost = f", in {best_so_far[-1][0]:,} trial-epochs" if best_so_far else ""
    headline(figure, "The search", caption(trials, direction, objective, selected) + cost)
    if not finished and not stopped:
        say_instead(figure.subplots(), "no finished trial")
        return figure
    by_epoch, by_cost = figure.subplots(1, 2, width_ratios=(3, 2))
    dress(by_epoch)
    dress(by_cost)
    winner = best(finished, direction, selected) if finished else None
    first = next((result for result in finished if result.trial.number == baseline), None)
    others = [result for result in finished if result not in (winner, first)]
    _curves(by_epoch, stopped, label="pruned", color=PALE, marker="x")
    _curves(by_epoch, others, label="complete", color=BLUE, marker="o")
    if best_so_far:
        by_cost.plot(*zip(*best_so_far, strict=True), color=GREEN, drawstyle="steps-post")
    if first is not None:
        by_cost.axhline(first.value, color=INK, linestyle="--", linewidth=1.2)
        if first != winner:
            _curves(by_epoch, [first], label=f"trial {baseline}", color=INK, marker="o")
    if winner is not None:
        star: dict[str, Any] = {
            "color": VERMILLION,
            "marker": "*",
            "markersize": 14,
            "markeredgecolor": "white",
        }
        name = name_of_best(finished, direction, selected)
        _curves(by_epoch, [winner], label=name, linewidth=1.8, **star)
        if best_so_far:
            by_cost.plot(best_so_far[-1][0], winner.value, clip_on=False, **star)
    _frame(by_epoch, [*finished, *stopped], rungs, direction)
    by_epoch.set_ylabel(with_unit(objective))
    by_epoch.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0.2)
    against = "" if first is None else f"; trial {baseline} dashed"
    by_cost.set_title(f"best still in the search{against}", fontsize=SMALL_SIZE)
    by_cost.set_xlabel("trial-epochs spent")
    by_cost.set_xlim(left=0)
    by_cost.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    return figure


def _path(result: Result) -> list[tuple[int, float]]:
    """The finite values that a trial reported, by epoch; at least the one that it is drawn at."""
    reported = sorted(result.trial.intermediate_values.items())
    return [(epoch, value) for epoch, value in reported if math.isfinite(value)] or [
        (1, result.value)
    ]


def _curves(
    axes: Axes, results: Sequence[Result], *, color: str, linewidth: float = 0.9, **end: Any
) -> None:
    """Draw values by epoch, each curve with a mark at its end."""
    if not results:  # an empty line would still be in the legend
        return
    paths = [_path(result) for result in results]
    axes.add_collection(LineCollection(paths, colors=color, linewidths=linewidth, alpha=0.7))
    look: dict[str, Any] = {"linestyle": "none", "markersize": 5, "color": color} | end
    axes.plot(*zip(*(path[-1] for path in paths), strict=True), **look)


def _frame(
    axes: Axes, results: Sequence[Result], rungs: Sequence[int], direction: Direction
) -> None:
    """Give rungs, which grow by a factor, equal steps; cut off what is far worse than the others.

    A trial that nearly diverged would leave the others no room.
    """
    epochs, values = zip(*(point for result in results for point in _path(result)), strict=True)
    _range_axis(axes, "epoch", AxisScale(low=1, high=max(2, *epochs), log=True, whole=True))
    if rungs:
        ticks = sorted({1, *rungs, max(epochs)})
        axes.set_xticks(ticks, [f"{tick}\n{epochs.count(tick)}" for tick in ticks])
        axes.set_xlabel("epoch, and how many trials reached it")
    for rung in rungs:
        axes.axvline(rung, color=GREY, linewidth=0.8, linestyle=":", zorder=1)
    lower, upper = np.quantile(values, [0.25, 0.75])
    low, high = min(values), max(values)
    if direction == "maximize":
        low = max(low, lower - FENCE * (upper - lower))
    else:
        high = min(high, upper + FENCE * (upper - lower))
    if low < high:
        spare = MARGIN * (high - low)
        axes.set_ylim(low - spare, high + spare)


@styled
def parallel_figure(
    trials: Sequence[FrozenTrial],
    *,
    direction: Direction,
    objective: str,
    selected: int | None = None,
    epoch: int | None = None,
) -> Figure:
    """One axis per varied parameter, over its whole range, and one for the objective.

    Axes of log distributions are logarithmic, those of choices have equal steps. The better a
    trial, the darker its line; the selected one, or the best, is drawn last, in red. Trials that
    lack one of the parameters have no line. `epoch` is the one after which the trials are compared,
    if not the last.
    """
    parameters = varied(complete(trials))
    results = [each for each in complete(trials) if parameters.keys() <= each.trial.params.keys()]
    figure = new_figure(max(WIDTH, COLUMN * (len(parameters) + 1)), 460, layout="constrained")
    axes = figure.subplots()
    axes.set_axis_off()
    when = "of the complete trials" if epoch is None else f"after epoch {epoch}"
    title = f"Hyperparameters and {label(objective)} {when}"
    headline(figure, title, caption(trials, direction, objective, selected, epoch))
    if not results or not parameters:
        say_instead(axes, "no parameter varied" if results else "no complete trial")
        return figure
    scales = {name: AxisScale.of(distribution) for name, distribution in parameters.items()}
    goal = AxisScale.around([result.value for result in results])
    _upright_axes(axes, [*scales.items(), (objective, goal)])

    def path(result: Result) -> list[tuple[int, float]]:
        heights = [scale.unit(result.position(name)) for name, scale in scales.items()]
        return list(enumerate([*heights, goal.unit(result.value)]))

    worst_first = sorted(results, key=lambda result: result.value, reverse=direction == "minimize")
    # by rank: by value, one very bad trial would leave all the others equally dark
    colours = colormaps[SEQUENTIAL](np.linspace(0, 1, len(results)))
    paths = [path(result) for result in worst_first]
    axes.add_collection(LineCollection(paths, colors=colours, linewidths=1.2, alpha=0.8))
    winner = np.array(path(best(results, direction, selected)))
    axes.plot(*winner.T, color=VERMILLION, linewidth=2.6, marker="o", zorder=3.5)
    return figure


def _upright_axes(axes: Axes, scales: Sequence[tuple[str, AxisScale]]) -> None:
    """Upright axes at 0, 1, ..., each from 0 to 1, with ticks to the left and the name on top."""
    axes.set(xlim=(-0.55, len(scales) - 0.45), ylim=(-0.04, 1.12))
    for x, (name, scale) in enumerate(scales):
        axes.plot([x, x], [0, 1], color=GREY, linewidth=1, zorder=3)
        axes.text(x, 1.05, label(name, NAME), ha="center", color=INK)
        for position, words in scale.ticks():
            y = scale.unit(position)
            axes.plot([x - 0.02, x], [y, y], color=GREY, linewidth=1, zorder=3)
            tick = axes.text(x - 0.04, y, words, ha="right", va="center", fontsize=SMALL_SIZE)
            tick.set(zorder=4, bbox={"facecolor": "white", "alpha": 0.8, "lw": 0, "pad": 0.5})


@styled
def slice_figure(
    trials: Sequence[FrozenTrial],
    *,
    direction: Direction,
    objective: str,
    selected: int | None = None,
    epoch: int | None = None,
) -> Figure:
    """One panel per varied parameter, over its whole range; each complete trial is a point.

    `epoch` is the one after which the trials are compared, if not the last. Axes of log
    distributions are logarithmic. Later trials are darker, the best is marked.
    """
    results = complete(trials)
    parameters = varied(results)
    columns = min(MOST_COLUMNS, max(1, len(parameters)))
    rows = max(1, math.ceil(len(parameters) / columns))
    height = 120 + 240 * rows
    figure = new_figure(WIDTH, height)  # to lay out so many axes takes as long as to draw them
    when = "" if epoch is None else f" after epoch {epoch}"
    title = f"{label(objective)}{when} by hyperparameter"
    headline(figure, title, caption(trials, direction, objective, selected, epoch))
    left, right, bottom, top = 72 / WIDTH, 1 - 88 / WIDTH, 86 / height, 1 - 46 / height
    frame = {"left": left, "right": right, "bottom": bottom, "top": top, "hspace": 0.3}
    grid = figure.add_gridspec(rows, columns, wspace=0.08, **frame)
    panels: list[Axes] = []
    for i in range(max(1, len(parameters))):
        panel = figure.add_subplot(grid[divmod(i, columns)], sharey=panels[0] if panels else None)
        panel.tick_params(labelleft=i % columns == 0)
        panels.append(panel)
    if not parameters:
        say_instead(panels[0], "no parameter varied" if results else "no complete trial")
        return figure
    numbers = Normalize(results[0].trial.number, results[-1].trial.number)
    winner = best(results, direction, selected)
    for axes, (name, distribution) in zip(panels, parameters.items(), strict=True):
        _range_axis(axes, name, AxisScale.of(distribution))
        having = [result for result in results if name in result.trial.params]
        axes.scatter(
            [result.position(name) for result in having],
            [result.value for result in having],
            c=[result.trial.number for result in having],
            norm=numbers,
            cmap=SEQUENTIAL,
            s=26,
            edgecolors=GREY,
            linewidths=0.4,
        )
        if name in winner.trial.params:
            star = winner.position(name), winner.value
            axes.scatter(*star, s=190, marker="*", color=VERMILLION, edgecolors="white")
    figure.supylabel(with_unit(objective), x=0.012, fontsize=TEXT_SIZE)
    if len(results) > 1:
        beside = figure.add_axes((right + 18 / WIDTH, bottom, 12 / WIDTH, top - bottom))
        figure.colorbar(ScalarMappable(numbers, SEQUENTIAL), cax=beside, label="trial")
        beside.yaxis.set_major_locator(MaxNLocator(integer=True))
        dress(beside)
    return figure


def _range_axis(axes: Axes, name: str, scale: AxisScale) -> None:
    dress(axes)
    axes.set_xscale("log" if scale.log else "linear")
    axes.set_xlim(scale.between(-MARGIN), scale.between(1 + MARGIN))
    positions, words = zip(*scale.ticks(), strict=True)
    axes.set_xticks(positions, words)
    axes.minorticks_off()
    axes.set_xlabel(label(name))


@styled
def importance_figure(
    importances: Mapping[str, float],
    *,
    objective: str,
    intervals: Mapping[str, tuple[float, float]] | None = None,
    reason: str = "too few trials to tell",
    epoch: int | None = None,
) -> Figure:
    """Bars for the importances, fractions of 1, the largest on top, with their 95 % intervals.

    What is not finite has no bar; where there are none, the `reason` is written instead.
    `epoch` is the one after which the objective was taken, if not the last.
    """
    finite = {name: share for name, share in importances.items() if math.isfinite(share)}
    names = sorted(finite, key=finite.__getitem__)
    figure = new_figure(WIDTH, 130 + 40 * max(len(names), 2), layout="constrained")
    axes = figure.subplots()
    spans = {name: ends for name, ends in (intervals or {}).items() if name in finite}
    when = "" if epoch is None else f" after epoch {epoch}"
    method = "PED-ANOVA of the better half of the trials"
    method += ", with 95 % intervals by bootstrap" if spans else ""
    headline(figure, f"Importance for {objective}{when}", method if names else "")
    if not names:
        say_instead(axes, label(reason))
        return figure
    dress(axes)
    axes.grid(visible=False, axis="y")
    axes.barh(range(len(names)), [finite[name] for name in names], color=BLUE, height=0.65)
    for line, name in enumerate(names):
        words = f"{finite[name]:.2f}"
        if name in spans:
            low, high = spans[name]
            words += f"  [{low:.2f}, {high:.2f}]"
            axes.plot([low, high], [line, line], color=INK, linewidth=1.4, marker="|", ms=10)
        beside = axes.get_yaxis_transform()
        axes.text(1.01, line, words, transform=beside, va="center", fontsize=SMALL_SIZE)
    axes.set_yticks(range(len(names)), [label(name) for name in names])
    axes.set_xlabel("share of the importance")
    ends = [*finite.values(), *(high for _, high in spans.values())]
    axes.set_xlim(0, 1.04 * max(*ends, 0.01))
    return figure


class SeedValues(NamedTuple):
    """A setting: its name, its value in the search and on each seed; NaN where there is none."""

    name: str
    search: float
    values: Sequence[float]


@styled
def confirmation_figure(rows: Sequence[SeedValues], *, objective: str, title: str) -> Figure:
    """One line per setting, the first on top: every seed, their mean and the search's value."""
    figure = new_figure(WIDTH, 150 + 42 * max(len(rows), 2), layout="constrained")
    headline(
        figure,
        title,
        "small points: seeds; bars: mean and its 95 % interval; rings: what the search had said",
    )
    axes = figure.subplots()
    dress(axes)
    axes.grid(visible=False, axis="y")
    for y, row in enumerate(rows):
        finite = [value for value in row.values if math.isfinite(value)]
        axes.scatter(finite, [y] * len(finite), s=12, color=GREY, alpha=0.6, linewidths=0)
        if math.isfinite(row.search):
            axes.scatter(row.search, y, s=60, facecolors="none", edgecolors=VERMILLION, zorder=3)
        if not finite or len(finite) < len(row.values):
            continue  # the mean of those that did not diverge would be optimistic
        half = t_half_width(finite)
        axes.errorbar(
            statistics.fmean(finite),
            y,
            xerr=half if math.isfinite(half) else None,
            fmt="o",
            color=BLUE,
            markersize=7,
            elinewidth=2.5,
            capsize=4,
        )
    axes.set_yticks(range(len(rows)), [label(row.name) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(with_unit(objective))
    return figure

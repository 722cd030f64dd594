"""Several studies on the same test rows, side by side."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, PercentFormatter

from sweep.plots.style import (
    BLUE,
    GREEN,
    HAIRLINE,
    INK,
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

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from sweep.statistics import BestOf, Outputs, Share

# Okabe and Ito's palette goes on; the marks tell studies apart where it begins anew.
COLOURS: Final = (BLUE, VERMILLION, GREEN, "#CC79A7", "#E69F00", "#56B4E9")
MARKS: Final = "osD^vP*X"
MOST_COLUMNS: Final = 3
MOST_CLASSES: Final = 40
NAME: Final = 28  # characters of a name in a legend or before a line
TITLE: Final = 110  # characters of the titles of one row of panels together
LINE: Final = 13  # pixels for one study in one class
SPREAD: Final = 0.22  # of a class's line, so that its studies are closer than two classes
MOST_NUMBERS: Final = 12  # classes; of more the numbers do not fit into the squares
MOST_NAMES: Final = 30
SHORT_NAME: Final = 13
DARK: Final = 0.55  # from here on a number is written in white
TICKS: Final = (1, 2, 5)


class Look(NamedTuple):
    """How one study is drawn in every figure."""

    colour: str
    mark: str


def looks(studies: Iterable[str]) -> dict[str, Look]:
    """A colour and a mark for each study, by their order."""
    return {
        study: Look(COLOURS[i % len(COLOURS)], MARKS[i % len(MARKS)])
        for i, study in enumerate(studies)
    }


def _panels(
    titles: Sequence[str], *, height: int, longest: int = TITLE
) -> tuple[Figure, list[Axes]]:
    """A figure with one dressed panel of `height` pixels for each title, three in a row at most."""
    columns = min(MOST_COLUMNS, max(1, len(titles)))
    rows = max(1, math.ceil(len(titles) / columns))
    figure = new_figure(WIDTH, 110 + height * rows, layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flat)
    for axes, title in zip(grid, titles, strict=False):
        dress(axes)
        axes.tick_params(labelbottom=True)
        axes.set_title(label(title, longest // columns))
    for spare in grid[len(titles) :]:
        spare.set_axis_off()
    return figure, grid[: len(titles)]


def _legend(axes: Axes) -> None:
    """Name the studies over the axes, three in a row."""
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=MOST_COLUMNS, borderaxespad=0.2)


@styled
def class_accuracies_figure(
    shares: Mapping[str, Sequence[Share | None]], class_names: Sequence[str]
) -> Figure:
    """Each class on a line of its own; a dot with its 95 % interval for each study.

    `shares` has for each study the accuracy on each class, None for one without rows. Of more
    classes than fit, those are shown on which the studies differ most.
    """
    kept = _most_different(list(shares.values()), len(class_names))
    figure = new_figure(WIDTH, 130 + len(kept) * (10 + LINE * len(shares)), layout="constrained")
    axes = figure.subplots()
    dress(axes)
    axes.grid(visible=False, axis="y")
    steps = np.linspace(-SPREAD, SPREAD, len(shares)) if len(shares) > 1 else np.zeros(1)
    for (study, look), step in zip(looks(shares).items(), steps, strict=True):
        lines = [(line + step, shares[study][i]) for line, i in enumerate(kept)]
        present = [(line, share) for line, share in lines if share is not None]
        axes.errorbar(
            [share.value for _, share in present],
            [line for line, _ in present],
            xerr=[
                [share.value - share.low for _, share in present],
                [share.high - share.value for _, share in present],
            ],
            color=look.colour,
            fmt=look.mark,
            markersize=5,
            elinewidth=1.4,
            label=label(study, NAME),
        )
    for line in range(1, len(kept)):
        axes.axhline(line - 0.5, color=HAIRLINE, linewidth=0.8, zorder=0)
    axes.set_yticks(range(len(kept)), [label(class_names[i], NAME) for i in kept])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(kept) - 0.5, -0.5)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    _legend(axes)
    fewer = f"; the {len(kept)} of {len(class_names)} classes that differ most"
    note = fewer if len(kept) < len(class_names) else ""
    headline(
        figure, "Accuracy on each class", f"test rows, with Wilson's 95 % interval of each{note}"
    )
    return figure


def _most_different(shares: Sequence[Sequence[Share | None]], classes: int) -> list[int]:
    """The numbers of the classes to show, in their own order."""

    def spread(i: int) -> float:
        values = [share.value for each in shares if (share := each[i]) is not None]
        return max(values) - min(values) if values else -1.0

    return sorted(sorted(range(classes), key=spread, reverse=True)[:MOST_CLASSES])


@styled
def confusion_figure(
    counts: Mapping[str, Sequence[Sequence[int]]], class_names: Sequence[str]
) -> Figure:
    """One panel for each title: row by row, what share of a class was taken for each class.

    `counts` has for each title the counts (k, k), the true classes down and the predicted across.
    """
    many = len(counts) > 2  # noqa: PLR2004 - two have more room
    figure, grid = _panels(list(counts), height=340 if many else 450, longest=80)
    for axes, each in zip(grid, counts.values(), strict=True):
        rows = np.asarray(each, dtype=np.float64)
        shares = rows / np.maximum(rows.sum(axis=1, keepdims=True), 1)
        axes.grid(visible=False)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)  # most are empty, and should look it
        for i, j in np.argwhere(shares > 0) if len(class_names) <= MOST_NUMBERS else ():
            axes.text(
                j,
                i,
                f"{100 * shares[i, j]:.0f}",
                ha="center",
                va="center",
                fontsize=6 if many else 7.5,
                color="white" if shares[i, j] > DARK else INK,
            )
        axes.tick_params(axis="x", rotation=90)
        axes.set_xlabel("predicted")
    named = range(0, len(class_names), -(-len(class_names) // MOST_NAMES))
    names = [label(class_names[i], SHORT_NAME) for i in named]
    grid[0].set_xticks(named, names)  # the others share its axes
    grid[0].set_yticks(named, names)
    grid[0].set_ylabel("true class")
    headline(figure, "Confusion", "percent of each true class; each row adds up to 100")
    return figure


@styled
def truth_histograms_figure(outputs: Mapping[str, Outputs]) -> Figure:
    """One panel for each title: filled where the prediction was right, a line where it was wrong.

    All panels have the same axes.
    """
    figure, grid = _panels(list(outputs), height=270)
    for axes, each in zip(grid, outputs.values(), strict=True):
        edges = np.linspace(0, 1, len(each.right) + 1)
        right = f"predicted rightly ({sum(each.right):,} rows)"
        wrong = f"predicted wrongly ({sum(each.wrong):,} rows)"
        axes.stairs(each.right, edges, fill=True, color=BLUE, alpha=0.45, label=right)
        axes.stairs(each.right, edges, color=BLUE, linewidth=1)
        axes.stairs(each.wrong, edges, color=VERMILLION, linewidth=1.8, label=wrong)
        axes.set_xlabel("probability given to the true class")
        axes.legend(loc="upper center", borderaxespad=0.2, handlelength=1.6)
    top = max(max(each.right + each.wrong) for each in outputs.values())
    grid[0].set(xlim=(0, 1), ylim=(0, 1.3 * max(top, 1)), ylabel="test rows")  # room for the legend
    grid[0].yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    headline(
        figure,
        "How sure of the truth",
        "rows in each twentieth of the range; right is filled, wrong is the line",
    )
    return figure


@styled
def best_of_figure(curves: Mapping[str, BestOf], *, objective: str, note: str = "") -> Figure:
    """For each study the mean best of k of its trials; `note` ends the caption."""
    figure = new_figure(WIDTH, 460, layout="constrained")
    axes = figure.subplots()
    drawn = {study: curve for study, curve in curves.items() if curve.results}
    caption = "mean best of k of the drawn trials, where at least one of them is complete"
    headline(figure, "Best of k trials", "; ".join(filter(None, (caption, note))))
    if not drawn:
        say_instead(axes, "no study has a complete trial that its sampler drew")
        return figure
    dress(axes)
    for study, look in looks(curves).items():
        if study in drawn:
            curve = drawn[study]
            axes.plot(
                range(1, curve.trials + 1),
                curve.expected,
                color=look.colour,
                marker=look.mark,
                markevery=0.1,
                markersize=4,
                label=label(study, NAME),
            )
    longest = max(curve.trials for curve in drawn.values())
    axes.set(xscale="log", xlim=(0.95, max(1.05 * longest, 2)), xlabel="trials k")
    ticks = [t * 10**p for p in range(7) for t in TICKS if t * 10**p <= longest]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_ylabel(with_unit(objective))
    _legend(axes)
    return figure

"""What a search of k trials comes to, with a band of how surely that is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.ticker import FixedLocator, NullLocator

from sweep.figures.lettering import fit, headline, label, say_instead, with_unit
from sweep.figures.side_by_side import WIDTH, legend, looks
from sweep.figures.style import dress, new_figure, styled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from sweep.figures.side_by_side import Look
    from sweep.statistics.best_of import BestOf

TICKS: Final = (1, 2, 5)
MARGIN: Final = 0.06


@styled
def best_of_figure(
    curves: Mapping[str, BestOf], *, objective: str, maximise: bool, note: str = ""
) -> Figure:
    """For each study the median best of k trials as a line, its band, and the mean dashed.

    Where the trials set no bound the band runs to the edge of the figure. `note` ends the caption.
    """
    figure = new_figure(WIDTH, 460, layout="constrained")
    axes = figure.subplots()
    drawn = {study: curve for study, curve in curves.items() if curve.results}
    caption = "line: median, dashes: mean; band: 95 % for the whole line, open where unbounded"
    headline(figure, "Best of k trials", "; ".join(filter(None, (caption, note))))
    if not drawn:
        say_instead(axes, "no study has a complete trial that its sampler drew")
        return figure
    dress(axes)
    low, high = _ends(list(drawn.values()))
    for study, look in looks(curves).items():
        if study in drawn:
            _curve(axes, study, drawn[study], look, (low, high) if maximise else (high, low))
    longest = max(curve.trials for curve in drawn.values())
    axes.set(xscale="log", xlim=(0.95, max(1.05 * longest, 2)), ylim=(low, high))
    ticks = [t * 10**p for p in range(7) for t in TICKS if t * 10**p <= longest]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("trials k")
    fit(axes.set_ylabel(with_unit(objective)), 0.6 * figure.bbox.height)
    legend(axes)
    return figure


def _ends(curves: Sequence[BestOf]) -> tuple[float, float]:
    """The range of the lines and of what bounds them from better, and a little on both sides.

    How bad a single trial may be would leave the better ones on top of each other.
    """
    known = [
        value
        for curve in curves
        for line in (curve.expected, curve.median, curve.best)
        for value in line
        if value is not None
    ]
    low, high = min(known), max(known)
    spare = MARGIN * (high - low) or 0.01
    return low - spare, high + spare


def _curve(
    axes: Axes, study: str, curve: BestOf, look: Look, unbounded: tuple[float, float]
) -> None:
    k = np.arange(1, curve.trials + 1)
    worst, best = (
        [edge if value is None else value for value in line]
        for line, edge in zip((curve.worst, curve.best), unbounded, strict=True)
    )
    median = [np.nan if value is None else value for value in curve.median]
    axes.fill_between(k, worst, best, color=look.colour, alpha=0.13, linewidth=0)
    for edge in (worst, best):
        axes.plot(k, edge, color=look.colour, linewidth=0.8, alpha=0.7)
    axes.plot(k, curve.expected, color=look.colour, linewidth=1.2, dashes=(4, 2))
    axes.plot(
        k,
        median,
        color=look.colour,
        marker=look.mark,
        markevery=0.1,
        markersize=4,
        label=label(f"{study} ({curve.trials} drawn)"),
    )

"""How much each parameter mattered to the objective, and how sure that is."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Final

from matplotlib.markers import TICKLEFT
from matplotlib.transforms import ScaledTranslation

from sweep.figures.lettering import fit_ticks, headline, label, say_instead
from sweep.figures.style import BLUE, DPI, GREY, INK, SMALL_SIZE, dress, new_figure, styled

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Transform

NAME_WIDTH: Final = 300
BAR: Final = 0.65
NUMBERS, BRACKET, WORDS = 8, 146, 152  # pixels to the right of the axes


@styled
def importance_figure(
    importances: Mapping[str, float],
    *,
    objective: str,
    intervals: Mapping[str, tuple[float, float]] | None = None,
    alike: Collection[tuple[str, str]] = (),
    reason: str = "too few trials to tell",
    epoch: int | None = None,
) -> Figure:
    """Bars for the importances, fractions of 1, the largest on top.

    Parameters
    ----------
    importances
        The share of each parameter; what is not finite has no bar. Where it is empty, the `reason`
        stands in its place.
    objective
        What they are important to.
    intervals
        The 95 % interval of each share, drawn as a line over its bar.
    alike
        Pairs of parameters that are not distinguishable: a bracket joins them where they are
        neighbours.
    reason
        Why there are no bars.
    epoch
        After which the objective was taken, if not the last.

    """
    bars = sorted(
        ((name, share) for name, share in importances.items() if math.isfinite(share)),
        key=lambda bar: bar[1],
    )
    figure = new_figure(900, 130 + 40 * max(len(bars), 2), layout="constrained")
    axes = figure.subplots()
    known = intervals or {}
    when = "" if epoch is None else f" after epoch {epoch}"
    headline(figure, f"Importance for {objective}{when}", _caption(known) if bars else "")
    if not bars:
        say_instead(axes, label(reason))
        return figure
    dress(axes)
    axes.grid(visible=False, axis="y")
    axes.barh(range(len(bars)), [share for _, share in bars], color=BLUE, height=BAR)
    for line, (name, share) in enumerate(bars):
        _number(axes, line, share, known.get(name))
    axes.set_yticks(range(len(bars)), [label(name) for name, _ in bars])
    fit_ticks(axes.yaxis, NAME_WIDTH)
    axes.set_xlabel("share of the importance")
    ends = [*(share for _, share in bars), *(known[name][1] for name, _ in bars if name in known)]
    axes.set_xlim(0, 1.04 * max(*ends, 0.01))
    for line, (lower, upper) in enumerate(itertools.pairwise(name for name, _ in bars)):
        if (lower, upper) in alike or (upper, lower) in alike:
            _join(axes, line)
    return figure


def _caption(intervals: Mapping[str, tuple[float, float]]) -> str:
    method = "PED-ANOVA of the better half of the trials"
    return f"{method}, with 95 % intervals by bootstrap" if intervals else method


def _number(axes: Axes, line: int, share: float, interval: tuple[float, float] | None) -> None:
    """Draw the interval of a share, and write both beside the axes."""
    text = f"{share:.2f}"
    if interval is not None:
        low, high = interval
        text += f"  [{low:.2f}, {high:.2f}]"
        axes.plot([low, high], [line, line], color=INK, linewidth=1.4, marker="|", markersize=10)
    axes.text(1, line, text, transform=_beside(axes, NUMBERS), va="center", fontsize=SMALL_SIZE)


def _join(axes: Axes, line: int) -> None:
    """Join a line and the next one up, which are not distinguishable."""
    axes.plot(
        [1, 1],
        [line + 0.2, line + 0.8],
        transform=_beside(axes, BRACKET),
        color=GREY,
        linewidth=1.2,
        marker=TICKLEFT,
        markersize=6,
        clip_on=False,
    )
    axes.text(
        1,
        line + 0.5,
        "not distinguishable",
        transform=_beside(axes, WORDS),
        color=GREY,
        va="center",
        fontsize=SMALL_SIZE,
    )


def _beside(axes: Axes, pixels: float) -> Transform:
    """Coordinates whose x = 1 lies some pixels to the right of the axes; y is theirs.

    In pixels of the page: a file of twice the density has twice as many.
    """
    inches = axes.figure.dpi_scale_trans
    return axes.get_yaxis_transform() + ScaledTranslation(pixels / DPI, 0, inches)

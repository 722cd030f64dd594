"""How often each class was predicted rightly, for several studies side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.ticker import PercentFormatter

from sweep.figures.lettering import fit_ticks, headline, label
from sweep.figures.side_by_side import WIDTH, legend, looks
from sweep.figures.style import HAIRLINE, dress, new_figure, styled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

    from sweep.statistics.intervals import Share

MOST_CLASSES: Final = 40
NAME_WIDTH: Final = 200
LINE: Final = 13  # pixels for one study in one class
SPREAD: Final = 0.22  # of a class's line, so that its studies stand closer than two classes


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
        places = [(line, shares[study][i]) for line, i in enumerate(kept)]
        known = [(line + step, share) for line, share in places if share is not None]
        axes.errorbar(
            [share.value for _, share in known],
            [line for line, _ in known],
            xerr=[
                [share.value - share.low for _, share in known],
                [share.high - share.value for _, share in known],
            ],
            color=look.colour,
            fmt=look.mark,
            markersize=5,
            elinewidth=1.4,
            label=label(study),
        )
    for line in range(1, len(kept)):
        axes.axhline(line - 0.5, color=HAIRLINE, linewidth=0.8, zorder=0)
    axes.set_yticks(range(len(kept)), [label(class_names[i]) for i in kept])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(kept) - 0.5, -0.5)
    fit_ticks(axes.yaxis, NAME_WIDTH)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    legend(axes)
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

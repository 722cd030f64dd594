"""How much each hyperparameter decides, for several studies side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sweep.figures.lettering import fit_ticks, headline, label, say_instead
from sweep.figures.side_by_side import WIDTH, legend, looks
from sweep.figures.style import dress, new_figure, styled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

NAME_WIDTH: Final = 200
LINE: Final = 14  # pixels for one study in one hyperparameter
SPREAD: Final = 0.22  # of a hyperparameter's line


@styled
def importances_figure(shares: Mapping[str, Mapping[str, tuple[float, float, float]]]) -> Figure:
    """Each hyperparameter on a line of its own; a dot with its 95 % interval for each study.

    `shares` has for each study and hyperparameter the share, and the low and high end of its
    interval. The hyperparameter that decides most on average comes first.
    """
    totals: dict[str, float] = {}
    for each in shares.values():
        for name, (share, _, _) in each.items():
            totals[name] = totals.get(name, 0.0) + share
    names = sorted(totals, key=totals.__getitem__, reverse=True)
    height = 130 + max(len(names), 2) * (16 + LINE * len(shares))
    figure = new_figure(WIDTH, height, layout="constrained")
    axes = figure.subplots()
    headline(
        figure,
        "Importance of the hyperparameters",
        "share in what decides the objective; 95 % bootstrap over the trials",
    )
    if not names:
        say_instead(axes, "too few trials to tell")
        return figure
    dress(axes)
    axes.grid(visible=False, axis="y")
    steps = np.linspace(-SPREAD, SPREAD, len(shares)) if len(shares) > 1 else np.zeros(1)
    for (study, look), step in zip(looks(shares).items(), steps, strict=True):
        lines = [names.index(name) + step for name in shares[study]]
        values, low, high = np.array(list(shares[study].values())).reshape(-1, 3).T
        ends = [values - low, high - values]
        axes.errorbar(
            values,
            lines,
            xerr=ends,
            color=look.colour,
            fmt=look.mark,
            markersize=5,
            elinewidth=1.4,
            label=label(study),
        )
    axes.set_yticks(range(len(names)), [label(name) for name in names])
    axes.tick_params(axis="y", length=0)
    fit_ticks(axes.yaxis, NAME_WIDTH)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(left=0)
    legend(axes)
    return figure

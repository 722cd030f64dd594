"""How much each parameter mattered to the objective."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from sweep.figures.lettering import fit_ticks, headline, label, say_instead
from sweep.figures.style import BLUE, SMALL_SIZE, dress, new_figure, styled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

NAME_WIDTH: Final = 300


@styled
def importance_figure(
    importances: Mapping[str, float],
    *,
    objective: str,
    reason: str = "too few complete trials to tell",
) -> Figure:
    """Bars for the importances, fractions of 1, the largest on top.

    `importances` comes from `optuna.importance.get_param_importances`; where it is empty, the
    `reason` stands in its place. What is not finite has no bar.
    """
    bars = sorted(
        ((name, share) for name, share in importances.items() if math.isfinite(share)),
        key=lambda bar: bar[1],
    )
    figure = new_figure(900, 130 + 40 * max(len(bars), 2), layout="constrained")
    axes = figure.subplots()
    headline(
        figure,
        f"Importance for {objective}",
        "PED-ANOVA over the complete trials; with few of them a rough guess" if bars else "",
    )
    if not bars:
        say_instead(axes, label(reason))
        return figure
    dress(axes)
    axes.grid(visible=False, axis="y")
    shares = [share for _, share in bars]
    drawn = axes.barh(range(len(bars)), shares, color=BLUE, height=0.65)
    axes.bar_label(drawn, [f"{share:.2f}" for share in shares], padding=4, fontsize=SMALL_SIZE)
    axes.set_yticks(range(len(bars)), [label(name) for name, _ in bars])
    fit_ticks(axes.yaxis, NAME_WIDTH)
    axes.set_xlabel("share of the importance")
    axes.set_xlim(0, 1.08 * max(*shares, 0.01))
    return figure

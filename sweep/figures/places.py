"""Where the best trial of each study lies in the ranges that were searched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sweep.figures.lettering import fit, headline, label, say_instead
from sweep.figures.scale import plain
from sweep.figures.side_by_side import WIDTH, looks
from sweep.figures.style import GREY, INK, PALE, SMALL_SIZE, new_figure, styled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    from sweep.figures.side_by_side import Look
    from sweep.statistics.place import Place

LINE: Final = 30  # pixels for one range
HEADING: Final = 26  # pixels for the name of a hyperparameter
NAME_WIDTH: Final = 150


@styled
def places_figure(places: Mapping[str, Sequence[Place]]) -> Figure:
    """One line for each searched range: its ends, and the selected trial with its value.

    A range is drawn on its own scale; choices stand at equal distances.
    """
    names = list(dict.fromkeys(place.name for each in places.values() for place in each))
    lines = sum(len(each) for each in places.values())
    height = 100 + (HEADING + 0.3 * LINE) * len(names) + LINE * max(lines, 2)
    figure = new_figure(WIDTH, round(height), layout="constrained")
    axes = figure.subplots()
    headline(
        figure,
        "Where the selected trials lie",
        "each line is one searched range, on its own scale; a dot at an end says: widen it",
    )
    if not names:
        say_instead(axes, "no hyperparameter was searched")
        return figure
    axes.set_axis_off()
    y = 0.0
    for name in names:
        fit(axes.text(-0.38, y, label(name), va="center", weight="bold"), NAME_WIDTH)
        y -= HEADING
        for study, look in looks(places).items():
            for place in (each for each in places[study] if each.name == name):
                fit(_line(axes, y, study, place, look), NAME_WIDTH)
                y -= LINE
        y -= 0.3 * LINE
    axes.set(xlim=(-0.39, 1.08), ylim=(y + 0.6 * LINE, 0.6 * LINE))
    return figure


def _line(axes: Axes, y: float, study: str, place: Place, look: Look) -> Text:
    """Draw one range and return the study's name, which stands before it."""
    axes.plot([0, 1], [y, y], color=PALE, linewidth=1.2, zorder=1)
    stops = len(place.choices) if place.choices else 2
    for i in range(stops):
        axes.plot([i / (stops - 1)], [y], "|", color=GREY, markersize=8, zorder=2)
    for x, end, side in ((-0.015, place.low, "right"), (1.015, place.high, "left")):
        axes.text(x, y, plain(end), ha=side, va="center", fontsize=SMALL_SIZE, color=GREY)
    axes.plot([place.unit], [y], look.mark, color=look.colour, markersize=9, zorder=3)
    value = plain(float(f"{place.value:.3g}"))
    axes.text(place.unit, y + 0.33 * LINE, value, ha="center", fontsize=SMALL_SIZE, color=INK)
    return axes.text(-0.36, y, label(study), va="center", color=look.colour)

"""What figures of several studies share: a colour and a mark for each, and panels in rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from sweep.figures.lettering import fit, label
from sweep.figures.style import BLUE, GREEN, VERMILLION, dress, new_figure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette goes on; the marks tell studies apart where it begins anew.
COLOURS: Final = (BLUE, VERMILLION, GREEN, "#CC79A7", "#E69F00", "#56B4E9")
MARKS: Final = "osD^vP*X"
MOST_COLUMNS: Final = 3
WIDTH: Final = 900
NAME_WIDTH: Final = 200


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


def panels(
    titles: Sequence[str], *, height: int, square: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure with one dressed panel of `height` pixels for each title, three in a row at most.

    A `square` panel will be as high as it is wide, which leaves its title less room.
    """
    columns = min(MOST_COLUMNS, max(1, len(titles)))
    rows = max(1, math.ceil(len(titles) / columns))
    figure = new_figure(WIDTH, 110 + height * rows, layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flat)
    for axes, title in zip(grid, titles, strict=False):
        dress(axes)
        axes.tick_params(labelbottom=True)
        fit(axes.set_title(label(title)), (0.7 if square else 0.9) * WIDTH / columns)
    for spare in grid[len(titles) :]:
        spare.set_axis_off()
    return figure, grid[: len(titles)]


def legend(axes: Axes) -> None:
    """Name the studies over the axes, three in a row, each in the room that it has."""
    shown = axes.legend(
        loc="lower right", bbox_to_anchor=(1, 1), ncols=MOST_COLUMNS, borderaxespad=0.2
    )
    for text in shown.get_texts():
        fit(text, NAME_WIDTH)

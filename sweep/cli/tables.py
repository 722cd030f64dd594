"""Tables and numbers as the terminal shows them."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

SELECTED, TIED = "*", "\N{ALMOST EQUAL TO}"
"""Marks of the selected trial, and of what cannot be told from it."""
PLAIN_TIED = "~"
PLAIN_WIDTH = 200
"""Columns of what is piped into a file or another program, whatever the terminal around it."""


def console(*, stderr: bool = False) -> Console:
    """Return where text goes: without any escape code in a pipe or with NO_COLOR.

    Rich alone would still print bold and dim with NO_COLOR.
    """
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(
        stderr=stderr,
        width=None if stream.isatty() else PLAIN_WIDTH,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        highlight=False,
        markup=False,
        emoji=False,
    )


def draws_blocks() -> bool:
    """Whether stdout takes more than ASCII."""
    return (sys.stdout.encoding or "ascii").lower().replace("-", "").startswith("utf")


def tied_mark() -> str:
    """Return the mark of what cannot be told from the selected trial, as stdout can show it."""
    return TIED if draws_blocks() else PLAIN_TIED


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str = "",
    styles: Sequence[str] = (),
) -> None:
    """Print a table on stdout; `styles` has one rich style per row."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False)
    for column in columns:
        left = column in LEFT
        justify: Literal["left", "right"] = "left" if left else "right"
        table.add_column(column, justify=justify, no_wrap=column not in WRAPPED)
    overflow: Literal["ellipsis", "crop"] = "ellipsis" if draws_blocks() else "crop"
    for number, row in enumerate(rows):
        # Text, because a name may hold what rich would read as markup; words give way to numbers.
        cells = [Text(cell, overflow=overflow) for cell in row]
        table.add_row(*cells, style=styles[number] if styles else None)
    out = console()
    if title:  # not the table's own, which would be wrapped to the width of that
        out.print(title, style="bold")
    out.print(table)


def table_width(columns: Mapping[str, Sequence[str]]) -> int:
    """Return how wide a table of these columns is when nothing is cut; keys are the headings."""
    widths = [max(map(len, [*name.split("\n"), *cells])) for name, cells in columns.items()]
    return sum(widths) + len(widths) - 1


LEFT = (
    *("study", "data", "loss", "status", "curve", "hyperparameter"),
    *("values", "pair", "class", "better"),
)

WRAPPED = (*LEFT, "search")
"""Columns of words, which give way to numbers in a narrow terminal."""


def say(text: str) -> None:
    """Print a sentence on stdout; a terminal gets it broken between words."""
    console().print(text, soft_wrap=not sys.stdout.isatty())


def percent(share: float | None) -> str:
    """Return e.g. `41.3%`; a dash where there is no number."""
    return "-" if share is None else f"{100 * share:.1f}%"


def number(value: float | None) -> str:
    """Return three significant digits; a dash where there is no number."""
    return "-" if value is None else f"{value:.3g}"

"""Tables and numbers as the terminal shows them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CHOSEN, TIED = "*", "\N{ALMOST EQUAL TO}"
"""Marks of the chosen trial, and of what cannot be told from it."""
PLAIN_WIDTH = 200
"""Columns of a table that is piped into a file or another program."""


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str = "",
    styles: Sequence[str] = (),
) -> None:
    """Print a table on stdout; `styles` has one rich style per row."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=0,
        pad_edge=False,
        show_edge=False,
    )
    for column in columns:
        table.add_column(column, justify="left" if column in LEFT else "right")
    for number, row in enumerate(rows):
        # Text, because a name may hold what rich would read as markup.
        cells = [Text(cell, no_wrap=True, overflow="ellipsis") for cell in row]
        table.add_row(*cells, style=styles[number] if styles else None)
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    Console(width=width).print(table)


LEFT = ("study", "data", "loss", "ending", "hyperparameter", "values", "pair", "class", "better")


def percent(share: float | None) -> str:
    """Return e.g. `41.3%`; a dash where there is no number."""
    return "-" if share is None else f"{100 * share:.1f}%"


def number(value: float | None) -> str:
    """Return three significant digits; a dash where there is no number."""
    return "-" if value is None else f"{value:.3g}"

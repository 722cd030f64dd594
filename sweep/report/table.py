"""A table as text: what both formats lay out in their own way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["plain", "chosen", "aside"]
Look: TypeAlias = Literal["plain", "dense", "sheet"]
"""Dense tables are long; the cells of a sheet hold words, and may break."""


@dataclass(frozen=True)
class Heading:
    """The heading of a column; numbers stand to the right."""

    words: str
    numeric: bool = True


@dataclass(frozen=True)
class Meter:
    """A cell that says where a value lies in its range, as a share of it from the low end."""

    share: float
    words: str

    def __str__(self) -> str:
        return self.words


Cell: TypeAlias = str | Meter


@dataclass(frozen=True)
class Row:
    """A line: its name stands under the first heading, its cells under the others."""

    name: str
    cells: list[Cell]
    kind: Kind = "plain"


@dataclass(frozen=True)
class Table:
    """Rows under headings; the name says what it is, the caption how to read it."""

    name: str
    caption: str
    headings: list[Heading]
    rows: list[Row]
    look: Look = "plain"

"""Parts of the Markdown descriptions that MLflow shows on an experiment and on its runs."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SPECIAL = re.compile(r"[\\`*{}\[\]|~@]|(?<![^\W_])_|_(?![^\W_])")
"""An underscore within a word is only that."""
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
LONGEST = 600
"""Characters of one text: MLflow refuses a description of more than 5,000."""
SPACE = "&emsp;"
"""Between columns: the page leaves no room of its own."""
FILLED = 48
"""Characters after which a command goes on in the next line, so that it does not widen the page."""


def plain(text: object) -> str:
    """Return `text` on one line, so that Markdown shows just these characters, in a table too.

    What is too long ends in an ellipsis.
    """
    line = " ".join(str(text).split())
    if len(line) > LONGEST:
        line = line[: LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"
    line = SPECIAL.sub(lambda found: f"\\{found[0]}", line)
    for sign, entity in ENTITIES.items():
        line = line.replace(sign, entity)
    return line


def number_of(value: float) -> str:
    """Return a number to six significant digits, a whole one in full."""
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def section(title: str, *paragraphs: str) -> str:
    """Return paragraphs under a title in bold; the page shows headings as plain text."""
    return "\n\n".join([f"**{title}**", *paragraphs])


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table whose cells show just what they are given."""
    lines = [f"{SPACE} | ".join(map(plain, row)) for row in (head, *rows)]
    lines.insert(1, " | ".join(["---"] * len(head)))
    return "\n".join(f"| {line} |" for line in lines)


def commands(*lines: tuple[str, str]) -> str:
    """Return a block of code: commands, each below what it does."""
    shown = [line for command, purpose in lines for line in (f"# {purpose}", _wrapped(command))]
    return "\n".join(["```sh", *shown, "```"])


def _wrapped(command: str) -> str:
    """Return a command that begins a new line before an option where the line is filled."""
    lines = [""]
    for word in shlex.split(command):
        if word.startswith("--") and len(lines[-1]) > FILLED:
            lines.append("   ")
        lines[-1] += f" {shlex.quote(word)}"
    return " \\\n".join(lines).strip()

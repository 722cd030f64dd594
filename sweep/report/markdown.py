"""The report as Markdown, with its pictures in a folder beside it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from markupsafe import Markup

from sweep.report.rendering import Rendered, environment, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sweep.report.facts import Command, Report

SPECIAL = re.compile(
    r"[\\`*\[\]|~$@#]"  # emphasis, code, links, tables, and what GitHub adds
    r"|(?<![^\W_])_|_(?![^\W_])"  # an underscore within a word is only that
    r"|^[-+=]"  # a list or a heading begins a line,
    r"|:(?=//)|(?<=www)\."  # an address becomes a link by itself
)

NUMBERED = re.compile(r"^(\d{1,9})([.)])(?= |$)")  # and so does a numbered list
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def render_markdown(report: Report, *, folder: str) -> Rendered:
    """Return the text and its pictures, which it looks for under `folder`."""
    templates = environment(escape_markdown)
    templates.filters.update(code=code, script=script)
    template = templates.get_template("report.md.jinja")
    text = template.render(report=report, folder=quote(folder))
    return Rendered(text, {f"{folder}/{each.file_name}": each.content for each in report.pictures})


def escape_markdown(text: str) -> Markup:
    """Return `text` so that Markdown shows just these characters, in a table too.

    Source: CommonMark 0.31, section 2.4: a backslash before any ASCII punctuation; HTML, which
    Markdown lets through, has entities.
    """
    plain = SPECIAL.sub(lambda found: f"\\{found[0]}", text.strip())
    plain = NUMBERED.sub(r"\1\\\2", plain)
    for sign, entity in ENTITIES.items():
        plain = plain.replace(sign, entity)
    return Markup(plain)  # noqa: S704 - this is the escape


def script(commands: Iterable[Command]) -> Markup:
    """Return commands as one block of code, each below what it does."""
    return code(*(line for each in commands for line in (f"# {each.purpose}", each.line)))


def code(*lines: str) -> Markup:
    """Return lines as a block of code; the fence is longer than any that they hold."""
    shown = "\n".join(map(one_line, lines))
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", shown)), default=0))
    return Markup(f"{fence}sh\n{shown}\n{fence}")  # noqa: S704 - nothing leaves such a block

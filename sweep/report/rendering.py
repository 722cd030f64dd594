"""What both formats share: the templates, and that nothing from outside is taken for markup."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sweep.report.answer import finding_of, setting_of
from sweep.report.comparison_tables import comparison_tables
from sweep.report.origins import settings_table, versions_table
from sweep.report.setting import remarks_of, setting_table
from sweep.report.steps import overview, steps
from sweep.report.tables import confirmation_table, failures_of, remarks_on_seeds, trials_table

if TYPE_CHECKING:
    from collections.abc import Callable

VIEWS = (
    comparison_tables,
    confirmation_table,
    failures_of,
    finding_of,
    overview,
    remarks_of,
    remarks_on_seeds,
    setting_of,
    setting_table,
    settings_table,
    steps,
    trials_table,
    versions_table,
)
"""What a template may ask for: from facts to text, for both formats alike."""
MARK = "written by sweep"
"""Stands near the top of every report, so that a file of somebody else's is not replaced."""


@dataclass(frozen=True)
class Rendered:
    """A report as files: its text, and pictures by their path relative to it."""

    text: str
    files: dict[str, bytes]


def environment(escape: Callable[[str], Markup]) -> Environment:
    """Return templates in which every value passes through `escape` on its way out.

    Autoescape stays on: what `escape` returned is marked as safe, and nothing else is.
    """

    def finalise(value: object) -> Markup:
        return value if isinstance(value, Markup) else escape(one_line(str(value)))

    templates = Environment(
        autoescape=True,
        finalize=finalise,
        keep_trailing_newline=True,
        loader=PackageLoader("sweep.report"),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    templates.globals.update({view.__name__: view for view in VIEWS})
    templates.globals["mark"] = f"{MARK} {version('sweep')}"
    return templates


def one_line(text: str) -> str:
    """Return `text` on one line, without characters that move, hide or reverse others."""
    if text.isprintable():
        return text
    visible = (" " if sign.isspace() else sign for sign in text)
    return "".join(sign for sign in visible if not unicodedata.category(sign).startswith("C"))

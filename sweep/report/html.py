"""The report as one HTML file that needs nothing else: no network, no script, no font."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from sweep.report.rendering import Rendered, environment

if TYPE_CHECKING:
    from sweep.report.facts import Report


PERCENT = re.compile(r"(?<=\d) %")


def render_html(report: Report) -> Rendered:
    """Return the page, with its pictures inside."""
    template = environment(_escape).get_template("report.html.jinja")
    return Rendered(template.render(report=report), {})


def _escape(text: str) -> Markup:
    """Return `text` as it is, but that a line does not break between a number and its `%`."""
    return escape(PERCENT.sub("\N{NO-BREAK SPACE}%", text))

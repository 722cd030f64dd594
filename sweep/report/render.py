"""A report as files: one HTML page that needs nothing else, or Markdown with its pictures beside.

Nothing that comes from outside is taken for markup: every value is escaped on its way out.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from sweep.errors import SweepError
from sweep.outputs import write_whole
from sweep.report.collect import finding_of, setting_of
from sweep.report.tables import (
    comparison_tables,
    confirmation_table,
    failures_of,
    overview,
    remarks_of,
    remarks_on_seeds,
    setting_table,
    settings_table,
    steps,
    trials_table,
    versions_table,
)
from sweep.search.study_run import study_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from sweep.report.facts import Command, Report
    from sweep.search.record import StudyRecord
    from sweep.tracking.tracker import Tracker

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


ARTIFACTS = "report"
PERCENT = re.compile(r"(?<=\d) %")
SPECIAL = re.compile(
    r"[\\`*\[\]|~$@#]"  # emphasis, code, links, tables, and what GitHub adds
    r"|(?<![^\W_])_|_(?![^\W_])"  # an underscore within a word is only that
    r"|^[-+=]"  # a list or a heading begins a line,
    r"|:(?=//)|(?<=www)\."  # an address becomes a link by itself
)

NUMBERED = re.compile(r"^(\d{1,9})([.)])(?= |$)")  # and so does a numbered list
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


@dataclass(frozen=True)
class Rendered:
    """A report as files: its text, and pictures by their path relative to it."""

    text: str
    files: dict[str, bytes]


def _environment(escape: Callable[[str], Markup]) -> Environment:
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


def render_html(report: Report) -> Rendered:
    """Return the page, with its pictures inside."""
    template = _environment(_escape).get_template("report.html.jinja")
    return Rendered(template.render(report=report), {})


def _escape(text: str) -> Markup:
    """Return `text` as it is, but that a line does not break between a number and its `%`."""
    return escape(PERCENT.sub("\N{NO-BREAK SPACE}%", text))


def render_markdown(report: Report, *, folder: str) -> Rendered:
    """Return the text and its pictures, which it looks for under `folder`."""
    templates = _environment(escape_markdown)
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


def write(rendered: Rendered, path: Path) -> list[Path]:
    """Write the pictures and then the text, each whole or not at all; return their paths.

    Raises
    ------
    SweepError
        The folder cannot be written to, or holds pictures that no report of this name drew.

    """
    files = {path.parent / place: content for place, content in rendered.files.items()}
    taken = [place for place in files if place.exists() and not path.exists()]
    if taken:
        raise SweepError(
            f"{taken[0]}: is there already, and {path} is not; move it away, or name another "
            "with --out"
        )
    files[path] = rendered.text.encode()
    try:
        for place, content in files.items():
            place.parent.mkdir(exist_ok=True)
            write_whole(place, content)
    except OSError as error:
        raise SweepError(
            f"{path}: cannot be written: {error.strerror}; name a place that can with --out"
        ) from error
    return list(files)


def log_report(
    written: Sequence[Path],
    path: Path,
    studies: Sequence[StudyRecord],
    trackers: Mapping[str, Tracker],
) -> list[str]:
    """Log the files with each study's own run; return the studies that have one in this store."""
    logged = []
    for study in studies:
        tracker = trackers[study.name]
        for run in tracker.runs(run_key=study_key(study))[:1]:
            for file in written:
                folder = file.parent.relative_to(path.parent).as_posix()
                place = f"{ARTIFACTS}/{folder}".removesuffix("/.")
                with tracker.reaching():
                    tracker.client.log_artifact(run.info.run_id, str(file), place)
            logged.append(study.name)
    return logged

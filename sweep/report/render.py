"""A report as files: one HTML page that needs nothing else, or Markdown with its pictures beside.

Nothing that comes from outside is taken for markup: every value is escaped on its way out. The
pictures are sharp on a dense screen, and small enough to travel within a page.
"""

from __future__ import annotations

import io
import re
import unicodedata
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from PIL import Image

from sweep.analysis import (
    comparison_figures,
    confirmation_chart,
    fetch_classifier,
    overview_figures,
)
from sweep.errors import StoreUnreachableError, SweepError
from sweep.formatting import counted
from sweep.io import check_replaceable, write_whole
from sweep.plots import DPI, curves_figure, pixels_of, weights_figure
from sweep.report import facts, tables
from sweep.report.facts import Measure, Picture
from sweep.search import Status, first_rung

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from matplotlib.figure import Figure

    from sweep.analysis import Comparison, Confirmation
    from sweep.plots import Pixels
    from sweep.report.facts import Command, Report, StudyFacts
    from sweep.search import StudyRecord, TrialRecord
    from sweep.tracking import Tracker

MARK: Final = "written by sweep"
"""Stands near the top of every report, so that a file of somebody else's is not replaced."""
ARTIFACTS: Final = "report"
ENDINGS: Final = {"html": (".html", ".htm"), "md": (".md", ".markdown")}
OVERVIEW_CAPTIONS: Final = {
    "history": "Left, each finished trial as far as it was trained; pruned ones end in a cross. "
    "Right, the best of the trials that were still in the search, at their last rungs, by the "
    "trial-epochs spent until then. The star is the selected trial.",
    "parallel_coordinates": "One line for each trial, through its hyperparameters to its score "
    "after epoch {rung}. The better, the darker; the selected trial is red.",
    "slice": "The score after epoch {rung} against each hyperparameter by itself. Later trials are "
    "darker, the star is the selected one.",
}
COMPARISON_CAPTIONS: Final = {
    "class_accuracies": "Accuracy on the test rows of each class, with 95 % intervals.",
    "truth_histograms": "The probability given to the true class, over rows predicted rightly and "
    "wrongly.",
    "confusion": "What the test rows of each class were taken for.",
    "best_of": "The mean best of k of the drawn trials: what a search of k trials comes to.",
}
DENSITY: Final = 2
"""Pixels of a file to one of the page."""
COLOURS: Final = 256
"""Of a palette: lines and words need no more, and the file is a third to a half as long."""
MINUS: Final = re.compile(r"(?<!\w)-(?=\d)")
PERCENT: Final = re.compile(r"(?<=\d) %")
SPECIAL: Final = re.compile(
    r"[\\`*\[\]|~$@#]"  # emphasis, code, links, tables, and what GitHub adds
    r"|(?<![^\W_])_|_(?![^\W_])"  # an underscore within a word is only that
    r"|^[-+=]"  # a list or a heading begins a line,
    r"|:(?=//)|(?<=www)\."  # an address becomes a link by itself
)
NUMBERED: Final = re.compile(r"^(\d{1,9})([.)])(?= |$)")  # and so does a numbered list
ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def with_pictures(
    report: Report, studies: Sequence[StudyRecord], trackers: Mapping[str, Tracker]
) -> Report:
    """Return a report of the studies with its figures drawn; a tracker for each by its name."""
    own = [
        replace(summary, pictures=study_pictures(study, summary, trackers[study.name]))
        for study, summary in zip(studies, report.studies, strict=True)
    ]
    comparison = report.comparison
    pictures = [] if comparison is None else comparison_pictures(comparison)
    return replace(report, studies=own, comparison_pictures=pictures)


def study_pictures(study: StudyRecord, summary: StudyFacts, tracker: Tracker) -> list[Picture]:
    """Draw what a study has: all its trials, those on fresh seeds, and the selected one."""
    selected = summary.selected
    pictures = []
    if summary.tally.finished:
        pictures += overview_pictures(study, summary)
    if summary.confirmation is not None:
        pictures.append(confirmation_picture(study.name, summary.confirmation))
    if selected is not None:
        title = f"{study.name}, trial {selected.number}"
        pictures.append(
            picture(
                curves_figure(selected.curves, title=title),
                name=f"{study.name}-curves",
                caption="Loss, cost and accuracy of the selected trial after each epoch, on "
                "training and validation rows.",
                alt=f"Learning curves of {title}, over {counted(selected.epochs, 'epoch')}.",
            )
        )
        pictures += _weights(study, selected, tracker, title)
    return pictures


def overview_pictures(study: StudyRecord, summary: StudyFacts) -> list[Picture]:
    """Draw what all trials of a study show; its importances are in a table."""
    selected = summary.selected
    figures = overview_figures(study.config, study.trials(), selected, summary.importances)
    if selected is None:
        best = "none is complete"
    elif summary.search is None:
        best = f"the selected trial {selected.number} was pruned at epoch {selected.epochs}"
    else:
        measure = summary.measure
        score = f"{measure.noun} {measure.value(summary.search)} {measure.unit}"
        best = f"the selected trial {selected.number} has the {score}"
    return [
        picture(
            figures[name],
            name=f"{study.name}-{name.replace('_', '-')}",
            caption=caption.format(rung=first_rung(study.config)),
            alt=f"{study.name}, {counted(summary.tally.finished, 'finished trial')}: {best}.",
        )
        for name, caption in OVERVIEW_CAPTIONS.items()
    ]


def confirmation_picture(study: str, confirmation: Confirmation) -> Picture:
    """Draw what fresh seeds made of the top trials."""
    measure, winner = Measure(confirmation.metric), confirmation.winner
    return picture(
        confirmation_chart(study, confirmation),
        name=f"{study}-confirmation",
        caption="Small points are seeds, bars their mean with its 95 % interval, rings what the "
        "search had said.",
        alt=f"{counted(len(confirmation.trials), 'setting')} of {study} on fresh seeds: trial "
        f"{winner.trial} has the best mean, {measure.mean(winner.mean, winner.standard_error)}.",
    )


def _weights(
    study: StudyRecord, selected: TrialRecord, tracker: Tracker, title: str
) -> list[Picture]:
    """Draw the selected trial's weights, where it was not pruned and a run has kept them."""
    if selected.status != Status.COMPLETE:
        return []
    try:
        classifier = fetch_classifier(study, selected, tracker)
    except StoreUnreachableError:
        raise
    except SweepError:  # a copy that can be lost; the report does without
        return []
    if classifier.image_shape is None:
        return []
    names = classifier.class_names
    return [
        picture(
            weights_figure(classifier.weights, names, classifier.image_shape, title=title),
            name=f"{study.name}-weights",
            caption="What the selected trial looks for: the weights of each class as an image, all "
            "on one scale of colours.",
            alt=f"Weight images of {title}: {', '.join(names)}.",
        )
    ]


def comparison_pictures(comparison: Comparison) -> list[Picture]:
    """Draw what the test rows showed of the studies side by side."""
    return [
        picture(
            figure,
            name=f"comparison-{name.replace('_', '-')}",
            caption=COMPARISON_CAPTIONS[name],
            alt=f"{COMPARISON_CAPTIONS[name]} {comparison.sentence}",
        )
        for name, figure in comparison_figures(comparison).items()
    ]


def picture(figure: Figure | Pixels, *, name: str, caption: str, alt: str) -> Picture:
    """Return a figure, or the pixels (height, width, 3) of one, as a PNG file."""
    if isinstance(figure, np.ndarray):
        image = Image.fromarray(figure)
        width, height = image.size
    else:
        width, height = (round(length * DPI) for length in figure.get_size_inches())
        figure.set_dpi(DENSITY * DPI)
        method = Image.Quantize.MAXCOVERAGE  # moved a colour by at most 18 of 255, the default: 62
        image = Image.fromarray(pixels_of(figure)).quantize(
            COLOURS, method, dither=Image.Dither.NONE
        )
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return Picture(
        name=name, caption=caption, alt=alt, content=file.getvalue(), width=width, height=height
    )


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
    templates.filters["minus"] = lambda cell: MINUS.sub("\N{MINUS SIGN}", str(cell))
    templates.globals.update(facts=facts, tables=tables, mark=f"{MARK} {version('sweep')}")
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
    plain = SPECIAL.sub(lambda match: f"\\{match[0]}", text.strip())
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
    files = {path.parent / name: content for name, content in rendered.files.items()}
    taken = [file for file in files if file.exists() and not path.exists()]
    if taken:
        raise SweepError(
            f"{taken[0]}: exists already, and {path} is not; move it away, or name another "
            "with --out"
        )
    files[path] = rendered.text.encode()
    try:
        for file, content in files.items():
            file.parent.mkdir(exist_ok=True)
            write_whole(file, content)
    except OSError as error:
        raise SweepError(
            f"{path}: cannot be written: {error.strerror}; name a file that can be with --out"
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
        for run in tracker.runs(run_key=study.identity)[:1]:
            for file in written:
                folder = file.parent.relative_to(path.parent).as_posix()
                target = f"{ARTIFACTS}/{folder}".removesuffix("/.")
                with tracker.reaching():
                    tracker.client.log_artifact(run.info.run_id, str(file), target)
            logged.append(study.name)
    return logged


class Written(NamedTuple):
    """Where a report lies, what it says, and with which studies' runs MLflow has it."""

    path: Path
    report: Report
    logged: list[str]


def write_report(
    studies: Sequence[StudyRecord],
    trackers: Mapping[str, Tracker],
    out: Path | None = None,
    kind: str | None = None,
) -> Written:
    """Write what studies found into one file, `html` or `md`, and log it with their runs.

    Raises
    ------
    SweepError
        The file is named as neither, is something else's, or cannot be written.

    """
    ending = "" if out is None else out.suffix.lower()
    by_ending = next((kind for kind, endings in ENDINGS.items() if ending in endings), None)
    kind = kind or by_ending or "html"
    if out is not None and by_ending != kind:
        raise SweepError(
            f"{out}: a report ends in .html or, as Markdown, in .md; name such a file with --out"
        )
    name = "-".join(study.name for study in studies)[:200]
    path = out or Path(f"{name}-report{ENDINGS[kind][0]}")
    check_replaceable(path, mark=MARK.encode(), kind="report")
    report = with_pictures(facts.collect(studies, trackers), studies, trackers)
    if kind == "md":
        rendered = render_markdown(report, folder=f"{path.stem}-figures")
    else:
        rendered = render_html(report)
    return Written(path, report, log_report(write(rendered, path), path, studies, trackers))

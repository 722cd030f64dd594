"""What a report says, as plain values: collecting fills them in, rendering shows them."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweep.report.measure import Measure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sweep.comparison.comparison import Comparison
    from sweep.settings import Settings
    from sweep.statistics.share import Share
    from sweep.study.confirmation import Confirmation
    from sweep.study.edges import Edge
    from sweep.study.importance import Importances
    from sweep.study.results import Tally


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure as a file, with what it says in words.

    Attributes
    ----------
    name
        The stem of its file name, unique within the report.
    caption
        How to read it.
    alt
        What it shows, for who does not see it.
    kind
        `png` or `svg`.
    width, height
        In pixels of the page; the file may have more.

    """

    name: str
    caption: str
    alt: str
    kind: str
    content: bytes
    width: int
    height: int

    @property
    def file_name(self) -> str:
        """Of the file that a Markdown report shows."""
        return f"{self.name}.{self.kind}"

    @property
    def data_uri(self) -> str:
        """The file itself, as an address that needs no network."""
        mime = {"png": "image/png", "svg": "image/svg+xml"}[self.kind]
        return f"data:{mime};base64,{b64encode(self.content).decode('ascii')}"


@dataclass(frozen=True)
class Command:
    """A line for the shell and what it does."""

    purpose: str
    line: str


@dataclass(frozen=True)
class Unknown:
    """What is not known yet, and the command that finds out; empty where there is none."""

    what: str
    command: str = ""


@dataclass(frozen=True, kw_only=True)
class TrialRow:
    """A trial in the table.

    Attributes
    ----------
    facts
        What `sweep.study.results.describe` says of it.
    chosen
        Whether the study answers with it.
    level
        Whether it is within the noise floor of the best score, so that the search alone does not
        tell it from the best.

    """

    facts: Mapping[str, Any]
    chosen: bool
    level: bool


@dataclass(frozen=True, kw_only=True)
class StudyFacts:
    """What is known of one study.

    Attributes
    ----------
    chosen
        The number of the trial that it answers with; None where no trial is complete.
    setting
        That trial's hyperparameters.
    search
        The chosen trial's objective in the search.
    validation
        Its accuracy on the validation rows in the search.
    trials
        Every trial, the best on top, up to a limit; `hidden` are left out.
    wider
        The command that searches a wider space, where the best lies at an edge.
    test, openings
        The chosen trial's accuracy on the test rows, and how often they were opened for the study.
    environment, git
        Of the chosen trial and of the study's run; empty where they are not recorded.

    """

    settings: Settings
    tally: Tally
    chosen: int | None
    setting: Mapping[str, float]
    search: float | None
    validation: Share | None
    trials: list[TrialRow]
    hidden: int
    confirmation: Confirmation | None
    edges: list[Edge]
    wider: str
    importances: Importances
    test: Share | None
    openings: int
    environment: Mapping[str, str]
    git: Mapping[str, str]
    pictures: list[Picture]

    @property
    def name(self) -> str:
        """The study's name."""
        return self.settings.study

    @property
    def measure(self) -> Measure:
        """How its objective is written."""
        return Measure(self.settings.metric)


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that a report says, in the order in which it says it.

    Attributes
    ----------
    comparison, comparison_pictures
        What `sweep compare` found for these studies as they stand; None and empty without it.
    written
        When and by what.

    """

    title: str
    question: str
    answer: str
    unknowns: list[Unknown]
    studies: list[StudyFacts]
    comparison: Comparison | None
    comparison_pictures: list[Picture]
    commands: list[Command]
    written: str

    @property
    def pictures(self) -> list[Picture]:
        """All of them."""
        own = [picture for study in self.studies for picture in study.pictures]
        return self.comparison_pictures + own

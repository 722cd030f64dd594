"""What a report says, as plain values, and how it writes numbers and names."""

from __future__ import annotations

import math
import re
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweep.analysis.boundary import Edge
    from sweep.analysis.confirmation import Confirmation
    from sweep.analysis.importance import Importances
    from sweep.comparison import Comparison
    from sweep.config import StudyConfig
    from sweep.search.trials import Tally
    from sweep.statistics.intervals import Share

UNKNOWN = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
PLUS_MINUS = "\N{PLUS-MINUS SIGN}"
LOSS_WORDS = {"softmax": "softmax cross-entropy", "bce": "binary cross-entropy"}
EXPONENT = re.compile(r"e([+-])0*(\d+)$")


def number(value: float | None, digits: int = 3) -> str:
    """Return a number to so many significant digits, e.g. `0.0239` or `1.76e-5`.

    It can be typed into a command, so its minus is a hyphen.
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return EXPONENT.sub(lambda found: f"e{found[1].strip('+')}{found[2]}", f"{value:.{digits}g}")


def fixed(value: float | None, digits: int) -> str:
    """Return a number with so many decimals, so that the points of a column stand in line."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    value = round(value, digits) + 0.0  # the zero of a small negative number has no minus
    return f"{value:.{digits}f}".replace("-", MINUS)


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share in percent without the sign, e.g. `41.3`."""
    return UNKNOWN if share is None else fixed(100 * share, digits)


def between(low: float | None, high: float | None, digits: int = 1) -> str:
    """Return the interval of a share in percent, e.g. `[38.3, 44.4]`."""
    return f"[{percent(low, digits)}, {percent(high, digits)}]"


def counted(count: int, noun: str) -> str:
    """Return e.g. `1 trial` or `50 trials`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def listed(words: Sequence[str]) -> str:
    """Return e.g. `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def plain_name(name: str) -> str:
    """Return a parameter's or metric's name in words, e.g. `learning rate`."""
    return name.replace("_", " ")


@dataclass(frozen=True)
class Measure:
    """How the values of an objective are written: accuracies in percent, losses in nats.

    Attributes
    ----------
    metric
        `val/accuracy` or `val/loss`.

    """

    metric: str

    @property
    def is_accuracy(self) -> bool:
        """Whether the values are fractions of rows."""
        return self.metric.endswith("accuracy")

    @property
    def noun(self) -> str:
        """What is measured, e.g. `validation accuracy`."""
        return "validation accuracy" if self.is_accuracy else "validation loss"

    @property
    def unit(self) -> str:
        """Of a value."""
        return "%" if self.is_accuracy else "nats"

    @property
    def gap_unit(self) -> str:
        """Of a difference."""
        return "points" if self.is_accuracy else "nats"

    def value(self, value: float | None, *, fine: bool = False) -> str:
        """Return a value without its unit; a mean over seeds is worth a further digit."""
        if self.is_accuracy:
            return percent(value, 2 if fine else 1)
        return fixed(value, 4)

    def spoken(self, value: float | None) -> str:
        """Return a value with its unit, e.g. `41.3 %`."""
        return f"{self.value(value)} {self.unit}"

    def gap(self, value: float | None) -> str:
        """Return a difference or a spread without its unit."""
        return self.value(value, fine=True)

    def mean(self, mean: float, error: float) -> str:
        """Return a mean with its standard error and unit, e.g. `41.29 +- 0.05 %`."""
        spread = f" {PLUS_MINUS} {self.gap(error)}" if math.isfinite(error) else ""
        return f"{self.value(mean, fine=True)}{spread} {self.unit}"


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
        What `sweep.search.trials.describe` says of it.
    selected
        Whether the study answers with it.
    level
        Whether it is within the noise floor of the best score, so that the search alone does not
        tell it from the best.

    """

    facts: Mapping[str, Any]
    selected: bool
    level: bool


@dataclass(frozen=True, kw_only=True)
class StudyFacts:
    """What is known of one study.

    Attributes
    ----------
    selected
        The number of the trial that it answers with; None where no trial is complete.
    setting
        That trial's hyperparameters.
    search
        The selected trial's objective in the search; None where it was pruned.
    validation
        Its accuracy on the validation rows in the search; None where it was pruned.
    trials
        Every trial, the best on top, up to a limit; `hidden` are left out.
    pruned
        After how many epochs the search pruned each trial that it pruned, by number.
    rung
        The epoch after which boundary and importances compare the trials.
    boundary
        Where the best lies at a boundary of the space, and `wider`, the command that searches
        beyond.
    test, openings
        The selected trial's accuracy on the test rows, and how often the study opened them.
    environment, git
        Of the selected trial and of the study's run; empty where they are not recorded.

    """

    config: StudyConfig
    tally: Tally
    selected: int | None
    setting: Mapping[str, float]
    search: float | None
    validation: Share | None
    trials: list[TrialRow]
    hidden: int
    pruned: Mapping[int, int]
    confirmation: Confirmation | None
    rung: int
    boundary: list[Edge]
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
        return self.config.study

    def in_search(self, trial: int, value: float | None) -> str:
        """Return what the search said of a trial, without a unit: its value, or when it ended."""
        if trial in self.pruned:
            return f"pruned at epoch {self.pruned[trial]}"
        return self.measure.value(value)

    @property
    def measure(self) -> Measure:
        """How its objective is written."""
        return Measure(self.config.metric)


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

"""What a report says, as plain values, collected from the studies and their runs."""

from __future__ import annotations

import math
from base64 import b64encode
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from statistics import stdev
from typing import TYPE_CHECKING, Any

from sweep.analysis import (
    confirmation_of,
    edges_of,
    find_selected,
    importances,
    pruned_at,
    stored_comparison,
    wider_command,
)
from sweep.config import run_command
from sweep.curves import NOUNS
from sweep.formatting import (
    UNKNOWN,
    counted,
    fixed,
    listed,
    number,
    percent,
    plain_name,
)
from sweep.search import TEST_OPENINGS, Status, course_of, describe, first_rung, ranked, tally
from sweep.statistics import Share
from sweep_model.losses import LOSSES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweep.analysis import Comparison, Confirmation, Edge, Importances
    from sweep.config import StudyConfig
    from sweep.search import Course, StudyRecord, Tally, TrialRecord
    from sweep.tracking import Tracker

PLUS_MINUS = "\N{PLUS-MINUS SIGN}"
MOST_TRIALS = 200
"""Rows of a table; who wants more has the study."""


@dataclass(frozen=True)
class Measure:
    """How the values of an objective are written: losses in nats, all others in percent."""

    metric: str

    @property
    def is_loss(self) -> bool:
        """Whether the values are nats."""
        return self.metric.endswith("loss")

    @property
    def is_share(self) -> bool:
        """Whether the values are fractions of rows."""
        return self.metric in ("val/accuracy", "val/top5_accuracy")

    @property
    def noun(self) -> str:
        """What is measured, e.g. `validation accuracy`."""
        return NOUNS[self.metric]

    @property
    def unit(self) -> str:
        """Of a value."""
        return "nats" if self.is_loss else "%"

    @property
    def gap_unit(self) -> str:
        """Of a difference."""
        return "nats" if self.is_loss else "points"

    def value(self, value: float | None) -> str:
        """Return a value without its unit."""
        return fixed(value, 4) if self.is_loss else percent(value)

    def fine(self, value: float | None) -> str:
        """Return a mean over seeds, a difference or a spread: worth a further digit."""
        return fixed(value, 4) if self.is_loss else percent(value, 2)

    def mean(self, mean: float, error: float) -> str:
        """Return a mean with its standard error and unit, e.g. `41.29 +- 0.05 %`."""
        spread = f" {PLUS_MINUS} {self.fine(error)}" if math.isfinite(error) else ""
        return f"{self.fine(mean)}{spread} {self.unit}"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure as a PNG file, with how to read it and what it shows in words.

    Attributes
    ----------
    name
        The stem of its file name, unique within the report.
    width, height
        In pixels of the page; the file may have more.

    """

    name: str
    caption: str
    alt: str
    content: bytes
    width: int
    height: int

    @property
    def file_name(self) -> str:
        """Of the file that a Markdown report shows."""
        return f"{self.name}.png"

    @property
    def data_uri(self) -> str:
        """The file itself, as an address that needs no network."""
        return f"data:image/png;base64,{b64encode(self.content).decode('ascii')}"


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
    course
        How its search went.
    selected
        The trial that it answers with; None where no trial is complete.
    trials
        Every trial, the best on top, up to a limit; `hidden` are left out.
    pruned
        After how many epochs the search pruned each trial that it pruned, by number.
    rung
        The epoch after which boundary and importances compare the trials.
    boundary
        Where the best lies at a boundary of the space, and `wider`, the command that searches
        beyond.
    test, test_sd, openings
        The selected trial's accuracy on the test rows, its standard deviation between draws if
        there are any, and how often the study opened them.
    refit
        Whether the tested model was trained on training and validation rows.
    git
        The state of the folder in which the study was begun; empty where it is not recorded.

    """

    config: StudyConfig
    tally: Tally
    course: Course
    selected: TrialRecord | None
    trials: list[TrialRow]
    hidden: int
    pruned: Mapping[int | None, int]
    confirmation: Confirmation | None
    rung: int
    boundary: list[Edge]
    wider: str
    importances: Importances
    test: Share | None
    openings: int
    git: Mapping[str, str]
    test_sd: float | None = None
    refit: bool = False
    pictures: list[Picture] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The study's name."""
        return self.config.study

    @property
    def measure(self) -> Measure:
        """How its objective is written."""
        return Measure(self.config.metric)

    @property
    def setting(self) -> Mapping[str, Any]:
        """The selected trial's hyperparameters."""
        return {} if self.selected is None else self.selected.params

    @property
    def search(self) -> float | None:
        """The selected trial's objective in the search; None where it was pruned."""
        if self.selected is None or self.selected.number in self.pruned:
            return None
        return self.selected.last(self.config.metric)

    def in_search(self, trial: int | None, value: float | None) -> str:
        """Return what the search said of a trial, without a unit: its value, or when it ended."""
        if trial in self.pruned:
            return f"pruned at epoch {self.pruned[trial]}"
        return self.measure.value(value)


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that a report says, in the order in which it says it.

    Attributes
    ----------
    comparison, comparison_pictures
        What `sweep compare` found for these studies as they are; None and empty without it.
    written
        When and by what.

    """

    title: str
    question: str
    answer: str
    unknowns: list[Unknown]
    studies: list[StudyFacts]
    comparison: Comparison | None
    commands: list[Command]
    written: str
    comparison_pictures: list[Picture] = field(default_factory=list)

    @property
    def pictures(self) -> list[Picture]:
        """All of them."""
        own = [picture for study in self.studies for picture in study.pictures]
        return self.comparison_pictures + own


def collect(studies: Sequence[StudyRecord], trackers: Mapping[str, Tracker]) -> Report:
    """Return all that is known of the studies, and what is not; a tracker for each by its name."""
    facts = [study_facts(study, trackers[study.name]) for study in studies]
    comparison = stored_comparison(studies) if len(studies) > 1 else None
    now = datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC").lstrip("0")
    return Report(
        title=", ".join(study.name for study in studies),
        question=question_of(facts),
        answer=answer_of(facts, comparison),
        unknowns=unknowns_of(facts, comparison),
        studies=facts,
        comparison=comparison,
        commands=commands_of(facts, comparison),
        written=f"Written on {now} by sweep {version('sweep')}.",
    )


def study_facts(study: StudyRecord, tracker: Tracker, *, most: int = MOST_TRIALS) -> StudyFacts:
    """Return what is known of one study; its table has `most` trials."""
    config, trials = study.config, study.trials()
    selected, confirmation = find_selected(study), confirmation_of(study)
    boundary = edges_of(config, trials, selected)
    openings: list[dict[str, Any]] = study.attribute(TEST_OPENINGS, [])
    tested = _last_test(openings, selected)
    draws = [] if tested is None else tested["result"].get("draws", [])
    return StudyFacts(
        config=config,
        tally=tally(trials),
        course=course_of(config, trials),
        selected=selected,
        trials=_rows(config, trials, selected, confirmation)[:most],
        hidden=max(0, len(trials) - most),
        pruned=pruned_at(study),
        confirmation=confirmation,
        rung=first_rung(config),
        boundary=boundary,
        wider=wider_command(study, boundary) if boundary else "",
        importances=importances(study),
        test=None if tested is None else _share(tested["result"]),
        test_sd=stdev(draws) if draws else None,
        refit=tested is not None and tested.get("refit", False),
        openings=len(openings),
        git=_git(study, tracker),
    )


def _rows(
    config: StudyConfig,
    trials: Sequence[TrialRecord],
    selected: TrialRecord | None,
    confirmation: Confirmation | None,
) -> list[TrialRow]:
    floor = math.nan if confirmation is None else confirmation.noise_floor
    in_order = ranked(config, trials)

    def level(trial: TrialRecord) -> bool:
        if trial.status != Status.COMPLETE:
            return False
        gap = trial.last(config.metric) - in_order[0].last(config.metric)
        return abs(gap) <= floor  # never where it is NaN

    number = None if selected is None else selected.number
    return [
        TrialRow(facts=describe(trial), selected=trial.number == number, level=level(trial))
        for trial in in_order
    ]


def _last_test(
    openings: Sequence[dict[str, Any]], selected: TrialRecord | None
) -> dict[str, Any] | None:
    """Return the selected trial's last evaluation on the test rows that came to something."""
    number = None if selected is None else selected.number
    own = (each for each in reversed(openings) if each["trial"] == number and each.get("result"))
    return next(own, None)


def _share(result: Mapping[str, Any]) -> Share:
    share = Share.of(round(result["accuracy"] * result["rows"]), result["rows"])
    if not result.get("draws"):
        return share
    return replace(share, value=result["accuracy"], low=result["low"], high=result["high"])


def _git(study: StudyRecord, tracker: Tracker) -> dict[str, str]:
    """Return the state of the folder in which the study was begun, which only its run records."""
    for run in tracker.runs(role="study", **study.tags):
        tags = run.data.tags
        names = [name for name in ("commit", "dirty") if f"sweep.git.{name}" in tags]
        return {name: tags[f"sweep.git.{name}"] for name in names}
    return {}


def question_of(studies: Sequence[StudyFacts]) -> str:
    """Return what the studies were to find out."""
    data = listed(list(dict.fromkeys(study.config.data.name for study in studies)))
    losses = [LOSSES[name].words for name in dict.fromkeys(s.config.loss for s in studies)]
    if len(losses) > 1:
        return f"Which setting of a linear classifier is best on {data}, and which loss?"
    return f"Which setting of a linear classifier with {losses[0]} is best on {data}?"


def answer_of(studies: Sequence[StudyFacts], comparison: Comparison | None) -> str:
    """Return the answer in one sentence, or say that there is none yet."""
    if comparison is not None:
        return comparison.sentence
    if len(studies) == 1:
        return finding_of(studies[0])
    names = listed([study.name for study in studies])
    return (
        f"Not known yet which is better: {names} have not been compared with each other; "
        "what each came to is below."
    )


def finding_of(study: StudyFacts) -> str:
    """Return what a study found, in one sentence."""
    if study.selected is None:
        return "Not known yet: no trial is complete."
    answer = f"Best is {setting_of(study)}: {_result(study)}."
    rivals = _rivals(study.confirmation)
    if rivals:
        answer += f" Fresh seeds do not tell it from {listed(rivals)}."
    return answer


def _rivals(confirmation: Confirmation | None) -> list[str]:
    """Return the settings whose difference to the winner of the confirmation may be nothing."""
    if confirmation is None:
        return []
    others = [*confirmation.trials[1:], confirmation.baseline]
    intervals = [(other, confirmation.behind(other)) for other in others]
    return [
        "the baseline" if other.is_baseline else f"trial {other.trial}"
        for other, (_, low, high) in intervals
        if low <= 0 <= high and other.values != confirmation.winner.values
    ]


def setting_of(study: StudyFacts) -> str:
    """Return the selected setting in words; a dash where there is none."""
    values = [f"{plain_name(name)} {number(value)}" for name, value in study.setting.items()]
    return listed(values) if values else UNKNOWN


def _result(study: StudyFacts) -> str:
    measure, confirmation, test = study.measure, study.confirmation, study.test
    if test is not None:
        return (
            f"{percent(test.value)} % of the {test.rows:,} test rows right "
            f"(95 % interval {percent(test.low)} to {percent(test.high)} %)"
        )
    if confirmation is not None:
        winner = confirmation.winner
        mean = measure.mean(winner.mean, winner.standard_error)
        return f"{measure.noun} {mean} over {counted(len(confirmation.seeds), 'fresh seed')}"
    return (
        f"{measure.noun} {measure.value(study.search)} {measure.unit} in the search, optimistic: "
        f"the best of {counted(study.tally.finished, 'trial')}"
    )


def gain_of(study: StudyFacts) -> list[str]:
    """Return in sentences what the search spent, and what it gained on the report's setting."""
    course, measure = study.course, study.measure
    spent = f"The search spent {counted(course.spent, 'trial-epoch')}"
    if course.spent < course.in_full:
        trials, times = counted(course.trials, "trial"), course.in_full / course.spent
        spent += f"; {trials} in full are {course.in_full:,}, {times:.1f} times as many"
    best, baseline = course.best, course.baseline
    if best is None or baseline is None:
        return [f"{spent}."]
    if best is baseline:
        return [f"{spent}.", "Trial 0, the report's own setting, is the best: it gained nothing."]
    values = [measure.value(trial.last(course.metric)) for trial in (best, baseline)]
    gain = (
        f"Its best, trial {best.number}, is {measure.fine(course.lead)} {measure.gap_unit} better "
        f"than trial {baseline.number}, the report's own setting, on the same rows and seed: "
        f"{values[0]} against {values[1]} {measure.unit}."
    )
    return [f"{spent}.", gain]


def unknowns_of(studies: Sequence[StudyFacts], comparison: Comparison | None) -> list[Unknown]:
    """Return what nobody has found out yet, each with the command that does."""
    unknowns = [unknown for study in studies for unknown in _unknowns(study)]
    if len(studies) > 1 and comparison is None:
        unknowns.insert(0, _uncompared(studies))
    return unknowns


def _uncompared(studies: Sequence[StudyFacts]) -> Unknown:
    names = [study.name for study in studies]
    which = f"Which of {listed(names)} is better"
    if len({study.config.data.split_digest for study in studies}) > 1:
        return Unknown(f"{which}: they use different rows.")
    if any(study.selected is None for study in studies):
        return Unknown(f"{which}: not all have a complete trial.")
    return Unknown(
        f"{which}, and whether the difference is more than chance.",
        f"sweep compare {' '.join(names)}",
    )


def _unknowns(study: StudyFacts) -> list[Unknown]:
    name = study.name
    if study.selected is None:
        return [Unknown(f"What the best setting of {name} is: no trial is complete.")]
    unknowns = _about_seeds(study)
    if study.test is None:
        what = f"How often {name}'s best is right on rows that nothing was selected by."
        unknowns.append(Unknown(what, f"sweep test {name}"))
    if study.boundary:
        names = listed(list(dict.fromkeys(plain_name(edge.name) for edge in study.boundary)))
        what = f"Whether {name} would do better with a wider range of {names}."
        unknowns.append(Unknown(what, study.wider))
    return unknowns


def _about_seeds(study: StudyFacts) -> list[Unknown]:
    confirmation, trials = study.confirmation, study.tally.finished
    confirm = f"sweep confirm {study.name}"
    if confirmation is None:
        what = (
            f"How much of {study.name}'s best score is luck: the best of "
            f"{counted(trials, 'trial')} was selected by its score, on one seed."
        )
    elif confirmation.finished < trials:
        what = (
            f"Whether a later trial of {study.name} is better: it was confirmed after "
            f"{counted(confirmation.finished, 'trial')}, and there are {trials:,} now."
        )
    elif math.isnan(confirmation.noise_floor):
        seeds = counted(len(confirmation.seeds), "seed")
        what = f"Which differences in {study.name} are noise: {seeds} are too few to tell."
        confirm += " --seeds 10"
    else:
        return []
    return [Unknown(what, confirm)]


def commands_of(studies: Sequence[StudyFacts], comparison: Comparison | None) -> list[Command]:
    """Return what was run to know what the report says, and how to check its best trials."""
    commands = [command for study in studies for command in _commands(study)]
    names = " ".join(study.name for study in studies)
    if comparison is not None:
        purpose = "Compare the selected trials on the test rows."
        commands.append(Command(purpose, f"sweep compare {names}"))
    return [*commands, Command("Write this report.", f"sweep report {names}")]


def _commands(study: StudyFacts) -> list[Command]:
    name, confirmation = study.name, study.confirmation
    search = run_command(study.config, max(1, study.tally.finished))
    commands = [Command(f"Search, as {name} did, in an empty folder.", search)]
    if confirmation is not None:
        top, seeds = len(confirmation.trials), len(confirmation.seeds)
        line = f"sweep confirm {name} --top {top} --seeds {seeds}"
        commands.append(Command("Train the top trials again on fresh seeds.", line))
    if study.selected is not None:
        line = f"sweep reproduce {name} --trial {study.selected.number}"
        commands.append(Command("Train the selected trial again and check it bit for bit.", line))
    if study.test is not None:
        commands.append(Command("Open the test rows once more.", f"sweep test {name}"))
    return commands

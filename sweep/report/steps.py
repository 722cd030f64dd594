"""How good the chosen setting is, step by step: the search, fresh seeds, the test rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweep.report.table import Heading, Row, Table
from sweep.report.words import UNKNOWN, counted, percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweep.report.facts import StudyFacts
    from sweep.statistics.share import Share

SEARCH, SEEDS, TEST = LABELS = ("In the search", "On fresh seeds", "On the test rows")
OPEN = "not known yet"


@dataclass(frozen=True)
class Step:
    """How good the chosen setting is, by one of the ways to tell; each is harder to fool."""

    label: str
    value: str
    known: bool
    detail: str


def steps(study: StudyFacts) -> list[Step]:
    """Return what the search, fresh seeds and the test rows say of the chosen setting."""
    return [_searched(study), _confirmed(study), _tested(study)]


def _searched(study: StudyFacts) -> Step:
    detail = f"trial {study.chosen}, one of {counted(study.tally.finished, 'trial')}, on one seed"
    if study.validation is not None and study.measure.is_accuracy:
        detail += f"; {_interval(study.validation, 'validation row')}"
    return Step(SEARCH, study.measure.spoken(study.search), known=True, detail=detail)


def _confirmed(study: StudyFacts) -> Step:
    found, measure = study.confirmation, study.measure
    if found is None:
        return Step(SEEDS, OPEN, known=False, detail=f"sweep confirm {study.name}")
    detail = f"mean and standard error of {counted(len(found.seeds), 'seed')}"
    flattered = found.flattered(found.winner)
    if math.isfinite(flattered):
        verb = "flattered it by" if flattered >= 0 else "showed it too badly, by"
        detail += f"; the search {verb} {measure.gap(abs(flattered))} {measure.gap_unit}"
    mean = measure.mean(found.winner.mean, found.winner.standard_error)
    return Step(SEEDS, mean, known=True, detail=detail)


def _tested(study: StudyFacts) -> Step:
    test = study.test
    if test is None:
        return Step(TEST, OPEN, known=False, detail=f"sweep test {study.name}")
    times = "once" if study.openings == 1 else f"{study.openings} times"
    detail = f"{_interval(test, 'row')}, which this study has opened {times}"
    return Step(TEST, f"{percent(test.value)} %", known=True, detail=detail)


def _interval(share: Share, noun: str) -> str:
    return (
        f"{percent(share.low)} to {percent(share.high)} % is the 95 % interval for "
        f"{counted(share.rows, noun)}"
    )


def overview(studies: Sequence[StudyFacts]) -> Table:
    """Return the steps of several studies side by side."""
    rows = [
        Row(
            study.name,
            [str(study.chosen), *(step.value for step in steps(study))]
            if study.chosen is not None
            else [UNKNOWN] * 4,
        )
        for study in studies
    ]
    return Table(
        "Studies",
        "The chosen trial of each study, by three ways to tell how good it is; each is harder to "
        "fool than the one before.",
        [
            Heading("study", numeric=False),
            Heading("trial"),
            *(Heading(label.lower()) for label in LABELS),
        ],
        rows,
    )

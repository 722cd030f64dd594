"""The tables of a report, from its facts to text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sweep.report.table import Heading, Row, Table
from sweep.report.words import UNKNOWN, counted, fixed, number, percent, plain_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweep.report.facts import StudyFacts, TrialRow
    from sweep.report.measure import Measure
    from sweep.report.table import Cell, Kind
    from sweep.study.confirmation import Confirmation, Confirmed

TIED = "\N{ALMOST EQUAL TO}"
STAR = "\N{BLACK STAR}"


def confirmation_table(study: StudyFacts) -> Table | None:
    """Return what fresh seeds made of the top trials; None where they were not confirmed."""
    found, measure = study.confirmation, study.measure
    if found is None:
        return None

    def row(one: Confirmed) -> Row:
        winner, baseline = one is found.winner, one.trial < 0
        kind: Kind = "chosen" if winner else "aside" if baseline else "plain"
        return Row(
            "baseline" if baseline else f"{one.trial} {STAR}" if winner else str(one.trial),
            [
                measure.value(one.search),
                measure.value(one.mean, fine=True),
                measure.gap(one.standard_error),
                UNKNOWN if baseline else measure.gap(found.flattered(one)),
                "" if winner else _behind(found, one, measure),
            ],
            kind,
        )

    return Table(
        "Confirmation",
        f"The top trials, trained again on {counted(len(found.seeds), 'fresh seed')} for "
        f"{counted(found.epochs, 'epoch')}: {measure.noun} in {measure.unit}, differences in "
        f"{measure.gap_unit} with 95 % intervals paired by seed. {TIED} marks what is not told "
        "from the winner.",
        [
            Heading("trial", numeric=False),
            *map(Heading, ("search", "mean", "standard error", "flattered by", "behind")),
        ],
        [*map(row, found.trials), row(found.baseline)],
    )


def remarks_on_seeds(study: StudyFacts) -> list[str]:
    """Return what the fresh seeds say beyond the table, and what they cannot."""
    found, measure = study.confirmation, study.measure
    if found is None:
        return []
    floor = (
        "Noise floor: two trainings of the baseline, one each on two seeds, differ by up to "
        f"{measure.gap(found.noise_floor)} {measure.gap_unit}, 95 times in 100."
    )
    rows = (
        "The seeds are fresh, the validation rows are those of the search: what these flatter, "
        "only the test rows tell."
    )
    return [floor, rows] if math.isfinite(found.noise_floor) else [rows]


def _behind(found: Confirmation, one: Confirmed, measure: Measure) -> str:
    if one.diverged:
        return f"diverged on {one.diverged}"
    if found.winner.diverged:
        return UNKNOWN
    mean, low, high = found.behind(one)
    tied = f" {TIED}" if low <= 0 <= high else ""
    return f"{measure.gap(mean)} [{measure.gap(low)}, {measure.gap(high)}]{tied}"


def trials_table(study: StudyFacts) -> Table:
    """Return the trials, the best by the search on top."""
    names = list(study.settings.space.axes)
    caption = f"{STAR} is the chosen trial."
    if any(row.level for row in study.trials):
        floor = study.confirmation.noise_floor if study.confirmation is not None else math.nan
        caption += (
            f" {TIED} marks scores within the noise floor of the best, "
            f"{study.measure.gap(floor)} {study.measure.gap_unit}: one training each does not "
            "tell them apart."
        )
    if study.hidden:
        caption += f" The other {study.hidden:,}: sweep show {study.name}."
    measured = ["val. accuracy, %", "val. loss, nats", "train. accuracy, %", "epochs"]
    headings = [
        Heading("trial", numeric=False),
        Heading("ended", numeric=False),
        *map(Heading, measured + [plain_name(name) for name in names]),
    ]
    return Table(
        "Trials", caption, headings, [_trial(row, names) for row in study.trials], look="dense"
    )


def _trial(row: TrialRow, names: Sequence[str]) -> Row:
    facts = row.facts
    cells: list[Cell] = [
        facts["ending"],
        percent(facts["val/accuracy"], 2),
        fixed(facts["val/loss"], 4),
        percent(facts["train/accuracy"], 2),
        str(facts["epochs"]),
        *(number(facts.get(name)) for name in names),
    ]
    mark = STAR if row.chosen else TIED if row.level else ""
    kind: Kind = "chosen" if row.chosen else "plain" if facts["ending"] == "complete" else "aside"
    return Row(f"{facts['trial']} {mark}".strip(), cells, kind)


def failures_of(study: StudyFacts) -> list[str]:
    """Return why each failed trial of the table failed."""
    rows = [row.facts for row in study.trials]
    return [
        f"Trial {facts['trial']} {facts['ending']}: {facts['reason']}"
        for facts in rows
        if facts["ending"] not in ("complete", "pruned", "unfinished")
    ]

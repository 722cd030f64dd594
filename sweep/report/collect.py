"""Collect what a report says from the studies and their runs."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from sweep.comparison.compare import stored_comparison
from sweep.report.answer import answer_of, question_of, unknowns_of
from sweep.report.commands import commands_of
from sweep.report.facts import Report, StudyFacts, TrialRow
from sweep.report.pictures import comparison_pictures, study_pictures
from sweep.statistics.share import Share
from sweep.study import attributes
from sweep.study.confirmation import confirmation_of
from sweep.study.edges import edges_of, wider_command
from sweep.study.ending import Ending
from sweep.study.importance import importances
from sweep.study.results import describe, ending, find_chosen, last_value, ranked, tally

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from optuna.trial import FrozenTrial

    from sweep.study.confirmation import Confirmation
    from sweep.study.opening import OpenStudy
    from sweep.tracking.tracker import Tracker

MOST_TRIALS = 200
"""Rows of a table; who wants more has the study."""


def collect(studies: Sequence[OpenStudy], trackers: Mapping[str, Tracker]) -> Report:
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
        comparison_pictures=[] if comparison is None else comparison_pictures(comparison),
        commands=commands_of(facts, comparison),
        written=f"Written on {now} by sweep {version('sweep')}.",
    )


def study_facts(study: OpenStudy, tracker: Tracker) -> StudyFacts:
    """Return what is known of one study."""
    settings, trials = study.settings, study.trials()
    chosen, confirmation = find_chosen(study), confirmation_of(study)
    edges = edges_of(settings, trials, chosen)
    rows, weights = _rows(study, chosen, confirmation), importances(study)
    return StudyFacts(
        settings=settings,
        tally=tally(trials),
        chosen=None if chosen is None else chosen.number,
        setting={} if chosen is None else chosen.params,
        search=None if chosen is None else chosen.value,
        validation=None if chosen is None else _validation(study, chosen),
        trials=rows[:MOST_TRIALS],
        hidden=max(0, len(rows) - MOST_TRIALS),
        confirmation=confirmation,
        edges=edges,
        wider=wider_command(study, edges) if edges else "",
        importances=weights,
        test=None if chosen is None else _test_result(study, chosen),
        openings=len(_openings(study)),
        environment={} if chosen is None else chosen.user_attrs.get(attributes.ENVIRONMENT, {}),
        git=_git(study, tracker),
        pictures=study_pictures(study, tracker, weights),
    )


def _validation(study: OpenStudy, chosen: FrozenTrial) -> Share | None:
    rows, share = study.settings.data.val_size, last_value(chosen, "val/accuracy")
    return Share.of(round(share * rows), rows) if math.isfinite(share) else None


def _rows(
    study: OpenStudy, chosen: FrozenTrial | None, confirmation: Confirmation | None
) -> list[TrialRow]:
    trials = ranked(study)
    number = None if chosen is None else chosen.number
    floor = math.nan if confirmation is None else confirmation.noise_floor

    def level(trial: FrozenTrial) -> bool:
        if ending(trial) != Ending.COMPLETE:
            return False
        return abs((trial.value or 0.0) - (trials[0].value or 0.0)) <= floor  # never NaN

    return [
        TrialRow(facts=describe(trial), chosen=trial.number == number, level=level(trial))
        for trial in trials
    ]


def _test_result(study: OpenStudy, chosen: FrozenTrial) -> Share | None:
    """Return what the chosen trial's last look at the test rows saw."""
    for opening in reversed(_openings(study)):
        result = opening.get("result")
        if opening["trial"] == chosen.number and result is not None:
            return Share.of(round(result["accuracy"] * result["rows"]), result["rows"])
    return None


def _openings(study: OpenStudy) -> list[dict[str, Any]]:
    openings: list[dict[str, Any]] = study.attribute(attributes.TEST_OPENINGS, [])
    return openings


def _git(study: OpenStudy, tracker: Tracker) -> dict[str, str]:
    """Return the state of the folder in which the study was begun, which only its run records."""
    for run in tracker.runs(role="study", **study.tags):
        tags = run.data.tags
        return {
            name: tags[f"sweep.git.{name}"]
            for name in ("commit", "dirty")
            if f"sweep.git.{name}" in tags
        }
    return {}

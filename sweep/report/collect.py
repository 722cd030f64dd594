"""Collect what a report says from the studies and their runs, and say what is not known."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from sweep.analysis.boundary import edges_of, wider_command
from sweep.analysis.confirmation import confirmation_of, pruned_at
from sweep.analysis.importance import importances
from sweep.analysis.selection import find_selected
from sweep.comparison import stored_comparison
from sweep.report.facts import (
    LOSS_WORDS,
    UNKNOWN,
    Command,
    Report,
    StudyFacts,
    TrialRow,
    Unknown,
    counted,
    listed,
    number,
    percent,
    plain_name,
)
from sweep.report.pictures import comparison_pictures, study_pictures
from sweep.search.as_optuna import first_rung
from sweep.search.record import TEST_OPENINGS
from sweep.search.run_command import run_command
from sweep.search.trials import Status, describe, ranked, tally
from sweep.statistics.intervals import Share

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweep.analysis.confirmation import Confirmation
    from sweep.comparison import Comparison
    from sweep.search.record import StudyRecord
    from sweep.search.trials import TrialRecord
    from sweep.tracking.tracker import Tracker

MOST_TRIALS = 200
"""Rows of a table; who wants more has the study."""


def collect(studies: Sequence[StudyRecord], trackers: Mapping[str, Tracker]) -> Report:
    """Return all that is known of the studies, and what is not; a tracker for each by its name."""
    facts = [_with_pictures(study, trackers[study.name]) for study in studies]
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


def _with_pictures(study: StudyRecord, tracker: Tracker) -> StudyFacts:
    facts = study_facts(study, tracker)
    return replace(facts, pictures=study_pictures(study, tracker, facts.importances))


def study_facts(study: StudyRecord, tracker: Tracker, *, most: int = MOST_TRIALS) -> StudyFacts:
    """Return what is known of one study, without pictures; its table has `most` trials."""
    config, trials = study.config, study.trials()
    selected, confirmation = find_selected(study), confirmation_of(study)
    boundary = edges_of(config, trials, selected)
    rows = _rows(study, trials, selected, confirmation)
    pruned = pruned_at(study)
    ended = None if selected is None or selected.number in pruned else selected
    return StudyFacts(
        config=config,
        tally=tally(trials),
        selected=None if selected is None else selected.number,
        setting={} if selected is None else selected.params,
        search=None if ended is None else ended.last(config.metric),
        validation=None if ended is None else _validation(study, ended),
        trials=rows[:most],
        hidden=max(0, len(rows) - most),
        pruned=pruned,
        confirmation=confirmation,
        rung=first_rung(config),
        boundary=boundary,
        wider=wider_command(study, boundary) if boundary else "",
        importances=importances(study),
        test=None if selected is None else _test_result(study, selected),
        openings=len(_openings(study)),
        environment={} if selected is None else selected.environment,
        git=_git(study, tracker),
        pictures=[],
    )


def _validation(study: StudyRecord, trial: TrialRecord) -> Share:
    rows = study.config.data.val_size
    return Share.of(round(trial.last("val/accuracy") * rows), rows)


def _rows(
    study: StudyRecord,
    trials: Sequence[TrialRecord],
    selected: TrialRecord | None,
    confirmation: Confirmation | None,
) -> list[TrialRow]:
    number = None if selected is None else selected.number
    floor = math.nan if confirmation is None else confirmation.noise_floor
    metric, in_order = study.config.metric, ranked(study.config, trials)

    def level(trial: TrialRecord) -> bool:
        if trial.status != Status.COMPLETE:
            return False
        return abs(trial.last(metric) - in_order[0].last(metric)) <= floor  # never NaN

    return [
        TrialRow(facts=describe(trial), selected=trial.number == number, level=level(trial))
        for trial in in_order
    ]


def _test_result(study: StudyRecord, selected: TrialRecord) -> Share | None:
    """Return what the selected trial's last look at the test rows saw."""
    for opening in reversed(_openings(study)):
        result = opening.get("result")
        if opening["trial"] == selected.number and result is not None:
            return Share.of(round(result["accuracy"] * result["rows"]), result["rows"])
    return None


def _openings(study: StudyRecord) -> list[dict[str, Any]]:
    openings: list[dict[str, Any]] = study.attribute(TEST_OPENINGS, [])
    return openings


def _git(study: StudyRecord, tracker: Tracker) -> dict[str, str]:
    """Return the state of the folder in which the study was begun, which only its run records."""
    for run in tracker.runs(role="study", **study.tags):
        tags = run.data.tags
        return {
            name: tags[f"sweep.git.{name}"]
            for name in ("commit", "dirty")
            if f"sweep.git.{name}" in tags
        }
    return {}


def question_of(studies: Sequence[StudyFacts]) -> str:
    """Return what the studies were to find out."""
    data = listed(list(dict.fromkeys(study.config.data.name for study in studies)))
    losses = [LOSS_WORDS[name] for name in dict.fromkeys(s.config.loss for s in studies)]
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
    rivals = _rivals(study)
    if rivals:
        answer += f" Fresh seeds do not tell it from {listed(rivals)}."
    return answer


def _rivals(study: StudyFacts) -> list[str]:
    """Return the settings whose difference to the winner of the confirmation may be nothing."""
    found = study.confirmation
    if found is None:
        return []
    others = [*found.trials[1:], found.baseline]
    intervals = [(one, found.behind(one)) for one in others]
    return [
        "the baseline" if one.is_baseline else f"trial {one.trial}"
        for one, (_, low, high) in intervals
        if low <= 0 <= high and one.values != found.winner.values
    ]


def setting_of(study: StudyFacts) -> str:
    """Return the selected setting in words; a dash where there is none."""
    values = [f"{plain_name(name)} {number(value)}" for name, value in study.setting.items()]
    return listed(values) if values else UNKNOWN


def _result(study: StudyFacts) -> str:
    measure, found = study.measure, study.confirmation
    if study.test is not None:
        test = study.test
        return (
            f"{percent(test.value)} % of the {test.rows:,} test rows right "
            f"(95 % interval {percent(test.low)} to {percent(test.high)} %)"
        )
    if found is not None:
        mean = measure.mean(found.winner.mean, found.winner.standard_error)
        return f"{measure.noun} {mean} over {counted(len(found.seeds), 'fresh seed')}"
    return (
        f"{measure.noun} {measure.spoken(study.search)} in the search, optimistic: the best of "
        f"{counted(study.tally.finished, 'trial')}"
    )


def unknowns_of(studies: Sequence[StudyFacts], comparison: Comparison | None) -> list[Unknown]:
    """Return what nobody has found out yet, each with the command that does."""
    found = [unknown for study in studies for unknown in _unknowns(study)]
    if len(studies) > 1 and comparison is None:
        found.insert(0, _uncompared(studies))
    return found


def _uncompared(studies: Sequence[StudyFacts]) -> Unknown:
    names = [study.name for study in studies]
    if len({study.config.data.split_digest for study in studies}) > 1:
        return Unknown(f"Which of {listed(names)} is better: they stand on different rows.")
    if any(study.selected is None for study in studies):
        return Unknown(f"Which of {listed(names)} is better: not all have a complete trial.")
    return Unknown(
        f"Which of {listed(names)} is better, and whether the difference is more than chance.",
        f"sweep compare {' '.join(names)}",
    )


def _unknowns(study: StudyFacts) -> list[Unknown]:
    name = study.name
    if study.selected is None:
        return [Unknown(f"What the best setting of {name} is: no trial is complete.")]
    return [*_about_luck(study), *_about_test(study), *_about_boundary(study)]


def _about_luck(study: StudyFacts) -> list[Unknown]:
    found, finished = study.confirmation, study.tally.finished
    confirm = f"sweep confirm {study.name}"
    if found is None:
        return [
            Unknown(
                f"How much of {study.name}'s best score is luck: the best of "
                f"{counted(finished, 'trial')} was selected by its score, on one seed.",
                confirm,
            )
        ]
    if found.finished < finished:
        return [
            Unknown(
                f"Whether a later trial of {study.name} is better: it was confirmed after "
                f"{counted(found.finished, 'trial')}, and there are {finished:,} now.",
                confirm,
            )
        ]
    if math.isnan(found.noise_floor):
        return [
            Unknown(
                f"Which differences in {study.name} are noise: "
                f"{counted(len(found.seeds), 'seed')} are too few to tell.",
                f"{confirm} --seeds 10",
            )
        ]
    return []


def _about_test(study: StudyFacts) -> list[Unknown]:
    if study.test is not None:
        return []
    return [
        Unknown(
            f"How often {study.name}'s best is right on rows that nothing was selected by.",
            f"sweep test {study.name}",
        )
    ]


def _about_boundary(study: StudyFacts) -> list[Unknown]:
    if not study.boundary:
        return []
    names = listed(list(dict.fromkeys(plain_name(edge.name) for edge in study.boundary)))
    return [
        Unknown(f"Whether {study.name} would do better with a wider range of {names}.", study.wider)
    ]


def commands_of(studies: Sequence[StudyFacts], comparison: Comparison | None) -> list[Command]:
    """Return what was run to know what the report says, and how to check its best trials."""
    found = [command for study in studies for command in _commands(study)]
    names = " ".join(study.name for study in studies)
    if comparison is not None:
        found.append(
            Command("Compare the selected trials on the test rows.", f"sweep compare {names}")
        )
    return [*found, Command("Write this report.", f"sweep report {names}")]


def _commands(study: StudyFacts) -> list[Command]:
    name, config, confirmation = study.name, study.config, study.confirmation
    search = run_command(config, max(1, study.tally.finished))
    found = [Command(f"Search, as {name} did, in an empty folder.", search)]
    if confirmation is not None:
        top, seeds = len(confirmation.trials), len(confirmation.seeds)
        line = f"sweep confirm {name} --top {top} --seeds {seeds}"
        found.append(Command("Train the top trials again on fresh seeds.", line))
    if study.selected is not None:
        line = f"sweep reproduce {name} --trial {study.selected}"
        found.append(Command("Train the selected trial again and check it bit for bit.", line))
    if study.test is not None:
        found.append(Command("Open the test rows once more.", f"sweep test {name}"))
    return found

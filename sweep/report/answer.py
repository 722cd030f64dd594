"""The question, the answer in one sentence, and what is not known yet."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sweep.report.facts import Unknown
from sweep.report.words import LOSS_WORDS, UNKNOWN, counted, listed, number, percent, plain_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweep.comparison.comparison import Comparison
    from sweep.report.facts import StudyFacts


def question_of(studies: Sequence[StudyFacts]) -> str:
    """Return what the studies were to find out."""
    data = listed(list(dict.fromkeys(study.settings.data.name for study in studies)))
    losses = [LOSS_WORDS[name] for name in dict.fromkeys(s.settings.loss for s in studies)]
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
    if study.chosen is None:
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
        "the baseline" if one.trial < 0 else f"trial {one.trial}"
        for one, (_, low, high) in intervals
        if low <= 0 <= high and one.values != found.winner.values
    ]


def setting_of(study: StudyFacts) -> str:
    """Return the chosen setting in words; a dash where there is none."""
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
        f"{measure.noun} {measure.spoken(study.search)} in the search, which flatters the best "
        f"of {counted(study.tally.finished, 'trial')}"
    )


def unknowns_of(studies: Sequence[StudyFacts], comparison: Comparison | None) -> list[Unknown]:
    """Return what nobody has found out yet, each with the command that does."""
    found = [unknown for study in studies for unknown in _unknowns(study)]
    if len(studies) > 1 and comparison is None:
        found.insert(0, _uncompared(studies))
    return found


def _uncompared(studies: Sequence[StudyFacts]) -> Unknown:
    names = [study.name for study in studies]
    if len({study.settings.data.split_digest for study in studies}) > 1:
        return Unknown(f"Which of {listed(names)} is better: they stand on different rows.")
    if any(study.chosen is None for study in studies):
        return Unknown(f"Which of {listed(names)} is better: not all have a complete trial.")
    return Unknown(
        f"Which of {listed(names)} is better, and whether the difference is more than chance.",
        f"sweep compare {' '.join(names)}",
    )


def _unknowns(study: StudyFacts) -> list[Unknown]:
    name = study.name
    if study.chosen is None:
        return [Unknown(f"What the best setting of {name} is: no trial is complete.")]
    return [*_about_luck(study), *_about_test(study), *_about_edges(study)]


def _about_luck(study: StudyFacts) -> list[Unknown]:
    found, finished = study.confirmation, study.tally.finished
    confirm = f"sweep confirm {study.name}"
    if found is None:
        return [
            Unknown(
                f"How much of {study.name}'s best score is luck: the best of "
                f"{counted(finished, 'trial')} was chosen for its score, on one seed.",
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
            f"How often {study.name}'s best is right on rows that nothing was chosen by.",
            f"sweep test {study.name}",
        )
    ]


def _about_edges(study: StudyFacts) -> list[Unknown]:
    if not study.edges:
        return []
    names = listed([plain_name(edge.name) for edge in study.edges])
    return [
        Unknown(f"Whether {study.name} would do better with a wider range of {names}.", study.wider)
    ]

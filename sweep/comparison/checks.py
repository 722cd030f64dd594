"""Which studies may be compared, and what makes a comparison less fair than it looks."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

from sweep.errors import SweepError
from sweep.study.confirmation import confirmation_of
from sweep.study.edges import edges_of
from sweep.study.results import find_chosen, tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweep.comparison.parts import Answers
    from sweep.study.opening import OpenStudy


UNKNOWN_NOISE = (
    "confirmed by the validation loss: how far accuracies differ by the seed alone is not known"
)


def check_comparable(studies: Sequence[OpenStudy]) -> None:
    """Refuse what cannot be compared.

    Raises
    ------
    SweepError
        There are not at least two studies, one is named twice, or they are of different rows;
        the message shows which fields differ, and how.

    """
    names = [study.name for study in studies]
    if len(set(names)) < max(2, len(names)):
        raise SweepError(
            f"a comparison takes two or more different studies: got {', '.join(names)}; "
            "`sweep list` shows what there is"
        )
    first = studies[0].settings
    for other in studies[1:]:
        differing = first.differences(replace(first, data=other.settings.data))
        if differing:
            raise SweepError(
                f"studies {first.study!r} and {other.name!r} are of different rows "
                f"({first.study} -> {other.name}): {'; '.join(differing)}; compare studies of the "
                "same data and split"
            )


def cautions(studies: Sequence[OpenStudy], answers: Sequence[Answers]) -> list[str]:
    """Return what a reader should know before trusting the comparison, in phrases."""
    return [
        *_unconfirmed(answers),
        *_below_noise(studies, answers),
        *_unequal_searches(studies),
        *_at_an_edge(studies),
    ]


def _unconfirmed(answers: Sequence[Answers]) -> list[str]:
    """One training each may be a lucky one, the more so where it was picked for its score."""
    names = [each.study for each in answers if not each.seeds]
    if not names:
        return []
    luck = "one training of each is compared, and another seed trains another classifier"
    return [f"not confirmed on fresh seeds: {', '.join(names)}; {luck}"]


def _below_noise(studies: Sequence[OpenStudy], answers: Sequence[Answers]) -> list[str]:
    """A test of two classifiers knows nothing of what other seeds would have trained."""
    found = [confirmation_of(study) for study in studies]
    if all(found) and not any(each and each.metric == "val/accuracy" for each in found):
        return [UNKNOWN_NOISE]
    floors = [each.noise_floor for each in found if each and each.metric == "val/accuracy"]
    floor = max((each for each in floors if not math.isnan(each)), default=0.0)
    return [
        f"{one.study} and {other.study} differ by less than the noise floor, {100 * floor:.1f} "
        "points of validation accuracy: so much may be the seeds' doing"
        for one, other in combinations(answers, 2)
        if 0 < abs(one.test.value - other.test.value) < floor
    ]


def _unequal_searches(studies: Sequence[OpenStudy]) -> list[str]:
    phrases = []
    one = studies[0]
    for other in studies[1:]:
        # what is compared, what goes with it, and what is but luck
        names = ("data", "loss", "space", "layout", "seed")
        alike = {name: getattr(one.settings, name) for name in names}
        differing = one.settings.differences(replace(other.settings, **alike))
        counts = [tally(study.trials()).finished for study in (one, other)]
        if counts[0] != counts[1]:
            differing.append(f"finished trials {counts[0]} -> {counts[1]}")
        if differing:
            phrases.append(
                f"the searches differ ({one.name} -> {other.name}): {'; '.join(differing)}"
            )
    return phrases


def _at_an_edge(studies: Sequence[OpenStudy]) -> list[str]:
    return [
        f"{study.name}: the best lies at an edge of its space, {edge}"
        for study in studies
        for edge in edges_of(study.settings, study.trials(), find_chosen(study))
    ]

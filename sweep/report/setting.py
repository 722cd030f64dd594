"""The chosen setting: where it lies in what was searched, and how much each part of it decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.comparison.search import place_of
from sweep.report.table import Cell, Heading, Meter, Row, Table
from sweep.report.words import UNKNOWN, between, counted, listed, number, percent, plain_name
from sweep.space import Range

if TYPE_CHECKING:
    from sweep.report.facts import StudyFacts
    from sweep.space import Axis, Number
    from sweep.study.edges import Edge
    from sweep.study.importance import Importance, Importances


def setting_table(study: StudyFacts) -> Table:
    """Return a line for each hyperparameter."""
    weights = {each.name: each for each in study.importances.ranked}
    headings = ("chosen", "searched", "where it lies", "importance, %")
    return Table(
        "Setting",
        "Where the chosen values lie is a share of the range on its own scale. Importance is each "
        "hyperparameter's share in what decides the score, with 95 % intervals over the trials.",
        [
            Heading("hyperparameter", numeric=False),
            *(Heading(words, numeric=words == "chosen") for words in headings),
        ],
        [
            Row(
                plain_name(name),
                [
                    number(value),
                    searched(study.settings.space.axes[name]),
                    _place(study.settings.space.axes[name], value),
                    _weight(weights.get(name)),
                ],
            )
            for name, value in study.setting.items()
        ],
    )


def _place(axis: Axis, value: Number) -> Cell:
    place = place_of(axis, value)
    if place.low == place.high:
        return "not searched"
    if place.choices is not None:
        words = f"choice {place.choices.index(place.value) + 1} of {len(place.choices)}"
    else:
        words = f"{percent(place.unit, 0)} %"
    return Meter(place.unit, words)


def _weight(weight: Importance | None) -> str:
    if weight is None:
        return UNKNOWN
    return f"{percent(weight.share, 0)} {between(weight.low, weight.high, 0)}"


def searched(axis: Axis) -> str:
    """Return what was searched, e.g. `1e-5 to 1, log scale`."""
    if isinstance(axis, Range):
        scale = ", log scale" if axis.log else ""
        return f"{number(axis.low, 6)} to {number(axis.high, 6)}{scale}"
    return ", ".join(number(value, 6) for value in axis.values)


def remarks_of(study: StudyFacts) -> list[str]:
    """Return what is to be said of the setting besides the table."""
    return [*_importance(study.importances), *map(_at_an_edge, study.edges)]


def _importance(found: Importances) -> list[str]:
    if found.reason:
        return [f"Importance is not told: {found.reason}."]
    if not found.alike:
        return []
    pairs = [listed([plain_name(name) for name in pair]) for pair in found.alike]
    return [f"Not distinguishable by their importance: {'; '.join(pairs)}."]


def _at_an_edge(edge: Edge) -> str:
    best = "the best trial of the search, " if edge.best_at_bound else ""
    return (
        f"At an edge: the {edge.side} end of the {plain_name(edge.name)}, {number(edge.bound, 6)}. "
        f"There lie {best}{edge.top_there} of the top {edge.top} and {edge.all_there} of all "
        f"{counted(edge.complete, 'complete trial')}; better may lie beyond."
    )

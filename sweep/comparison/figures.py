"""The figures of a comparison, drawn from its record alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sweep.figures.best_of import best_of_figure
from sweep.figures.class_accuracies import class_accuracies_figure
from sweep.figures.confusion import confusion_figure
from sweep.figures.importances import importances_figure
from sweep.figures.places import places_figure
from sweep.figures.reliability import reliability_figure
from sweep.figures.truth_histograms import truth_histograms_figure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from matplotlib.figure import Figure

    from sweep.comparison.comparison import Comparison
    from sweep.statistics.outputs import Outputs


def _class_accuracies(comparison: Comparison) -> Figure:
    shares = {each.study: each.per_class for each in comparison.answers}
    return class_accuracies_figure(shares, comparison.class_names)


def _truth_histograms(comparison: Comparison) -> Figure:
    return truth_histograms_figure(_outputs(comparison))


def _reliability(comparison: Comparison) -> Figure:
    return reliability_figure(_outputs(comparison))


def _outputs(comparison: Comparison) -> Mapping[str, Outputs]:
    return {
        f"{outputs.name}: {each.study}": outputs
        for each in comparison.answers
        for outputs in each.outputs
    }


def _confusion(comparison: Comparison) -> Figure:
    counts = {each.study: each.confusion for each in comparison.answers}
    return confusion_figure(counts, comparison.class_names)


def _best_of(comparison: Comparison) -> Figure:
    searches = {each.study: each.search for each in comparison.answers}
    exact = all(search.drawn_independently for search in searches.values())
    return best_of_figure(
        {study: search.best_of for study, search in searches.items()},
        objective=comparison.metric,
        maximise=comparison.direction == "maximize",
        note="" if exact else "a guide where sampler or pruner learn",
    )


def _importances(comparison: Comparison) -> Figure:
    return importances_figure(
        {
            each.study: {
                one.name: (one.share, one.low, one.high) for one in each.search.importances.ranked
            }
            for each in comparison.answers
        }
    )


def _places(comparison: Comparison) -> Figure:
    return places_figure({each.study: each.search.places for each in comparison.answers})


FIGURES: Final[Mapping[str, Callable[[Comparison], Figure]]] = {
    "class_accuracies": _class_accuracies,
    "truth_histograms": _truth_histograms,
    "reliability": _reliability,
    "confusion": _confusion,
    "best_of": _best_of,
    "importances": _importances,
    "places": _places,
}
"""What each figure is called, and how it is drawn."""

"""The figures of a report, each with how to read it and what it says."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from sweep.comparison.figures import FIGURES
from sweep.errors import StoreUnreachableError, SweepError
from sweep.figures.confirmation import Row, confirmation_figure
from sweep.figures.curves import curves_figure
from sweep.figures.importance import importance_figure
from sweep.figures.weights import weights_figure
from sweep.report.files import picture
from sweep.report.measure import Measure
from sweep.report.words import counted, listed, percent, plain_name
from sweep.study import attributes
from sweep.study.champion import fetch_classifier
from sweep.study.confirmation import confirmation_of
from sweep.study.results import epochs_trained, find_chosen, tally
from sweep.study.study_run import OVERVIEW

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from sweep.comparison.comparison import Comparison
    from sweep.report.facts import Picture
    from sweep.study.confirmation import Confirmation, Confirmed
    from sweep.study.importance import Importances
    from sweep.study.opening import OpenStudy
    from sweep.tracking.tracker import Tracker

OVERVIEW_CAPTIONS: Final = {
    "history": "Every finished trial in the order in which it was started. The step line is the "
    "best so far, the star the chosen trial.",
    "parallel_coordinates": "One line for each complete trial, through its hyperparameters to its "
    "score. The better, the darker; the chosen trial is red.",
    "slice": "The score against each hyperparameter by itself. Later trials are darker, the star "
    "is the chosen one.",
}
COMPARISON_CAPTIONS: Final = {
    "class_accuracies": "Accuracy on the test rows of each class, with 95 % intervals.",
    "truth_histograms": "The probability given to the true class, over rows answered rightly and "
    "wrongly.",
    "reliability": "How often an answer is right against how sure it was. On the diagonal the two "
    "agree.",
    "confusion": "What the test rows of each class were taken for.",
    "best_of": "What a search of k trials would have come to, with a band that holds for all k at "
    "once at 95 %.",
    "importances": "How much each hyperparameter decides the score, with 95 % intervals over the "
    "trials.",
    "places": "Where each chosen trial lies in the ranges that were searched.",
}


def study_pictures(study: OpenStudy, tracker: Tracker, weights: Importances) -> list[Picture]:
    """Draw what a study has: all its trials, those on fresh seeds, and the chosen one."""
    found, chosen = confirmation_of(study), find_chosen(study)
    pictures = overview_pictures(study) if tally(study.trials()).finished else []
    if weights.ranked:
        pictures.append(importance_picture(study, weights))
    if found is not None:
        pictures.append(confirmation_picture(study, found))
    if chosen is not None:
        pictures += chosen_pictures(study, chosen, tracker)
    return pictures


def overview_pictures(study: OpenStudy) -> list[Picture]:
    """Draw what all trials of a study show."""
    settings, trials, chosen = study.settings, study.trials(), find_chosen(study)
    number = None if chosen is None else chosen.number
    what = f"{study.name}, {counted(tally(trials).finished, 'finished trial')}: "
    return [
        picture(
            draw(trials, direction=settings.direction, objective=settings.metric, chosen=number),
            name=f"{study.name}-{name.replace('_', '-')}",
            caption=OVERVIEW_CAPTIONS[name],
            alt=what + _best_in_words(study, chosen),
        )
        for name, draw in OVERVIEW.items()
    ]


def _best_in_words(study: OpenStudy, chosen: FrozenTrial | None) -> str:
    if chosen is None:
        return "none is complete."
    measure = Measure(study.settings.metric)
    score = f"{measure.noun} {measure.spoken(chosen.value)}"
    return f"the chosen trial {chosen.number} has the {score}."


def importance_picture(study: OpenStudy, weights: Importances) -> Picture:
    """Draw how much each hyperparameter decides."""
    shares = [f"{plain_name(one.name)} {percent(one.share, 0)} %" for one in weights.ranked]
    return picture(
        importance_figure(
            weights.shares,
            objective=study.settings.metric,
            intervals=weights.intervals,
            alike=weights.alike,
        ),
        name=f"{study.name}-importance",
        caption="How much each hyperparameter decides the score, with 95 % intervals over the "
        "trials.",
        alt=f"Importance of the hyperparameters in {study.name}: {listed(shares)}.",
    )


def confirmation_picture(study: OpenStudy, found: Confirmation) -> Picture:
    """Draw what fresh seeds made of the top trials."""

    def row(one: Confirmed) -> Row:
        name = "baseline" if one.trial < 0 else f"trial {one.trial}"
        return Row(name, one.search if one.trial >= 0 else math.nan, one.values)

    measure, winner = Measure(found.metric), found.winner
    return picture(
        confirmation_figure(
            [row(one) for one in [*found.trials, found.baseline]],
            objective=found.metric,
            title=f"{study.name}: the top trials on {counted(len(found.seeds), 'fresh seed')}",
        ),
        name=f"{study.name}-confirmation",
        caption="Small points are seeds, bars their mean with its 95 % interval, rings what the "
        "search had said.",
        alt=f"{counted(len(found.trials), 'setting')} of {study.name} on fresh seeds: trial "
        f"{winner.trial} has the best mean, {measure.mean(winner.mean, winner.standard_error)}.",
    )


def chosen_pictures(study: OpenStudy, chosen: FrozenTrial, tracker: Tracker) -> list[Picture]:
    """Draw the chosen trial's training, and its weights where a run has kept them."""
    title = f"{study.name}, trial {chosen.number}"
    curves = chosen.user_attrs.get(attributes.CURVES, {})
    shown = picture(
        curves_figure(curves, title=title),
        name=f"{study.name}-curves",
        caption="Loss, cost and accuracy of the chosen trial after each epoch, on training and "
        "validation rows.",
        alt=f"Learning curves of {title}, over {counted(epochs_trained(chosen), 'epoch')}.",
    )
    return [shown, *_weights(study, chosen, tracker, title)]


def _weights(study: OpenStudy, chosen: FrozenTrial, tracker: Tracker, title: str) -> list[Picture]:
    try:
        classifier = fetch_classifier(study, chosen, tracker)
    except StoreUnreachableError:
        raise
    except SweepError:  # a copy that can be lost; the report does without
        return []
    if classifier.image_shape is None:
        return []
    names = classifier.class_names
    drawn = weights_figure(classifier.weights, names, classifier.image_shape, title=title)
    return [
        picture(
            drawn,
            name=f"{study.name}-weights",
            caption="What the chosen trial looks for: the weights of each class as an image, all "
            "on one scale of colours.",
            alt=f"Weight images of {title}: {', '.join(names)}.",
        )
    ]


def comparison_pictures(comparison: Comparison) -> list[Picture]:
    """Draw what the test rows showed of the studies side by side."""
    return [
        picture(
            draw(comparison),
            name=f"comparison-{name.replace('_', '-')}",
            caption=COMPARISON_CAPTIONS[name],
            alt=f"{COMPARISON_CAPTIONS[name]} {comparison.sentence}",
        )
        for name, draw in FIGURES.items()
    ]

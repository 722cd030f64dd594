"""The figures of a report, each with how to read it and what it says, as files.

They are sharp on a dense screen, and small enough to travel within a page.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Final, TypeAlias

import matplotlib as mpl
import numpy as np
from PIL import Image

from sweep.analysis.champion import fetch_classifier
from sweep.analysis.confirmation import confirmation_of
from sweep.analysis.overview import overview_figures
from sweep.analysis.selection import find_selected
from sweep.comparison import comparison_figures
from sweep.errors import StoreUnreachableError, SweepError
from sweep.figures.confirmation import Row, confirmation_figure
from sweep.figures.curves import curves_figure
from sweep.figures.style import DPI, RC
from sweep.figures.weights import weights_figure
from sweep.report.facts import Measure, Picture, counted, listed, percent, plain_name
from sweep.search.as_optuna import first_rung
from sweep.search.trials import Status, tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from sweep.analysis.confirmation import Confirmation, Confirmed
    from sweep.analysis.importance import Importances
    from sweep.comparison import Comparison
    from sweep.figures.weight_colours import Pixels
    from sweep.search.record import StudyRecord
    from sweep.search.trials import TrialRecord
    from sweep.tracking.tracker import Tracker

OVERVIEW_CAPTIONS: Final = {
    "history": "Every finished trial in the order in which it began; a pruned one at the value of "
    "its last epoch. The step line is the best so far, the star the selected trial.",
    "parallel_coordinates": "One line for each trial, through its hyperparameters to its score "
    "after epoch {rung}. The better, the darker; the selected trial is red.",
    "slice": "The score after epoch {rung} against each hyperparameter by itself. Later trials are "
    "darker, the star is the selected one.",
    "importance": "How much each hyperparameter decides the score after epoch {rung}, with 95 % "
    "intervals over the trials.",
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
    "importances": "How much each hyperparameter decides the score after the epoch of the legend, "
    "with 95 % intervals over the trials.",
    "places": "Where each selected trial lies in the ranges that were searched.",
}
DENSITY: Final = 2
"""Pixels of a file to one of the page."""
COLOURS: Final = 256
"""Of a palette: lines and words need no more, and the file is a third to a half as long."""
SVG: Final = {
    **RC,
    "svg.fonttype": "path",  # no font of the reader's, so a figure looks the same everywhere
    "svg.hashsalt": "sweep",  # names of parts, drawn at random without it
    "svg.image_inline": True,
}
PREAMBLE: Final = re.compile(rb"^.*?(?=<svg )|\s*<metadata>.*?</metadata>", re.DOTALL)
"""What names addresses elsewhere and draws nothing."""
Drawn: TypeAlias = "Figure | Pixels"


def study_pictures(study: StudyRecord, tracker: Tracker, weights: Importances) -> list[Picture]:
    """Draw what a study has: all its trials, those on fresh seeds, and the selected one."""
    confirmation, selected = confirmation_of(study), find_selected(study)
    trials = study.trials()
    pictures = []
    if tally(trials).finished:
        pictures += overview_pictures(study, trials, selected, weights)
    if confirmation is not None:
        pictures.append(confirmation_picture(study, confirmation))
    if selected is not None:
        pictures += selected_pictures(study, selected, tracker)
    return pictures


def overview_pictures(
    study: StudyRecord,
    trials: Sequence[TrialRecord],
    selected: TrialRecord | None,
    weights: Importances,
) -> list[Picture]:
    """Draw what all trials of a study show."""
    what = f"{study.name}, {counted(tally(trials).finished, 'finished trial')}: "
    alt = what + _best_in_words(study, selected)
    shares = [f"{plain_name(one.name)} {percent(one.share, 0)} %" for one in weights.ranked]
    figures = overview_figures(study.config, trials, selected, weights)
    if not shares:
        del figures["importance"]
    return [
        picture(
            figure,
            name=f"{study.name}-{name.replace('_', '-')}",
            caption=OVERVIEW_CAPTIONS[name].format(rung=first_rung(study.config)),
            alt=f"Importance of the hyperparameters in {study.name}: {listed(shares)}."
            if name == "importance"
            else alt,
        )
        for name, figure in figures.items()
    ]


def _best_in_words(study: StudyRecord, selected: TrialRecord | None) -> str:
    if selected is None:
        return "none is complete."
    if selected.status != Status.COMPLETE:
        return f"the selected trial {selected.number} was pruned at epoch {selected.epochs}."
    measure = Measure(study.config.metric)
    score = f"{measure.noun} {measure.spoken(selected.last(study.config.metric))}"
    return f"the selected trial {selected.number} has the {score}."


def confirmation_picture(study: StudyRecord, found: Confirmation) -> Picture:
    """Draw what fresh seeds made of the top trials."""

    def row(one: Confirmed) -> Row:
        name = "baseline" if one.is_baseline else f"trial {one.trial}"
        return Row(name, one.search, one.values)

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


def selected_pictures(study: StudyRecord, selected: TrialRecord, tracker: Tracker) -> list[Picture]:
    """Draw the selected trial's training, and its weights where a run has kept them."""
    title = f"{study.name}, trial {selected.number}"
    shown = picture(
        curves_figure(selected.curves, title=title),
        name=f"{study.name}-curves",
        caption="Loss, cost and accuracy of the selected trial after each epoch, on training and "
        "validation rows.",
        alt=f"Learning curves of {title}, over {counted(selected.epochs, 'epoch')}.",
    )
    return [shown, *_weights(study, selected, tracker, title)]


def _weights(
    study: StudyRecord, selected: TrialRecord, tracker: Tracker, title: str
) -> list[Picture]:
    if selected.status != Status.COMPLETE:  # they are not those of its setting
        return []
    try:
        classifier = fetch_classifier(study, selected, tracker)
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
            caption="What the selected trial looks for: the weights of each class as an image, all "
            "on one scale of colours.",
            alt=f"Weight images of {title}: {', '.join(names)}.",
        )
    ]


def comparison_pictures(comparison: Comparison) -> list[Picture]:
    """Draw what the test rows showed of the studies side by side."""
    return [
        picture(
            figure,
            name=f"comparison-{name.replace('_', '-')}",
            caption=COMPARISON_CAPTIONS[name],
            alt=f"{COMPARISON_CAPTIONS[name]} {comparison.sentence}",
        )
        for name, figure in comparison_figures(comparison).items()
    ]


def picture(drawn: Drawn, *, name: str, caption: str, alt: str) -> Picture:
    """Return a figure, or the pixels (height, width, 3) of one, as a PNG or SVG file."""
    if isinstance(drawn, np.ndarray):
        height, width = drawn.shape[:2]
        kind, content = "png", _png(Image.fromarray(drawn))
    else:
        width, height = (round(length) for length in drawn.bbox.size)
        bitmap, vectors = _bitmap(drawn), _vectors(drawn)
        kind, content = ("png", bitmap) if len(bitmap) <= len(vectors) else ("svg", vectors)
    return Picture(
        name=name, caption=caption, alt=alt, kind=kind, content=content, width=width, height=height
    )


def _bitmap(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DENSITY * DPI)
    image = Image.open(file).convert("RGB")
    method = Image.Quantize.MAXCOVERAGE  # moved a colour by at most 18 of 255, the default by 62
    return _png(image.quantize(COLOURS, method, dither=Image.Dither.NONE))


def _vectors(figure: Figure) -> bytes:
    file = io.BytesIO()
    with mpl.rc_context(SVG):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return PREAMBLE.sub(b"", file.getvalue())


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()

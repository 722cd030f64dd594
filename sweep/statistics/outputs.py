"""What a classifier's probabilities say of labelled rows, as counts that figures can show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sweep_model.losses import BCE, SOFTMAX
from sweep_model.metrics import calibration_bins, expected_calibration_error, true_class_probability

if TYPE_CHECKING:
    from sweep_model.arrays import Floats, Labels, Mask
    from sweep_model.losses import Loss

BINS = 20
"""Equal bins of the histograms, from 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What one way of making probabilities of scores says.

    Attributes
    ----------
    name
        `softmax`, `sigmoid` or `sigmoid, normalised`.
    right, wrong
        Histograms of the probability given to the true class, over rows predicted rightly and
        wrongly, in equal bins from 0 to 1.
    counts, confidence, accuracy
        The reliability diagram: for each equal bin of the confidence, the probability of the
        predicted class, its rows, mean confidence and share of right answers; None where a bin
        has no rows.
    calibration_error
        The expected calibration error over these bins.

    """

    name: str
    right: list[int]
    wrong: list[int]
    counts: list[int]
    confidence: list[float | None]
    accuracy: list[float | None]
    calibration_error: float


def outputs_of(scores: Floats, labels: Labels, loss: Loss) -> list[Outputs]:
    """Describe scores (n, k) of rows with labels (n,) in each way that the loss has.

    Sigmoids of different classes do not add up to 1: besides as they are, they are described
    divided by their sum, which makes them comparable with a softmax.
    """
    scores = scores.astype(np.float64)  # in float32 the sigmoids of two scores above 17 are equal
    right = scores.argmax(axis=1) == labels
    if loss is not BCE:
        return [_describe(loss.name, loss.probabilities(scores), labels, right)]
    # sigmoid / sum = softmax of log(sigmoid), which is finite where all sigmoids vanish
    normalised = SOFTMAX.probabilities(-np.logaddexp(0, -scores))
    return [
        _describe("sigmoid", loss.probabilities(scores), labels, right),
        _describe("sigmoid, normalised", normalised, labels, right),
    ]


def _describe(name: str, probabilities: Floats, labels: Labels, right: Mask) -> Outputs:
    given = true_class_probability(probabilities, labels)
    bins = calibration_bins(probabilities, labels)
    return Outputs(
        name=name,
        right=_histogram(given[right]),
        wrong=_histogram(given[~right]),
        counts=bins.counts.tolist(),
        confidence=_known(bins.confidence),
        accuracy=_known(bins.accuracy),
        calibration_error=expected_calibration_error(bins),
    )


def _histogram(values: Floats) -> list[int]:
    # what a rounding has put above 1 belongs to the last bin
    counts: list[int] = np.histogram(np.clip(values, 0, 1), BINS, (0, 1))[0].tolist()
    return counts


def _known(values: Floats) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]

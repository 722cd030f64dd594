"""How good predictions are. Labels and predictions are (n,), 0 to k - 1; n is at least 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sweep_model.losses import SOFTMAX, normalised

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sweep_model import Floats, Labels, Mask
    from sweep_model.losses import Loss

TOP = 5


def accuracy(predicted: Labels, labels: Labels) -> float:
    """The fraction of rows whose label was predicted.

    Raises
    ------
    ValueError
        There are no rows, or not one prediction per label.
    """
    if predicted.shape != labels.shape or len(labels) == 0:
        raise ValueError(
            "accuracy needs one prediction per label and at least one, "
            f"got {predicted.shape} predictions and {labels.shape} labels"
        )
    return float((predicted == labels).mean(dtype=np.float64))


def confusion(predicted: Labels, labels: Labels, classes: int) -> Labels:
    """Counts (k, k): entry [i, j] is how many rows of class i were taken for class j."""
    pairs = labels * classes + predicted
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def per_class_accuracy(predicted: Labels, labels: Labels, classes: int) -> Floats:
    """The fraction of each class's rows that was predicted, (k,); NaN for an absent class."""
    counts = confusion(predicted, labels, classes)
    return _ratio(counts.diagonal(), counts.sum(axis=1))


def balanced_accuracy(predicted: Labels, labels: Labels, classes: int) -> float:
    """The mean of `per_class_accuracy` over the classes that have rows."""
    return float(np.nanmean(per_class_accuracy(predicted, labels, classes)))


def weighted_accuracy(predicted: Labels, labels: Labels, weights: Floats) -> float:
    """The fraction of rows whose label was predicted, where a row of class i counts weights[i]."""
    return float(np.average(predicted == labels, weights=weights[labels]))


def macro_f1(predicted: Labels, labels: Labels, classes: int) -> float:
    """The mean of the classes' F1, 2 right / (rows + predictions), where either is above 0."""
    rows, taken = (np.bincount(each, minlength=classes) for each in (labels, predicted))
    right = np.bincount(labels[predicted == labels], minlength=classes)
    return float(np.nanmean(_ratio(2 * right, rows + taken)))


def in_top5(scores: Floats, labels: Labels, loss: Loss) -> Mask:  # noqa: ARG001 - as log_loss
    """Whether fewer than five classes come before each row's own, (n,), by scores (n, k).

    Of equal scores the first comes first, as in a prediction.
    """
    own = scores[np.arange(len(labels)), labels][:, None]
    before = scores > own
    before |= (scores == own) & (np.arange(scores.shape[1]) < labels[:, None])
    within: Mask = np.count_nonzero(before, axis=1) < TOP
    return within


def log_loss(scores: Floats, labels: Labels, loss: Loss) -> Floats:
    """-log of the probability that each row's own class is given, (n,), in nats, by scores (n, k).

    Sigmoids are divided by their sum, so it is the softmax loss of a softmax, and compares losses.
    """
    return SOFTMAX.values(normalised(scores, loss), labels)


OF_PREDICTIONS: Mapping[str, Callable[[Labels, Labels, int], float]] = {
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
}
"""Metrics of (predicted, labels, classes)."""
OF_ROWS: Mapping[str, Callable[[Floats, Labels, Loss], Floats | Mask]] = {
    "top5_accuracy": in_top5,
    "log_loss": log_loss,
}
"""Metrics that are the mean over rows of values (n,) of (scores (n, k), labels, loss)."""


def further_metrics(
    names: Iterable[str],
    scores: Floats,
    labels: Labels,
    loss: Loss,
    class_weights: Floats | None = None,
) -> dict[str, float]:
    """Metrics beside loss and accuracy, by name, of scores (n, k).

    `class_weights` (k,) are those of `weighted_accuracy`.
    """
    predicted, classes = scores.argmax(axis=1), scores.shape[1]
    return {
        name: float(OF_ROWS[name](scores, labels, loss).mean(dtype=np.float64))
        if name in OF_ROWS
        else of_predictions(name, predicted, labels, classes, class_weights)
        for name in names
    }


def of_predictions(
    name: str, predicted: Labels, labels: Labels, classes: int, class_weights: Floats | None
) -> float:
    """Return a metric of `OF_PREDICTIONS`, or `weighted_accuracy`."""
    if name == "weighted_accuracy" and class_weights is not None:
        return weighted_accuracy(predicted, labels, class_weights)
    return OF_PREDICTIONS[name](predicted, labels, classes)


def true_class_probability(probabilities: Floats, labels: Labels) -> Floats:
    """What each row's own class was given, (n,), of probabilities (n, k)."""
    return probabilities[np.arange(len(labels)), labels]


@dataclass(frozen=True, eq=False)
class CalibrationBins:
    """The rows sorted by confidence, the probability of the predicted class, into equal bins.

    Attributes
    ----------
    counts : (bins,), rows in each bin; bin m of M holds m / M < confidence <= (m + 1) / M.
    confidence : (bins,), their mean confidence; NaN for an empty bin.
    accuracy : (bins,), the fraction of them predicted rightly; NaN for an empty bin.
    """

    counts: Labels
    confidence: Floats
    accuracy: Floats


def calibration_bins(probabilities: Floats, labels: Labels, *, bins: int = 15) -> CalibrationBins:
    """Compare confidence with accuracy on probabilities (n, k).

    The bins and their default number are those of Guo et al., "On Calibration of Modern Neural
    Networks", ICML 2017, section 2.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    at = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(at, minlength=bins)
    return CalibrationBins(
        counts=counts,
        confidence=_ratio(np.bincount(at, weights=confidence, minlength=bins), counts),
        accuracy=_ratio(np.bincount(at, weights=right, minlength=bins), counts),
    )


def expected_calibration_error(bins: CalibrationBins) -> float:
    """Sum over the bins of counts / n * |accuracy - confidence| (Guo et al., equation 3)."""
    gaps = np.abs(bins.accuracy - bins.confidence)
    return float(np.nansum(bins.counts * gaps) / bins.counts.sum())


def _ratio(parts: Labels | Floats, counts: Labels) -> Floats:
    """Parts / counts, and NaN where nothing was counted."""
    ratios = np.full(len(counts), np.nan)
    np.divide(parts, counts, out=ratios, where=counts > 0)
    return ratios

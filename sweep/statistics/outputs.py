"""What a classifier's probabilities said of labelled rows, as counts that figures can show."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What one way of making probabilities of scores said.

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

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.statistics.outputs import BINS, outputs_of
from sweep_model.losses import BCE, SOFTMAX

SCORES = np.array([[2.0, 0, 0], [0, 1, 0], [0, 0, -1], [3, 0, 0]])
LABELS = np.array([0, 1, 2, 1])  # two right, two wrong


def test_a_softmax_has_one_way_of_making_probabilities():
    (found,) = outputs_of(SCORES, LABELS, SOFTMAX)
    assert found.name == "softmax"


def test_sigmoids_are_told_as_they_are_and_divided_by_their_sum():
    plain, normalised = outputs_of(SCORES, LABELS, BCE)
    assert (plain.name, normalised.name) == ("sigmoid", "sigmoid, normalised")
    sigmoids = 1 / (1 + np.exp(-SCORES))
    given_plain = sigmoids[np.arange(4), LABELS]
    assert bins_of(plain) == sorted((given_plain * BINS).astype(int))
    given_normalised = (sigmoids / sigmoids.sum(axis=1, keepdims=True))[np.arange(4), LABELS]
    assert bins_of(normalised) == sorted((given_normalised * BINS).astype(int))


def bins_of(outputs):
    both = np.array(outputs.right) + np.array(outputs.wrong)
    return np.repeat(np.arange(BINS), both).tolist()


@pytest.mark.parametrize("loss", [SOFTMAX, BCE])
def test_every_row_is_counted_once_as_right_or_wrong(loss, rng):
    scores, labels = rng.normal(size=(500, 4)), rng.integers(0, 4, 500)
    right = int((scores.argmax(axis=1) == labels).sum())
    for found in outputs_of(scores.astype(np.float32), labels, loss):
        assert (sum(found.right), sum(found.wrong)) == (right, 500 - right)
        assert sum(found.counts) == 500
        assert len(found.right) == len(found.wrong) == BINS


def test_the_calibration_error_is_the_mean_distance_from_the_diagonal(rng):
    scores, labels = rng.normal(size=(300, 3)), rng.integers(0, 3, 300)
    (found,) = outputs_of(scores, labels, SOFTMAX)
    gaps = [
        count * abs(accuracy - confidence)
        for count, accuracy, confidence in zip(
            found.counts, found.accuracy, found.confidence, strict=True
        )
        if accuracy is not None
    ]
    assert found.calibration_error == pytest.approx(sum(gaps) / 300)


def test_labels_drawn_from_the_probabilities_leave_hardly_any_error(rng):
    scores = rng.normal(size=(20_000, 3)).astype(np.float32)
    probabilities = SOFTMAX.probabilities(scores)
    labels = (probabilities.cumsum(axis=1) > rng.random((20_000, 1))).argmax(axis=1)
    (found,) = outputs_of(scores, labels, SOFTMAX)
    assert found.calibration_error < 0.02
    (sharper,) = outputs_of(3 * scores, labels, SOFTMAX)
    assert sharper.calibration_error > 0.1


def test_a_bin_without_rows_has_neither_confidence_nor_accuracy():
    (found,) = outputs_of(SCORES, LABELS, SOFTMAX)
    for count, confidence, accuracy in zip(
        found.counts, found.confidence, found.accuracy, strict=True
    ):
        assert (confidence is None) == (accuracy is None) == (count == 0)


@given(st.floats(20, 1e4))
def test_scores_of_any_size_leave_finite_numbers(size):
    scores = np.array([[-size, -size - 1], [size, size + 1]], dtype=np.float32)
    for loss in (SOFTMAX, BCE):
        for found in outputs_of(scores, np.array([0, 0]), loss):
            assert (sum(found.right), sum(found.wrong)) == (1, 1)
            assert np.isfinite(found.calibration_error)


def test_sigmoids_that_all_vanish_still_have_shares():
    scores = np.array([[-2000.0, -2000.0]])
    _, normalised = outputs_of(scores, np.array([0]), BCE)
    assert normalised.confidence[7] == pytest.approx(0.5)  # the eighth of fifteen bins

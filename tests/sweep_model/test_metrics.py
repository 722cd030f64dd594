import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    recall_score,
    top_k_accuracy_score,
)
from sklearn.metrics import log_loss as log_loss_score

from sweep_model.losses import BCE, LOSSES, SOFTMAX
from sweep_model.metrics import (
    accuracy,
    balanced_accuracy,
    calibration_bins,
    confusion,
    expected_calibration_error,
    further_metrics,
    in_top5,
    macro_f1,
    per_class_accuracy,
    true_class_probability,
    weighted_accuracy,
)

FOUR = arrays(np.int64, 20, elements=st.integers(0, 3))
PROBABILITIES = arrays(np.float64, (20, 4), elements=st.floats(0, 1))


@given(FOUR, FOUR)
def test_accuracy_and_confusion_agree_with_scikit_learn(predicted, labels):
    assert accuracy(predicted, labels) == accuracy_score(labels, predicted)
    np.testing.assert_array_equal(
        confusion(predicted, labels, 4), confusion_matrix(labels, predicted, labels=range(4))
    )


@given(FOUR, FOUR)
def test_the_accuracy_of_a_class_is_its_recall(predicted, labels):
    recall = recall_score(labels, predicted, labels=range(4), average=None, zero_division=np.nan)
    np.testing.assert_array_equal(per_class_accuracy(predicted, labels, 4), recall)


def test_rows_of_the_confusion_are_true_classes_and_an_absent_class_has_no_accuracy():
    assert confusion(np.array([1]), np.array([0]), 2).tolist() == [[0, 1], [0, 0]]
    ours = per_class_accuracy(np.array([0, 2]), np.array([0, 0]), 3)
    np.testing.assert_array_equal(ours, [0.5, np.nan, np.nan])


@given(FOUR, FOUR)
def test_balanced_accuracy_and_macro_f1_agree_with_scikit_learn(predicted, labels):
    with warnings.catch_warnings():  # of classes that were predicted and have no rows
        warnings.simplefilter("ignore")
        expected = balanced_accuracy_score(labels, predicted)
    assert balanced_accuracy(predicted, labels, 4) == pytest.approx(expected)
    expected = f1_score(labels, predicted, average="macro")
    assert macro_f1(predicted, labels, 4) == pytest.approx(expected)


@given(FOUR, FOUR)
def test_weighted_accuracy_agrees_with_scikit_learn(predicted, labels):
    weights = np.array([0.5, 3, 1e-9, 7])
    expected = accuracy_score(labels, predicted, sample_weight=weights[labels])
    assert weighted_accuracy(predicted, labels, weights) == pytest.approx(expected)


@pytest.mark.parametrize("name", LOSSES)
def test_further_metrics_of_scores_agree_with_scikit_learn(name):
    rng, loss, k = np.random.default_rng(5), LOSSES[name], 8
    labels = rng.integers(0, k, 400)
    scores = 3 * rng.normal(size=(400, k)) + 2 * np.eye(k)[labels]
    probabilities = loss.probabilities(scores)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    predicted = scores.argmax(axis=1)
    expected = {
        "log_loss": log_loss_score(labels, probabilities),
        "top5_accuracy": top_k_accuracy_score(labels, scores, k=5),
        "macro_f1": f1_score(labels, predicted, average="macro"),
        "balanced_accuracy": balanced_accuracy_score(labels, predicted),
    }
    assert further_metrics(expected, scores, labels, loss) == pytest.approx(expected)


def test_of_equal_scores_the_first_classes_are_the_top():
    assert in_top5(np.zeros((7, 7)), np.arange(7), SOFTMAX).tolist() == 5 * [True] + 2 * [False]


def test_the_log_loss_of_extreme_scores_is_finite():
    scores = np.array([[-1e4, 1e4, -1e4]])
    for loss in (SOFTMAX, BCE):
        lost = further_metrics(["log_loss"], scores, np.array([0]), loss)["log_loss"]
        assert lost == pytest.approx(2e4 if loss is SOFTMAX else 1e4)


def test_accuracy_needs_one_prediction_per_label_and_at_least_one():
    for predicted, labels in ((0, 0), (2, 3)):
        with pytest.raises(ValueError, match=rf"\({predicted},\) predictions and \({labels},\)"):
            accuracy(np.zeros(predicted, int), np.zeros(labels, int))


def test_the_probability_of_the_true_class_is_picked_from_each_row():
    probabilities = np.array([[0.1, 0.9], [0.3, 0.7]])
    assert true_class_probability(probabilities, np.array([1, 0])).tolist() == [0.9, 0.3]


def test_confidence_and_accuracy_are_compared_bin_by_bin():
    probabilities = np.array([[0.9, 0.1], [0.3, 0.7], [0.95, 0.05], [0.75, 0.25]])
    bins = calibration_bins(probabilities, np.array([0, 1, 1, 0]), bins=4)
    assert bins.counts.tolist() == [0, 0, 2, 2]
    np.testing.assert_allclose(bins.confidence, [np.nan, np.nan, 0.725, 0.925])
    np.testing.assert_allclose(bins.accuracy, [np.nan, np.nan, 1, 0.5])
    assert expected_calibration_error(bins) == pytest.approx((2 * 0.275 + 2 * 0.425) / 4)


def test_an_edge_belongs_to_the_bin_below_and_zero_to_the_first():
    bins = calibration_bins(np.array([[0.0], [0.25], [0.5], [1.0]]), np.zeros(4, int), bins=4)
    assert bins.counts.tolist() == [2, 1, 0, 1]


@given(PROBABILITIES, FOUR, st.integers(1, 30))
def test_no_row_is_lost_and_with_one_bin_the_error_is_the_gap_between_the_means(
    probabilities, labels, bins
):
    sorted_rows = calibration_bins(probabilities, labels, bins=bins)
    assert sorted_rows.counts.sum() == 20
    assert 0 <= expected_calibration_error(sorted_rows) <= 1
    confidence = probabilities.max(axis=1).mean()
    gap = abs(confidence - accuracy(probabilities.argmax(axis=1), labels))
    error = expected_calibration_error(calibration_bins(probabilities, labels, bins=1))
    assert error == pytest.approx(gap, abs=1e-12)


def test_sure_and_right_is_calibrated():
    bins = calibration_bins(np.eye(3, dtype=np.float32), np.arange(3))
    assert expected_calibration_error(bins) == 0
    assert math.isnan(bins.accuracy[0])

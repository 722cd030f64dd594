import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit, log_expit, log_softmax, softmax

from sweep_model.losses import BCE, LOSSES, SOFTMAX

SCORES = arrays(np.float64, (5, 4), elements=st.floats(-50, 50))
LABELS = arrays(np.int64, 5, elements=st.integers(0, 3))
both_losses = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def one_hot(labels, classes):
    return np.eye(classes)[labels]


def test_the_losses_go_by_their_names():
    assert LOSSES == {"softmax": SOFTMAX, "bce": BCE}


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_equal_scores_cost_log_k_with_softmax(classes):
    values = SOFTMAX.values(np.full((3, classes), 7.0), np.array([0, 1, 1]))
    assert values == pytest.approx(math.log(classes))


@pytest.mark.parametrize("classes", [1, 2, 10])
def test_scores_of_zero_cost_log_2_with_bce(classes):
    assert BCE.values(np.zeros((3, classes)), np.zeros(3, int)) == pytest.approx(math.log(2))


@given(SCORES, LABELS)
def test_softmax_is_minus_the_log_of_the_true_probability(scores, labels):
    expected = -log_softmax(scores, axis=1)[np.arange(5), labels]
    np.testing.assert_allclose(SOFTMAX.values(scores, labels), expected, rtol=1e-12, atol=1e-14)


@given(SCORES, LABELS)
def test_bce_is_the_mean_of_one_cross_entropy_per_class(scores, labels):
    truth = one_hot(labels, 4)
    expected = -(truth * log_expit(scores) + (1 - truth) * log_expit(-scores)).mean(axis=1)
    np.testing.assert_allclose(BCE.values(scores, labels), expected, rtol=1e-12)


@given(SCORES)
def test_probabilities_agree_with_scipy(scores):
    np.testing.assert_allclose(SOFTMAX.probabilities(scores), softmax(scores, axis=1), rtol=1e-12)
    np.testing.assert_allclose(BCE.probabilities(scores), expit(scores), rtol=1e-12)


@given(SCORES, LABELS)
def test_the_gradients_are_p_minus_y_and_its_kth_part(scores, labels):
    truth = one_hot(labels, 4)
    np.testing.assert_allclose(
        SOFTMAX.gradient(scores, labels), softmax(scores, axis=1) - truth, atol=1e-15
    )
    np.testing.assert_allclose(
        BCE.gradient(scores, labels), (expit(scores) - truth) / 4, atol=1e-15
    )


@given(SCORES, LABELS, arrays(np.float64, (5, 1), elements=st.floats(-50, 50)))
def test_a_shift_of_a_row_changes_nothing_in_softmax(scores, labels, shift):
    moved = scores + shift
    np.testing.assert_allclose(
        SOFTMAX.values(moved, labels), SOFTMAX.values(scores, labels), atol=1e-12
    )
    np.testing.assert_allclose(
        SOFTMAX.gradient(moved, labels), SOFTMAX.gradient(scores, labels), atol=1e-12
    )


@both_losses
@given(scores=SCORES, labels=LABELS, order=st.permutations(range(5)))
def test_rows_do_not_see_each_other(loss, scores, labels, order):
    np.testing.assert_array_equal(
        loss.values(scores[order], labels[order]), loss.values(scores, labels)[order]
    )
    np.testing.assert_array_equal(
        loss.gradient(scores[order], labels[order]), loss.gradient(scores, labels)[order]
    )


@both_losses
@given(scores=SCORES, labels=LABELS, order=st.permutations(range(4)))
def test_the_names_of_the_classes_do_not_matter(loss, scores, labels, order):
    renamed = np.argsort(order)[labels]
    np.testing.assert_allclose(
        loss.values(scores[:, order], renamed), loss.values(scores, labels), rtol=1e-12, atol=1e-14
    )
    np.testing.assert_allclose(
        loss.gradient(scores[:, order], renamed),
        loss.gradient(scores, labels)[:, order],
        atol=1e-15,
    )


@both_losses
@both_dtypes
def test_scores_of_ten_thousand_give_finite_values_of_the_right_size(loss, dtype):
    scores = np.array([[1e4, -1e4], [-1e4, 1e4]], dtype=dtype)
    values = loss.values(scores, np.array([0, 0]))
    assert values == pytest.approx([0, 2e4 if loss is SOFTMAX else 1e4])
    steepest = 1 if loss is SOFTMAX else 0.5
    gradient = loss.gradient(scores, np.array([0, 0]))
    assert gradient == pytest.approx(np.array([[0, 0], [-steepest, steepest]]))
    assert loss.probabilities(scores) == pytest.approx(np.array([[1, 0], [0, 1]]))


@both_dtypes
def test_the_loss_of_a_confident_right_answer_keeps_its_digits(dtype):
    scores = np.array([[20, -20]], dtype=dtype)
    # Both classes cost softplus(-20); taking softplus(20) - 20 instead would leave rounding only.
    assert BCE.values(scores, np.array([0])) == pytest.approx(math.log1p(math.exp(-20)), rel=1e-6)
    assert BCE.probabilities(scores)[0, 1] == pytest.approx(math.exp(-20), rel=1e-6)


@both_losses
@both_dtypes
def test_the_dtype_of_the_scores_is_kept(loss, dtype):
    scores, labels = np.ones((3, 4), dtype=dtype), np.array([0, 1, 2])
    assert loss.values(scores, labels).dtype == dtype
    assert loss.gradient(scores, labels).dtype == dtype
    assert loss.probabilities(scores).dtype == dtype


@both_losses
def test_scores_and_labels_are_left_as_they_were(loss, rng):
    scores, labels = rng.normal(size=(3, 4)), np.array([0, 1, 2])
    scores.flags.writeable = labels.flags.writeable = False
    loss.values(scores, labels)
    loss.gradient(scores, labels)
    loss.probabilities(scores)


@both_losses
def test_a_loss_travels_between_processes(loss):
    assert pickle.loads(pickle.dumps(loss)) == loss  # noqa: S301 - our own bytes

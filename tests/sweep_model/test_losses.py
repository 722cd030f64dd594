import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit, log_expit, log_softmax, softmax

from sweep_model.losses import (
    BCE,
    LOSSES,
    SOFTMAX,
    cost,
    gradient,
    mean_loss,
    penalty,
    predict,
)

SCORES = arrays(np.float64, (5, 4), elements=st.floats(-50, 50))
LABELS = arrays(np.int64, 5, elements=st.integers(0, 3))
SHAPE = (3, 4)  # classes, features
both_losses = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
DTYPES = (np.float32, np.float64)


@pytest.fixture
def problem(rng):
    """Weights, bias, rows and labels, in float64."""
    labels = rng.integers(0, 3, 30)
    rows = rng.normal(size=(30, 4)) + rng.normal(size=SHAPE)[labels]
    return rng.normal(size=SHAPE), rng.normal(size=3), rows, labels


@pytest.fixture
def row_weights(rng):
    """Row weights of 0, 1 and between."""
    return np.concatenate([np.zeros(5), np.ones(5), rng.random(20)])


def one_hot(labels, classes):
    return np.eye(classes)[labels]


def test_the_losses_go_by_their_names():
    assert LOSSES == {"softmax": SOFTMAX, "bce": BCE}


def test_equal_scores_cost_log_k_with_softmax():
    for classes in (2, 3, 10):
        values = SOFTMAX.values(np.full((3, classes), 7.0), np.array([0, 1, 1]))
        assert values == pytest.approx(math.log(classes))


def test_scores_of_zero_cost_log_2_with_bce():
    for classes in (1, 2, 10):
        values = BCE.values(np.zeros((3, classes)), np.zeros(3, int))
        assert values == pytest.approx(math.log(2))


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


@both_losses
def test_scores_of_ten_thousand_give_finite_values_of_the_right_size(loss):
    for dtype in DTYPES:
        scores = np.array([[1e4, -1e4], [-1e4, 1e4]], dtype=dtype)
        values = loss.values(scores, np.array([0, 0]))
        assert values == pytest.approx([0, 2e4 if loss is SOFTMAX else 1e4])
        steepest = 1 if loss is SOFTMAX else 0.5
        slopes = loss.gradient(scores, np.array([0, 0]))
        assert slopes == pytest.approx(np.array([[0, 0], [-steepest, steepest]]))
        assert loss.probabilities(scores) == pytest.approx(np.array([[1, 0], [0, 1]]))


def test_the_loss_of_a_confident_right_answer_keeps_its_digits():
    for dtype in DTYPES:
        scores = np.array([[20, -20]], dtype=dtype)
        # Both classes cost softplus(-20); taking softplus(20) - 20 would leave rounding only.
        own = np.array([0])
        assert BCE.values(scores, own) == pytest.approx(math.log1p(math.exp(-20)), rel=1e-6)
        assert BCE.probabilities(scores)[0, 1] == pytest.approx(math.exp(-20), rel=1e-6)


@both_losses
def test_the_dtype_of_the_scores_is_kept_and_arguments_are_left_as_they_were(loss, rng):
    labels = np.array([0, 1, 2])
    for dtype in DTYPES:
        scores = rng.normal(size=(3, 4)).astype(dtype)
        scores.flags.writeable = labels.flags.writeable = False
        assert loss.values(scores, labels).dtype == dtype
        assert loss.gradient(scores, labels).dtype == dtype
        assert loss.probabilities(scores).dtype == dtype


@both_losses
def test_a_loss_travels_between_processes(loss):
    assert pickle.loads(pickle.dumps(loss)) == loss  # noqa: S301 - our own bytes


# The kernels of many lanes: scores (k, n, lanes).


def scores_of(rows, classes, lanes, size, seed=1):
    rng = np.random.default_rng(seed)
    scores = (size * rng.normal(size=(classes, rows, lanes))).astype(np.float32)
    return scores, rng.integers(0, classes, rows)


def slopes_of(loss, scores, labels):
    slopes = scores.copy()
    loss.slopes_(slopes, labels)
    slopes *= np.float32(loss.slope_scale(len(scores)))
    return slopes


def values_of(loss, scores, labels):
    return loss.values_(scores.copy(), labels, scores.max(axis=0))


@given(
    st.integers(1, 6),
    st.integers(1, 5),
    st.integers(1, 4),
    st.sampled_from([0, 0.1, 3, 40, 1e4]),
)
def test_each_lane_has_the_values_and_gradients_of_the_formulas(rows, classes, lanes, size):
    scores, labels = scores_of(rows, classes, lanes, size)
    for loss in LOSSES.values():
        values, slopes = values_of(loss, scores, labels), slopes_of(loss, scores, labels)
        for lane in range(lanes):
            exact = scores[:, :, lane].T.astype(np.float64)
            np.testing.assert_allclose(
                values[:, lane], loss.values(exact, labels), rtol=1e-5, atol=1e-6
            )
            np.testing.assert_allclose(
                slopes[:, :, lane].T, loss.gradient(exact, labels), rtol=1e-5, atol=1e-6
            )


@both_losses
def test_a_lane_that_is_not_finite_leaves_the_others_alone(loss):
    scores, labels = scores_of(6, 4, 3, 2)
    for broken in (np.nan, np.inf, -np.inf):
        spoilt = scores.copy()
        spoilt[:, :, 1] = broken
        with np.errstate(invalid="ignore"):
            for function in (values_of, slopes_of):
                expected, found = function(loss, scores, labels), function(loss, spoilt, labels)
                assert found[..., [0, 2]].tobytes() == expected[..., [0, 2]].tobytes()


@given(
    arrays(np.float32, (5, 4, 3), elements=st.sampled_from([-1e4, -1, 0, 1, 1e4])),
)
def test_the_first_class_with_the_largest_score_is_predicted(scores):
    before = scores.copy()
    predicted, largest = predict(scores)
    np.testing.assert_array_equal(predicted, scores.argmax(axis=0))
    np.testing.assert_array_equal(largest, scores.max(axis=0))
    np.testing.assert_array_equal(scores, before)


# The cost and its gradient.


def slope_error(problem, rng, *, loss, l2=0.0, row_weights=None):
    """How far the gradient is from the slope along a random direction, as a fraction of it."""
    weights, bias, rows, labels = problem
    step = 1e-5
    along_weights, along_bias = rng.normal(size=weights.shape), rng.normal(size=bias.shape)
    other = {"l2": l2, "loss": loss, "row_weights": row_weights}

    def at(distance):
        moved = weights + distance * along_weights, bias + distance * along_bias
        return cost(*moved, rows, labels, **other)

    slope = (at(step) - at(-step)) / (2 * step)
    down_weights, down_bias = gradient(weights, bias, rows, labels, **other)
    claimed = (down_weights * along_weights).sum() + (down_bias * along_bias).sum()
    return abs(claimed - slope) / abs(slope)


@both_losses
def test_the_gradient_is_the_slope_along_random_directions(problem, rng, row_weights, loss):
    for l2 in (0.0, 0.1):
        for weights in (None, row_weights):
            for _ in range(10):
                assert slope_error(problem, rng, loss=loss, l2=l2, row_weights=weights) < 1e-7


@both_losses
def test_the_slope_check_catches_a_planted_wrong_gradient(problem, rng, loss):
    for mistake in (
        lambda scores, _: loss.probabilities(scores),  # forgets the truth
        lambda scores, labels: 1.001 * loss.gradient(scores, labels),  # a thousandth too long
    ):
        wrong = replace(loss, gradient=mistake)
        assert min(slope_error(problem, rng, loss=wrong) for _ in range(10)) > 1e-4


def descend(rows, labels, *, l2, loss, rate):
    """Gradient descent from 0 until the gradient is nothing but rounding."""
    weights, bias = np.zeros(SHAPE), np.zeros(3)
    for _ in range(20_000):
        down_weights, down_bias = gradient(weights, bias, rows, labels, l2=l2, loss=loss)
        weights, bias = weights - rate * down_weights, bias - rate * down_bias
        if max(np.abs(down_weights).max(), np.abs(down_bias).max()) < 1e-12:
            break
    return weights, bias


def test_the_softmax_optimum_is_that_of_scikit_learn(problem):
    from sklearn.linear_model import LogisticRegression

    _, _, rows, labels = problem
    l2 = 0.02
    weights, bias = descend(rows, labels, l2=l2, loss=SOFTMAX, rate=0.2)
    # It minimises C * sum of losses + sum(W^2) / 2: our cost times C * n when C = 1 / (2 n l2).
    peer = LogisticRegression(C=1 / (2 * len(rows) * l2), tol=1e-10, max_iter=10_000)
    peer.fit(rows, labels)
    np.testing.assert_allclose(weights, peer.coef_, atol=1e-6)
    # A common shift of all biases changes nothing, so only their differences can be compared.
    np.testing.assert_allclose(
        bias - bias.mean(), peer.intercept_ - peer.intercept_.mean(), atol=1e-6
    )


@both_losses
def test_a_row_of_weight_n_counts_as_n_rows_and_one_of_weight_0_as_none(problem, loss):
    weights, bias, rows, labels = problem
    counts = np.arange(30) % 4
    repeated = weights, bias, np.repeat(rows, counts, axis=0), np.repeat(labels, counts)
    weighted = {"l2": 0.1, "loss": loss, "row_weights": 0.3 * counts}
    expected = cost(*repeated, l2=0.1, loss=loss)
    assert cost(*problem, **weighted) == pytest.approx(expected, rel=1e-12)
    for found, other in zip(
        gradient(*problem, **weighted), gradient(*repeated, l2=0.1, loss=loss), strict=True
    ):
        np.testing.assert_allclose(found, other, rtol=1e-12, atol=1e-14)


@both_losses
def test_the_cost_is_the_mean_loss_and_the_penalty(problem, loss):
    weights, bias, rows, labels = problem
    expected = mean_loss(rows @ weights.T + bias, labels, loss) + 0.3 * (weights**2).sum()
    assert cost(*problem, l2=0.3, loss=loss) == pytest.approx(expected, rel=1e-14)


def test_the_penalty_has_no_half_in_it():
    assert penalty(np.full((2, 3), 2.0), 0.5) == 12


@both_losses
def test_the_biases_are_free(problem, loss):
    _, with_penalty = gradient(*problem, l2=5.0, loss=loss)
    _, without = gradient(*problem, l2=0.0, loss=loss)
    np.testing.assert_array_equal(with_penalty, without)


@both_losses
def test_gradients_of_float32_are_float32(problem, row_weights, loss):
    weights, bias, rows, labels = problem
    single = [array.astype(np.float32) for array in (weights, bias, rows)]
    for l2 in (0.1, np.float64(0.1)):
        for shares in (None, row_weights):
            for part in gradient(*single, labels, l2=l2, loss=loss, row_weights=shares):
                assert part.dtype == np.float32


def test_means_and_penalties_of_float32_are_summed_in_float64(rng):
    scores = rng.normal(size=(1000, 3)).astype(np.float32)
    labels = rng.integers(0, 3, 1000)
    losses = SOFTMAX.values(scores, labels).astype(np.float64)
    # A float32 sum of a thousand numbers keeps seven digits, not twelve.
    assert mean_loss(scores, labels, SOFTMAX) == pytest.approx(losses.mean(), rel=1e-12)
    assert penalty(scores, 1) == pytest.approx((scores.astype(np.float64) ** 2).sum(), rel=1e-12)


@both_losses
def test_arguments_of_cost_and_gradient_are_left_as_they_were(problem, row_weights, loss):
    for array in (*problem, row_weights):
        array.flags.writeable = False
    cost(*problem, l2=0.1, loss=loss, row_weights=row_weights)
    gradient(*problem, l2=0.1, loss=loss, row_weights=row_weights)

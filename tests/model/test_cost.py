from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import log_expit

from sweep_model.cost import cost, gradient, mean_loss, penalty
from sweep_model.losses import BCE, LOSSES, SOFTMAX

both_losses = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
SHAPE = (3, 4)  # classes, features


@pytest.fixture
def problem(rng):
    """Weights, bias, rows and labels, in float64."""
    labels = rng.integers(0, 3, 30)
    rows = rng.normal(size=(30, 4)) + rng.normal(size=SHAPE)[labels]
    return rng.normal(size=SHAPE), rng.normal(size=3), rows, labels


def slope_error(problem, rng, *, l2, loss):
    """How far the gradient is from the slope along a random direction, as a fraction of it."""
    weights, bias, rows, labels = problem
    step = 1e-5
    along_weights, along_bias = rng.normal(size=weights.shape), rng.normal(size=bias.shape)

    def at(distance):
        moved = weights + distance * along_weights, bias + distance * along_bias
        return cost(*moved, rows, labels, l2=l2, loss=loss)

    slope = (at(step) - at(-step)) / (2 * step)
    down_weights, down_bias = gradient(weights, bias, rows, labels, l2=l2, loss=loss)
    claimed = (down_weights * along_weights).sum() + (down_bias * along_bias).sum()
    return abs(claimed - slope) / abs(slope)


@both_losses
@pytest.mark.parametrize("l2", [0.0, 0.1])
def test_the_gradient_is_the_slope_along_random_directions(problem, rng, loss, l2):
    assert max(slope_error(problem, rng, l2=l2, loss=loss) for _ in range(10)) < 1e-7


def _forgets_the_truth(loss):
    return lambda scores, _: loss.probabilities(scores)


def _is_a_tenth_of_a_percent_too_long(loss):
    return lambda scores, labels: 1.001 * loss.gradient(scores, labels)


@both_losses
@pytest.mark.parametrize("mistake", [_forgets_the_truth, _is_a_tenth_of_a_percent_too_long])
def test_the_slope_check_catches_a_planted_wrong_gradient(problem, rng, loss, mistake):
    wrong = replace(loss, gradient=mistake(loss))
    assert min(slope_error(problem, rng, l2=0.0, loss=wrong) for _ in range(10)) > 1e-4


def descend(weights, bias, rows, labels, *, l2, loss, rate):
    """Gradient descent until the gradient is nothing but rounding."""
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
    start = np.zeros(SHAPE), np.zeros(3)
    weights, bias = descend(*start, rows, labels, l2=l2, loss=SOFTMAX, rate=0.2)
    # It minimises C * sum of losses + sum(W^2) / 2: our cost times C * n when C = 1 / (2 n l2).
    peer = LogisticRegression(C=1 / (2 * len(rows) * l2), tol=1e-10, max_iter=10_000)
    peer.fit(rows, labels)
    np.testing.assert_allclose(weights, peer.coef_, atol=1e-6)
    # A common shift of all biases changes nothing, so only their differences can be compared.
    np.testing.assert_allclose(
        bias - bias.mean(), peer.intercept_ - peer.intercept_.mean(), atol=1e-6
    )


def test_the_bce_optimum_is_that_of_scipy(problem):
    _, _, rows, labels = problem
    l2 = 0.02
    truth = np.eye(3)[labels]

    def formula(flat):
        weights, bias = flat[:12].reshape(SHAPE), flat[12:]
        scores = rows @ weights.T + bias
        losses = truth * log_expit(scores) + (1 - truth) * log_expit(-scores)
        return -losses.mean() + l2 * (weights**2).sum()

    peer = minimize(formula, np.zeros(15), jac="3-point", method="BFGS", options={"gtol": 1e-9})
    start = np.zeros(SHAPE), np.zeros(3)
    weights, bias = descend(*start, rows, labels, l2=l2, loss=BCE, rate=0.5)
    np.testing.assert_allclose(weights.ravel(), peer.x[:12], atol=1e-5)
    np.testing.assert_allclose(bias, peer.x[12:], atol=1e-5)
    assert cost(weights, bias, rows, labels, l2=l2, loss=BCE) == pytest.approx(peer.fun, rel=1e-9)


@both_losses
@given(seed=st.integers(0, 1000), cut=st.integers(1, 29))
def test_the_cost_and_gradient_of_the_whole_are_the_means_of_the_parts(loss, seed, cut):
    rng = np.random.default_rng(seed)
    weights, bias, rows = rng.normal(size=SHAPE), rng.normal(size=3), rng.normal(size=(30, 4))
    labels = rng.integers(0, 3, 30)

    def both(part):
        at = weights, bias, rows[part], labels[part]
        down_weights, down_bias = gradient(*at, l2=0.1, loss=loss)
        height = cost(*at, l2=0.1, loss=loss)
        return np.concatenate([[height], down_weights.ravel(), down_bias])

    parts = cut * both(slice(cut)) + (30 - cut) * both(slice(cut, None))
    np.testing.assert_allclose(parts / 30, both(slice(None)), rtol=1e-10, atol=1e-13)


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
@pytest.mark.parametrize("l2", [0.1, np.float64(0.1)])
def test_gradients_of_float32_are_float32(problem, loss, l2):
    weights, bias, rows, labels = problem
    single = [array.astype(np.float32) for array in (weights, bias, rows)]
    for part in gradient(*single, labels, l2=l2, loss=loss):
        assert part.dtype == np.float32


def test_means_and_penalties_of_float32_are_summed_in_float64(rng):
    scores = rng.normal(size=(1000, 3)).astype(np.float32)
    labels = rng.integers(0, 3, 1000)
    losses = SOFTMAX.values(scores, labels).astype(np.float64)
    # A float32 sum of a thousand numbers keeps seven digits, not twelve.
    assert mean_loss(scores, labels, SOFTMAX) == pytest.approx(losses.mean(), rel=1e-12)
    assert penalty(scores, 1) == pytest.approx((scores.astype(np.float64) ** 2).sum(), rel=1e-12)


@both_losses
def test_arguments_are_left_as_they_were(problem, loss):
    for array in problem:
        array.flags.writeable = False
    cost(*problem, l2=0.1, loss=loss)
    gradient(*problem, l2=0.1, loss=loss)

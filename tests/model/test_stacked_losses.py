import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep_model.losses import LOSSES
from sweep_model.stacked_losses import STACKED_LOSSES

both_losses = pytest.mark.parametrize("name", LOSSES)


def scores_of(rows, classes, slots, size, seed=1):
    rng = np.random.default_rng(seed)
    scores = (size * rng.normal(size=(rows, classes, slots))).astype(np.float32)
    return scores, rng.integers(0, classes, rows)


def slopes_of(name, scores, labels):
    loss, slopes = STACKED_LOSSES[name], np.empty_like(scores)
    _, classes, slots = scores.shape
    targets = np.repeat(loss.targets(classes)[labels], slots, axis=1).reshape(scores.shape)
    classes_first = (1, 0, 2)
    loss.slopes(
        scores.transpose(classes_first).copy(),
        targets.transpose(classes_first),
        slopes.transpose(classes_first),
    )
    return slopes


def values_of(name, scores, labels):
    return STACKED_LOSSES[name].values(scores.transpose(1, 0, 2).copy(), labels, scores.max(axis=1))


def test_every_loss_has_its_stacked_form():
    assert STACKED_LOSSES.keys() == LOSSES.keys()


@both_losses
@given(
    rows=st.integers(1, 6),
    classes=st.integers(1, 5),
    slots=st.integers(1, 4),
    size=st.sampled_from([0, 0.1, 3, 40, 1e4]),
)
def test_each_slot_has_the_values_and_gradients_of_the_plain_loss(name, rows, classes, slots, size):
    scores, labels = scores_of(rows, classes, slots, size)
    values, slopes = values_of(name, scores, labels), slopes_of(name, scores, labels)
    for slot in range(slots):
        exact, plain = scores[:, :, slot].astype(np.float64), LOSSES[name]
        np.testing.assert_allclose(
            values[:, slot], plain.values(exact, labels), rtol=1e-5, atol=1e-6
        )
        np.testing.assert_allclose(
            slopes[:, :, slot], plain.gradient(exact, labels), rtol=1e-5, atol=1e-6
        )


@both_losses
@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_a_slot_that_is_not_finite_leaves_the_others_alone(name, broken):
    scores, labels = scores_of(6, 4, 3, 2)
    spoilt = scores.copy()
    spoilt[:, :, 1] = broken
    with np.errstate(invalid="ignore"):
        for function in (values_of, slopes_of):
            expected, found = function(name, scores, labels), function(name, spoilt, labels)
            assert found[..., [0, 2]].tobytes() == expected[..., [0, 2]].tobytes()


@both_losses
def test_float32_stays_float32(name):
    scores, labels = scores_of(6, 4, 3, 2)
    assert values_of(name, scores, labels).dtype == np.float32
    assert slopes_of(name, scores, labels).dtype == np.float32

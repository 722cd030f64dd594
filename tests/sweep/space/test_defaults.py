import pytest

from sweep.config import LOSSES
from sweep.space import BASELINES, DEFAULT_SPACES, NAMES
from sweep_model.hyperparameters import Hyperparameters

# The factor from softmax to bce: the gradient in the scores is a tenth with ten classes.
SCALED = {"l2": 0.1, "learning_rate": 10}


def test_every_loss_has_a_space_and_a_baseline():
    assert set(DEFAULT_SPACES) == set(BASELINES) == set(LOSSES)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_baseline_lies_in_its_space_and_can_be_trained(loss):
    baseline = BASELINES[loss]
    assert DEFAULT_SPACES[loss].clip(baseline) == baseline
    assert Hyperparameters(**baseline).l2 == baseline["l2"]


@pytest.mark.parametrize("name", NAMES)
def test_the_bce_range_is_the_softmax_one_scaled_by_ten(name):
    softmax, bce = (DEFAULT_SPACES[loss].axes[name] for loss in ("softmax", "bce"))
    if name in SCALED:
        factor = SCALED[name]
        assert (bce.low, bce.high) == pytest.approx((factor * softmax.low, factor * softmax.high))
        assert bce.log
        assert softmax.log
    else:
        assert bce == softmax


@pytest.mark.parametrize("name", NAMES)
def test_the_bce_baseline_is_the_softmax_one_scaled_by_ten(name):
    assert BASELINES["bce"][name] == pytest.approx(SCALED.get(name, 1) * BASELINES["softmax"][name])


def test_the_softmax_baseline_is_the_reports_setting():
    assert BASELINES["softmax"] == {
        "l2": 0.1,
        "learning_rate": 0.01,
        "decay_period": 10,
        "batch_size": 50,
        "flip_probability": 0.2,
    }

import numpy as np
import pytest

from sweep_model.losses import LOSSES
from sweep_model.mirror_rows import MirrorRows
from sweep_model.reference import Rows, evaluate
from sweep_model.stacked_evaluation import StackedEvaluation
from sweep_model.stacked_losses import STACKED_LOSSES
from sweep_model.stacked_weights import StackedWeights


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("n", [1, 512, 1_300])
def test_every_slot_is_evaluated_as_the_reference_would(rng, name, n):
    rows = Rows(rng.normal(size=(n, 12)).astype(np.float32), rng.integers(0, 3, n))
    turned, weights = MirrorRows.of(rows, (1, 3, 4)), StackedWeights(12, 3, 2)
    pixels = rng.normal(size=(2, 3, 12)).astype(np.float32)
    for slot in range(2):
        weights.put(slot, turned.basis.turn(pixels[slot]))
    weights.bias[:] = rng.normal(size=(3, 2))
    loss, accuracy = StackedEvaluation(turned, weights, STACKED_LOSSES[name]).run()
    for slot in range(2):
        one = evaluate(pixels[slot], weights.bias[:, slot], rows, l2=0, loss=LOSSES[name])
        assert loss[slot] == pytest.approx(one.loss, rel=1e-5)
        assert accuracy[slot] == pytest.approx(one.accuracy, abs=1 / n if n > 1 else 0)


def test_of_equal_scores_the_first_class_is_predicted():
    rows = Rows(np.ones((4, 2), np.float32), np.array([0, 1, 1, 2]))
    weights = StackedWeights(2, 3, 2)
    weights.bias[1:, 1] = 1
    evaluation = StackedEvaluation(MirrorRows.of(rows, None), weights, STACKED_LOSSES["softmax"])
    assert evaluation.run()[1].tolist() == [0.25, 0.5]

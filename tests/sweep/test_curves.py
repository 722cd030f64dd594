import pytest

from sweep.curves import METRICS, append, best_epoch, new_curves, point
from sweep_model.training import EpochResult, Evaluation


@pytest.fixture
def result():
    return EpochResult(
        epoch=3,
        learning_rate=0.1,
        evaluations={
            "train": Evaluation(loss=1.0, cost=2.0, accuracy=3.0),
            "val": Evaluation(loss=4.0, cost=5.0, accuracy=6.0),
        },
    )


def test_a_point_names_every_metric_of_an_epoch(result):
    assert point(result) == {
        "train/loss": 1.0,
        "train/cost": 2.0,
        "train/accuracy": 3.0,
        "val/loss": 4.0,
        "val/cost": 5.0,
        "val/accuracy": 6.0,
    }
    assert tuple(point(result)) == METRICS


def test_curves_grow_by_one_value_per_epoch(result):
    curves = new_curves()
    assert curves == {metric: [] for metric in METRICS}
    append(curves, point(result))
    append(curves, point(result) | {"val/loss": 3.5})
    assert curves["val/loss"] == [4.0, 3.5]
    assert {len(curve) for curve in curves.values()} == {2}


def test_two_sets_of_curves_share_nothing(result):
    one, other = new_curves(), new_curves()
    append(one, point(result))
    assert other == new_curves()


@pytest.mark.parametrize(
    ("accuracies", "best"),
    [([0.5], (1, 0.5)), ([0.1, 0.3, 0.2], (2, 0.3)), ([0.1, 0.3, 0.3], (2, 0.3))],
)
def test_the_best_epoch_is_the_first_of_the_highest(accuracies, best):
    assert best_epoch(new_curves() | {"val/accuracy": accuracies}) == best

import pickle

import numpy as np
import pytest

from sweep_model.hyperparameters import Hyperparameters
from sweep_model.training import (
    DivergedError,
    EpochResult,
    Evaluation,
    Rows,
    Training,
    check_labels,
    divergence,
)

SETTING = Hyperparameters(
    l2=0.01, learning_rate=0.5, decay_period=2, batch_size=7, flip_probability=0.4
)


def test_rows_that_no_trainer_could_use_are_refused():
    table = np.zeros((2, 3), np.float32)
    for rows, labels, message in (
        (
            table.astype(np.float64),
            np.zeros(2, np.int64),
            r"must be \(n, d\) float32, got \(2, 3\) float64",
        ),
        (np.zeros(2, np.float32), np.zeros(2, np.int64), r"must be \(n, d\) float32"),
        (table, np.zeros(2, np.int32), r"must be \(2,\) int64, .* int32"),
        (table, np.zeros(3, np.int64), r"must be \(2,\) int64, got \(3,\)"),
        (table[:0], np.zeros(0, np.int64), "at least one row"),
        (table[:1], np.array([-1]), "no label below 0"),
    ):
        with pytest.raises(ValueError, match=message):
            Rows(rows, labels)


def test_a_training_of_impossible_numbers_is_refused():
    for change, message in (
        ({"epochs": 0}, "epochs must be 1 or more, got 0"),
        ({"seed": -1}, r"seed must be from 0 to 2\^32 - 1, got -1"),
        ({"number": 2**32}, r"number must be from 0 to 2\^32 - 1, got 4294967296"),
        ({"first_pass": -1}, r"first_pass must be from 0 to 2\^32 - 1, got -1"),
        ({"row_weights": np.ones((2, 1))}, "row_weights must be"),
        ({"row_weights": np.array([1, -1e-9])}, "row_weights must be"),
        ({"row_weights": np.array([1, np.nan])}, "row_weights must be"),
        ({"row_weights": np.array([1, np.inf])}, "row_weights must be"),
    ):
        with pytest.raises(ValueError, match=message):
            Training(**({"hyperparameters": SETTING, "epochs": 3} | change))
    Training(hyperparameters=SETTING, epochs=1, seed=2**32 - 1, row_weights=np.zeros(3))


def test_labels_beyond_the_classes_are_refused_by_the_name_of_their_set():
    check_labels("validation", np.array([0, 2]), 3)
    with pytest.raises(ValueError, match="validation labels must be below classes=2, got 2"):
        check_labels("validation", np.array([0, 2]), 2)


def result(**costs):
    evaluations = {
        name: Evaluation(loss=1.0, cost=cost, accuracy=0.5) for name, cost in costs.items()
    }
    return EpochResult(epoch=4, learning_rate=0.1, evaluations=evaluations)


def test_a_cost_or_a_weight_that_is_not_finite_is_divergence():
    assert divergence(result(train=2.0, validation=1e300), finite=True) is None
    for found, reason in (
        (
            divergence(result(train=2.0, validation=np.inf), finite=True),
            "the validation cost is inf",
        ),
        (divergence(result(train=np.nan, validation=2.0), finite=False), "the train cost is nan"),
        (divergence(result(train=2.0), finite=False), "a weight or bias is not finite"),
        (divergence(result(), finite=False), "a weight or bias is not finite"),
    ):
        assert (found.epoch, found.reason) == (4, reason)
        assert str(found) == f"diverged in epoch 4: {reason}"


def test_a_divergence_travels_between_processes():
    error = pickle.loads(pickle.dumps(DivergedError(4, "why")))  # noqa: S301 - our own bytes
    assert (error.epoch, error.reason, str(error)) == (4, "why", "diverged in epoch 4: why")

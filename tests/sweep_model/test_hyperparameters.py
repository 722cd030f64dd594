import math
from dataclasses import replace

import numpy as np
import pytest

from sweep_model.hyperparameters import Hyperparameters

GOOD = Hyperparameters(
    l2=0.1, learning_rate=0.01, decay_period=10, batch_size=50, flip_probability=0.2
)
NOT_NUMBERS = [math.nan, math.inf, -math.inf, True, "1", None, 1j, 10**400]
RULES = {
    "l2": ("a finite number, 0 or more", [-1e-9, *NOT_NUMBERS]),
    "learning_rate": ("a finite number above 0", [0, 0.0, -0.01, *NOT_NUMBERS]),
    "flip_probability": ("a number from 0 to 1", [-0.1, 1.0001, *NOT_NUMBERS]),
    "decay_factor": ("a number above 0 and up to 1", [0, -0.5, 1.5, *NOT_NUMBERS]),
    "decay_period": ("a whole number, 1 or more", [0, -1, 2.5, 10.0, *NOT_NUMBERS[:-1]]),
    "batch_size": ("a whole number, 1 or more", [0, -50, 0.5, 50.0, *NOT_NUMBERS[:-1]]),
}


def test_a_bad_value_is_refused_with_its_rule_and_itself():
    assert set(RULES) == set(GOOD.__dataclass_fields__)
    for name, (rule, values) in RULES.items():
        for value in values:
            with pytest.raises(ValueError, match="must be") as refusal:
                replace(GOOD, **{name: value})
            assert str(refusal.value) == f"{name} must be {rule}, got {value!r}"


def test_the_ends_of_the_ranges_are_admitted():
    for name, value in (
        ("l2", 0),
        ("flip_probability", 0),
        ("flip_probability", 1),
        ("decay_factor", 1),
        ("decay_period", 1),
        ("batch_size", 1),
        ("learning_rate", 5e-324),
    ):
        assert getattr(replace(GOOD, **{name: value}), name) == value


def test_numpy_numbers_become_plain_ones():
    for number in (np.float64(0.5), np.float32(0.5)):
        assert type(replace(GOOD, l2=number).l2) is float
    assert type(replace(GOOD, batch_size=np.int64(25)).batch_size) is int


def test_the_rate_is_multiplied_by_the_decay_factor_after_each_period():
    halved = [GOOD.rate(epoch) for epoch in (0, 9, 10, 19, 20)]
    assert halved == [0.01, 0.01, 0.005, 0.005, 0.0025]
    tenfold = replace(GOOD, decay_period=1, decay_factor=0.1)
    assert [tenfold.rate(epoch) for epoch in range(3)] == pytest.approx([1e-2, 1e-3, 1e-4])
    assert replace(GOOD, decay_factor=1).rate(10**6) == 0.01

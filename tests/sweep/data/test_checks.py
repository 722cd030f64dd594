from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.data import checks
from sweep.data.checks import finite_features, known_labels, trainable, whole_labels
from sweep.errors import SweepError


@pytest.mark.parametrize("dtype", [np.int16, np.uint32, np.float16, np.float32, np.float64])
def test_numbers_become_float32(dtype):
    features = finite_features(np.array([[1, 2], [3, 4]], dtype), "X")
    assert features.dtype == np.float32
    assert features.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("dtype", [np.uint8, np.bool_])
def test_bytes_and_truths_stay_bytes(dtype):
    features = finite_features(np.array([[1, 0]], dtype), "X")
    assert features.dtype == np.uint8
    assert features.tolist() == [[1, 0]]


def test_bytes_are_not_copied():
    array = np.zeros((2, 2), np.uint8)
    assert finite_features(array, "X") is not None
    assert np.shares_memory(finite_features(array, "X"), array)


def test_nan_and_infinite_features_are_counted(monkeypatch):
    monkeypatch.setattr(checks, "CHUNK", 4)  # so that the counts add up over chunks
    array = np.zeros((3, 4))
    array[0, 1] = array[2, 3] = np.nan
    array[1, 2] = np.inf
    with pytest.raises(SweepError, match="2 of 12 are NaN and 1 infinite; drop or fill"):
        finite_features(array, "X")


def test_a_feature_too_large_for_float32_counts_as_infinite():
    with pytest.raises(SweepError, match="0 of 2 are NaN and 1 infinite"):
        finite_features(np.array([[0.0, 1e39]]), "X")


@pytest.mark.parametrize("dtype", [np.bool_, np.int8, np.uint64, np.float32, np.float64])
def test_whole_numbers_of_any_type_are_labels(dtype):
    labels = whole_labels(np.array([0, 1, 1], dtype), "y")
    assert labels.dtype == np.int64
    assert labels.tolist() == [0, 1, 1]


@pytest.mark.parametrize("wrong", [-1, 0.5, np.nan, np.inf, 2.0**31])
def test_labels_that_are_no_whole_numbers_from_0_are_counted(wrong):
    with pytest.raises(SweepError, match=r"2 of 4 are not, the first in row 1: ") as caught:
        whole_labels(np.array([0, wrong, 1, wrong]), "y")
    assert str(caught.value).endswith(f": {wrong!r}")


@given(st.lists(st.integers(0, 20), min_size=1, max_size=20), st.integers(1, 25))
def test_labels_are_known_exactly_when_all_are_below_the_number_of_classes(values, classes):
    labels = np.array(values)
    if max(values) < classes:
        assert known_labels(labels, classes, "y") is labels
    else:
        with pytest.raises(SweepError, match=f"below the number of classes, {classes}: "):
            known_labels(labels, classes, "y")


def test_one_class_alone_is_refused():
    with pytest.raises(SweepError, match="two classes or more: all 3 rows are of class 1"):
        trainable(np.array([1, 1, 1]), 2, "y")


def test_fewer_rows_than_classes_are_refused():
    with pytest.raises(SweepError, match="a row for each class at least: 3 rows, 1,000 classes"):
        trainable(np.array([0, 1, 999]), 1_000, "y")


def test_two_classes_with_a_row_each_can_be_trained_on():
    trainable(np.array([0, 1]), 2, "y")

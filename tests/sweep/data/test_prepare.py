from __future__ import annotations

import numpy as np
import pytest

from sweep.data.dataset import Dataset
from sweep.data.digits import Digits
from sweep.data.prepare import SAMPLE, prepare
from sweep.data.split import Split, split_rows, stratified_sample
from sweep.errors import SweepError


@pytest.fixture(scope="module")
def digits():
    return Digits().development()


def dataset(rows):
    return Dataset(
        name="tiny",
        rows=rows,
        labels=np.arange(len(rows)) % 2,
        class_names=("no", "yes"),
        image_shape=None,
    )


def test_the_training_rows_are_standardised(digits):
    prepared = prepare(digits, split_rows(Digits(), digits))
    assert prepared.training.rows.shape == (1_137, 64)
    assert prepared.validation.rows.shape == (300, 64)
    deviation = prepared.training.rows.std(axis=0)
    assert np.allclose(prepared.training.rows.mean(axis=0), 0, atol=1e-5)
    assert np.allclose(deviation[deviation > 0], 1, atol=1e-4)


def test_the_validation_rows_have_no_part_in_the_standardisation(digits):
    split = split_rows(Digits(), digits)
    rows = digits.rows.copy()
    rows[split.val] = 255
    changed = Dataset(
        name="digits",
        rows=rows,
        labels=digits.labels,
        class_names=digits.class_names,
        image_shape=digits.image_shape,
    )
    before, after = prepare(digits, split), prepare(changed, split)
    assert np.array_equal(before.training.rows, after.training.rows)
    assert np.array_equal(before.standardiser.mean, after.standardiser.mean)
    assert not np.array_equal(before.validation.rows, after.validation.rows)


def test_labels_go_with_their_rows(digits):
    split = split_rows(Digits(), digits, split_seed=4)
    prepared = prepare(digits, split)
    assert np.array_equal(prepared.training.labels, digits.labels[split.train])
    assert np.array_equal(prepared.validation.labels, digits.labels[split.val])
    assert np.array_equal(
        prepared.validation.rows, prepared.standardiser.apply(digits.rows[split.val])
    )


def test_what_was_prepared_says_from_what(digits):
    split = split_rows(Digits(), digits)
    prepared = prepare(digits, split)
    assert prepared.name == "digits"
    assert prepared.data_digest == digits.digest
    assert prepared.split_digest == split.digest
    assert prepared.class_names == digits.class_names
    assert prepared.image_shape == (1, 8, 8)


def test_scattered_rows_and_rows_side_by_side_come_out_alike():
    tiny = dataset(np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32))
    beside = prepare(tiny, Split(np.arange(4), np.array([4, 5])))
    scattered = prepare(tiny, Split(np.array([0, 2, 3, 5]), np.array([1, 4])))
    for prepared, rows in ((beside, [0, 1, 2, 3]), (scattered, [0, 2, 3, 5])):
        expected = tiny.rows[rows]
        expected = (expected - expected.mean(axis=0)) / expected.std(axis=0)
        assert np.allclose(prepared.training.rows, expected, atol=1e-5)


def test_a_feature_that_cannot_be_standardised_is_named():
    rows = np.array([[0, 0], [1, 1e-39], [2, 0]], np.float32)  # 1 / deviation overflows
    with pytest.raises(
        SweepError, match=r"^tiny: feature 1 cannot .*; rescale or drop the feature"
    ):
        prepare(dataset(rows), Split(np.array([0, 1]), np.array([2])))


def test_a_validation_row_too_far_from_the_training_rows_is_refused():
    rows = np.array([[0], [1e-20], [1e30]], np.float32)
    with pytest.raises(SweepError, match=r"^tiny: overflow .*; rescale or drop the feature"):
        prepare(dataset(rows), Split(np.array([0, 1]), np.array([2])))


@pytest.mark.parametrize(
    ("validation", "classes", "says"),
    [
        ([0, 1, 2], 3, None),
        ([0, 0, 2], 3, "1 of 3 classes ('1'), so"),
        ([0], 9, "8 of 9 classes ('1', '2', '3', '4', '5', ...), so"),
    ],
)
def test_classes_without_validation_rows_are_named(validation, classes, says):
    labels = np.array([*range(classes), *validation])
    tiny = Dataset(
        name="tiny",
        rows=np.arange(2 * len(labels), dtype=np.float32).reshape(-1, 2),
        labels=labels,
        class_names=tuple(str(label) for label in range(classes)),
        image_shape=None,
    )
    split = Split(train=np.arange(classes), val=np.arange(classes, len(labels)))
    told = prepare(tiny, split).unvalidated()
    if says is None:
        assert told is None
    else:
        assert told.startswith(f"tiny has no validation row of {says} nothing will be known of")


def test_a_stratified_sample_of_the_training_rows_comes_first_in_either_basis():
    rng = np.random.default_rng(3)
    labels = np.where(np.arange(13_000) < 12_000, rng.integers(3, size=13_000), 0)
    rows = np.arange(26_000, dtype=np.float32).reshape(-1, 2)
    many = Dataset(
        name="many", rows=rows, labels=labels, class_names=("a", "b", "c"), image_shape=(1, 1, 2)
    )
    split = Split(np.arange(12_500), np.arange(12_500, 13_000))
    pixels, panels = (prepare(many, split, mirrored=mirrored) for mirrored in (False, True))
    assert pixels.sample == panels.sample == SAMPLE == 10_000
    sample, others = stratified_sample(labels[:12_500], SAMPLE)
    expected = pixels.standardiser.apply(rows[np.concatenate([sample, others])])
    assert np.array_equal(pixels.training.rows, expected)
    assert np.array_equal(pixels.training.labels, labels[np.concatenate([sample, others])])
    turned = panels.training.basis.turn_back(panels.training.rows)
    assert np.allclose(turned, expected, atol=1e-5)
    assert np.array_equal(panels.training.labels, pixels.training.labels)


def test_few_training_rows_are_all_in_the_sample_in_their_order(digits):
    split = split_rows(Digits(), digits)
    prepared = prepare(digits, split)
    assert prepared.sample == len(split.train)
    assert np.array_equal(
        prepared.training.rows, prepared.standardiser.apply(digits.rows[split.train])
    )

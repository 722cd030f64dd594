from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.data.dataset import Dataset
from sweep.data.split import split_rows, stratified_sample
from sweep.errors import SweepError


def source(kind, default_val_size=5):
    return SimpleNamespace(split_kind=kind, default_val_size=default_val_size)


def dataset(labels):
    labels = np.array(labels, np.int64)
    return Dataset(
        name="tiny",
        rows=np.zeros((len(labels), 2), np.uint8),
        labels=labels,
        class_names=("zero", "one", "two"),
        image_shape=None,
    )


TINY = dataset([0, 1, 2] * 10)


@given(
    kind=st.sampled_from(["last", "stratified"]),
    val_size=st.integers(3, 27),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=50, deadline=None)
def test_every_row_trains_or_validates_and_none_does_both(kind, val_size, seed):
    split = split_rows(source(kind), TINY, val_size=val_size, split_seed=seed)
    assert len(split.val) == val_size
    assert np.array_equal(np.sort(np.concatenate([split.train, split.val])), np.arange(30))
    for rows in (split.train, split.val):
        assert (np.diff(rows) > 0).all()


def test_the_last_rows_validate_whatever_the_seed():
    for seed in (0, 1):
        split = split_rows(source("last"), TINY, val_size=4, split_seed=seed)
        assert split.val.tolist() == [26, 27, 28, 29]


def test_a_stratified_split_gives_every_class_its_share():
    split = split_rows(source("stratified"), TINY, val_size=9)
    assert np.bincount(TINY.labels[split.val]).tolist() == [3, 3, 3]


def test_another_seed_is_another_stratified_split_with_another_digest():
    splits = [split_rows(source("stratified"), TINY, split_seed=seed) for seed in (1, 1, 2)]
    digests = [split.digest for split in splits]
    assert digests[0] == digests[1] != digests[2]
    assert splits[0].val.tolist() == splits[1].val.tolist() != splits[2].val.tolist()


def test_the_default_number_of_validation_rows_is_the_sources():
    assert len(split_rows(source("last", 7), TINY).val) == 7


@pytest.mark.parametrize(("default", "taken"), [(1, 3), (29, 27)])
def test_a_default_that_rows_and_classes_do_not_allow_gives_way_to_the_nearest(default, taken):
    assert len(split_rows(source("stratified", default), TINY).val) == taken


def test_rows_that_the_data_bring_along_validate():
    split = split_rows(source("given", 6), TINY, val_size=6)
    assert split.val.tolist() == [24, 25, 26, 27, 28, 29]


def test_no_other_number_of_rows_can_be_asked_of_data_that_bring_their_own():
    with pytest.raises(SweepError, match="--val-size 5: tiny brings its own 6 validation rows"):
        split_rows(source("given", 6), TINY, val_size=5)


@pytest.mark.parametrize(
    ("kind", "val_size", "allowed"),
    [
        ("last", 0, "from 1 to 27"),
        ("last", 28, "from 1 to 27"),
        ("stratified", 2, "from 3 to 27"),
        ("stratified", 28, "from 3 to 27"),
        ("stratified", -1, "from 3 to 27"),
    ],
)
def test_a_number_out_of_range_is_refused_with_the_range(kind, val_size, allowed):
    with pytest.raises(SweepError, match=f"--val-size {val_size}: must be {allowed} for the 30"):
        split_rows(source(kind), TINY, val_size=val_size)


def test_a_class_of_one_row_cannot_be_split():
    with pytest.raises(SweepError, match="1 of 3 classes have one, the first is 'two'"):
        split_rows(source("stratified"), dataset([0, 0, 0, 0, 1, 1, 1, 1, 2]), val_size=3)
    assert len(split_rows(source("last"), dataset([0, 0, 0, 1, 2]), val_size=2).val) == 2


@pytest.mark.parametrize("val_size", [None, 1])
def test_too_few_rows_for_the_classes_are_told_as_such_and_not_as_an_empty_range(val_size):
    with pytest.raises(
        SweepError, match="tiny: a class needs two rows to be split: 2 of 3 classes"
    ):
        split_rows(source("stratified", 1), dataset([0, 0, 1, 2]), val_size=val_size)


# A sample of the training rows


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=300).map(np.array),
    st.integers(0, 320),
)
def test_a_sample_has_each_classs_share_and_the_others_are_the_rest(labels, size):
    sample, others = stratified_sample(labels, size)
    assert len(sample) == min(size, len(labels))
    assert np.array_equal(np.sort(np.concatenate([sample, others])), np.arange(len(labels)))
    assert np.array_equal(sample, np.sort(sample))
    assert np.array_equal(others, np.sort(others))
    counts = np.bincount(labels, minlength=5)
    drawn = np.bincount(labels[sample], minlength=5)
    assert (np.abs(drawn - counts * len(sample) / len(labels)) <= 3).all()


def test_a_sample_is_the_same_for_the_same_labels_and_taken_at_even_distances():
    labels = np.repeat([0, 1], [3000, 300])
    sample, _ = stratified_sample(labels, 330)
    assert np.array_equal(sample, stratified_sample(labels.copy(), 330)[0])
    gaps = np.diff(sample[labels[sample] == 0])
    assert gaps.max() <= 2.7 * 10  # three distances at most, by golden sections

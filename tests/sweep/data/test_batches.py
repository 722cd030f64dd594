from __future__ import annotations

import pickle

import numpy as np
import pytest

from sweep.data.batches import PIXELS, read_binary, read_python
from sweep.errors import SweepError

ROWS = np.random.default_rng(3).integers(256, size=(4, PIXELS), dtype=np.uint8)
LABELS = [0, 9, 5, 5]


def binary(labels=LABELS):
    return np.hstack([np.array(labels, np.uint8)[:, None], ROWS]).tobytes()


def test_a_binary_batch_is_a_label_and_its_pixels_over_and_over():
    rows, labels = read_binary(binary(), "batch", 4)
    assert np.array_equal(rows, ROWS)
    assert labels.tolist() == LABELS


def test_a_python_batch_holds_the_same(python2_pickle):
    rows, labels = read_python(python2_pickle(ROWS, LABELS), "batch", 4)
    assert np.array_equal(rows, ROWS)
    assert labels.tolist() == LABELS


@pytest.mark.parametrize("protocol", [3, 4])
@pytest.mark.parametrize("key", [str, str.encode], ids=["text keys", "bytes keys"])
def test_a_python_batch_may_have_been_pickled_again_by_a_newer_numpy(protocol, key):
    content = pickle.dumps({key("data"): ROWS, key("labels"): LABELS}, protocol)
    rows, labels = read_python(content, "batch", 4)
    assert np.array_equal(rows, ROWS)
    assert labels.tolist() == LABELS


def test_a_binary_label_above_9_is_named_with_its_record():
    with pytest.raises(SweepError, match=r"^a.bin: labels must be 0 to 9: record 2 .* has 10$"):
        read_binary(binary([0, 1, 10, 11]), "a.bin", 4)


def test_a_python_label_above_9_is_named_with_its_record(python2_pickle):
    with pytest.raises(SweepError, match=r"^a: labels must be 0 to 9: record 3 .* has 200$"):
        read_python(python2_pickle(ROWS, [0, 1, 2, 200]), "a", 4)


@pytest.mark.parametrize("cut", [-1, 1])
def test_a_binary_batch_of_another_length_is_refused(cut):
    content = binary()[:cut] if cut < 0 else binary() + b"\0"
    with pytest.raises(SweepError, match=r"a.bin: must hold 4 records of 3,073 bytes: got 12,29"):
        read_binary(content, "a.bin", 4)


@pytest.mark.parametrize(
    ("batch", "reason"),
    [
        ({"labels": LABELS}, "it has no 'data'"),
        ({"data": ROWS}, "it has no 'labels'"),
        ({"data": ROWS[:3], "labels": LABELS}, "one uint8 array"),
        ({"data": ROWS.astype(np.int8), "labels": LABELS}, "one uint8 array"),
        ({"data": np.asfortranarray(ROWS), "labels": LABELS}, "one uint8 array"),
        ({"data": ROWS.tobytes(), "labels": LABELS}, "one uint8 array"),
        ({"data": ROWS, "labels": LABELS[:3]}, "its labels must be a list of 4"),
        ({"data": ROWS, "labels": tuple(LABELS)}, "its labels must be a list of 4"),
        ({"data": ROWS, "labels": [0, 1, True, 2]}, "its label of record 2 is no whole number"),
        ({"data": ROWS, "labels": [0, 1, 2, None]}, "its label of record 3 is no whole number"),
        (LABELS, "it holds no dictionary"),
    ],
)
def test_a_pickle_of_something_else_is_no_batch(batch, reason):
    with pytest.raises(SweepError, match=f"^a: is no CIFAR-10 batch: .*{reason}"):
        read_python(pickle.dumps(batch, 4), "a", 4)

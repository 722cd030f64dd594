from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sweep.data.npz import open_npz
from sweep.data.split import split_rows
from sweep.errors import SweepError

RNG = np.random.default_rng(5)
X, Y = RNG.normal(size=(20, 6)), np.arange(20) % 4


@pytest.fixture
def save(tmp_path):
    def save(stem="mine", **changes: Any):
        path = tmp_path / f"{stem}.npz"
        np.savez(path, **{"X": X, "y": Y} | changes)
        return path

    return save


@pytest.fixture
def refusal(save):
    """What is said of a file with these arrays, without the path."""

    def refusal(**changes: Any) -> str:
        path = save(**changes)
        with pytest.raises(SweepError) as caught:
            open_npz(path).development()
        return str(caught.value).removeprefix(f"{path}: ")

    return refusal


def test_features_and_labels_are_all_that_is_needed(save):
    source = open_npz(save())
    dataset = source.development()
    assert np.array_equal(dataset.rows, X.astype(np.float32))
    assert np.array_equal(dataset.labels, Y)
    assert dataset.class_names == ("0", "1", "2", "3")
    assert dataset.image_shape is None
    assert (source.name, source.official, source.has_test) == ("mine", None, False)


def test_bytes_stay_bytes(save):
    dataset = open_npz(save(X=np.full((20, 6), 7, np.uint8))).development()
    assert dataset.rows.dtype == np.uint8


def test_grey_images_have_one_channel(save):
    images = RNG.integers(256, size=(20, 2, 3), dtype=np.uint8)
    dataset = open_npz(save(X=images)).development()
    assert dataset.image_shape == (1, 2, 3)
    assert np.array_equal(dataset.rows, images.reshape(20, 6))


def test_colour_images_are_flattened_channel_by_channel(save):
    images = RNG.integers(256, size=(20, 2, 4, 3), dtype=np.uint8)
    dataset = open_npz(save(X=images)).development()
    assert dataset.image_shape == (3, 2, 4)
    assert np.array_equal(dataset.rows[7].reshape(3, 2, 4)[1], images[7, :, :, 1])


def test_a_fifth_of_the_rows_validates_but_no_more_than_a_thousand(save):
    assert open_npz(save()).default_val_size == 4
    assert open_npz(save(X=np.zeros((9_000, 1)), y=np.zeros(9_000))).default_val_size == 1_000


def test_validation_rows_of_its_own_are_the_validation_rows(save):
    source = open_npz(save(X_val=X[:3] + 1, y_val=Y[:3]))
    dataset = source.development()
    split = split_rows(source, dataset)
    assert np.array_equal(dataset.rows[split.val], (X[:3] + 1).astype(np.float32))
    assert np.array_equal(dataset.rows[split.train], X.astype(np.float32))
    assert dataset.labels[split.val].tolist() == [0, 1, 2]


def test_test_rows_are_sealed(save):
    source = open_npz(save(X_test=X[:2] - 5, y_test=[3, 0]))
    assert source.development().digest == open_npz(save("other")).development().digest
    assert source.has_test
    test = source.test()
    assert np.array_equal(test.rows, (X[:2] - 5).astype(np.float32))
    assert test.labels.tolist() == [3, 0]
    assert test.class_names == source.development().class_names


def test_bad_test_rows_do_not_stop_development(save):
    source = open_npz(save(X_test=np.full((1, 6), np.nan), y_test=[9]))
    assert len(source.development().rows) == 20
    with pytest.raises(SweepError, match="y_test: labels must be below the number of classes, 4"):
        source.test()


def test_there_may_be_no_test_rows(save):
    with pytest.raises(SweepError, match="holds no test rows; add X_test and y_test"):
        open_npz(save()).test()


@pytest.mark.parametrize("dtype", ["U", "S"])
def test_class_names_are_taken_as_text_or_bytes(save, dtype):
    names = np.array(["cat", "dog", "elk", "fox"], dtype)
    assert open_npz(save(class_names=names)).development().class_names == (
        "cat",
        "dog",
        "elk",
        "fox",
    )


def test_a_class_may_have_a_name_and_no_rows(save):
    dataset = open_npz(save(class_names=["a", "b", "c", "d", "e"])).development()
    assert len(dataset.class_names) == 5


@pytest.mark.parametrize(
    ("stem", "name"),
    [("my data (2)", "my-data-2"), ("..", "npz"), ("$x", "x"), ("n" * 200, "n" * 80)],
)
def test_the_name_is_made_of_letters_that_a_path_can_hold(save, stem, name):
    assert open_npz(save(stem)).name == name


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"X": X[:0], "y": Y[:0]}, "X must not be empty: got float64 of shape (0, 6)"),
        ({"X": X[:, :0]}, "X must not be empty: got float64 of shape (20, 0)"),
        (
            {"X": X[:, 0]},
            (
                "X must be numbers of shape (n, d), (n, h, w) or (n, h, w, c): "
                "got float64 of shape (20,)"
            ),
        ),
        (
            {"X": X.astype(complex)},
            (
                "X must be numbers of shape (n, d), (n, h, w) or (n, h, w, c): "
                "got complex128 of shape (20, 6)"
            ),
        ),
        (
            {"X": np.zeros((20, 7, 7, 512), np.uint8)},
            (
                "images (n, h, w, c) have 1 or 3 channels: X is uint8 of shape (20, 7, 7, 512); "
                "features without an image shape are given as (n, d)"
            ),
        ),
        (
            {"y": Y[:19]},
            "y must be 20 labels, one for each row, of shape (20,): got int64 of shape (19,)",
        ),
        (
            {"y": Y[:, None]},
            "y must be 20 labels, one for each row, of shape (20,): got int64 of shape (20, 1)",
        ),
        (
            {"y": Y.astype("U")},
            "y must be 20 labels, one for each row, of shape (20,): got <U21 of shape (20,)",
        ),
        ({"X_val": X[:3]}, "must hold both of X_val and y_val, or neither"),
        ({"y_test": Y[:3]}, "must hold both of X_test and y_test, or neither"),
        (
            {"X_val": X[:3, :5], "y_val": Y[:3]},
            (
                "X_val must have the features and the dtype of X: got float64 of shape (3, 5), "
                "X is float64 of shape (20, 6)"
            ),
        ),
        (
            {"X_test": X[:3].astype(np.uint8), "y_test": Y[:3]},
            (
                "X_test must have the features and the dtype of X: got uint8 of shape (3, 6), "
                "X is float64 of shape (20, 6)"
            ),
        ),
        (
            {"class_names": np.arange(4)},
            "class_names must be a list of strings: got int64 of shape (4,)",
        ),
        (
            {"class_names": ["a", "b", "c"]},
            (
                "y: labels must be below the number of classes, 3: 5 of 20 are not, "
                "the first in row 3: 3"
            ),
        ),
        (
            {"X_val": X[:1], "y_val": [7], "class_names": ["a", "b", "c", "d"]},
            (
                "y_val: labels must be below the number of classes, 4: 1 of 1 are not, "
                "the first in row 0: 7"
            ),
        ),
        (
            {"class_names": ["a", "b", "c", "\x1b[31m"]},
            "class_names must be 1 to 80 printable characters each, all different: got '\\x1b[31m'",
        ),
        (
            {"class_names": ["a", "b", "c", ""]},
            "class_names must be 1 to 80 printable characters each, all different: got ''",
        ),
        (
            {"class_names": ["a", "b", "c", "a"]},
            (
                "class_names must be 1 to 80 printable characters each, all different: "
                "one stands there twice"
            ),
        ),
        (
            {"y": Y - 1},
            "y: labels must be whole numbers from 0: 5 of 20 are not, the first in row 0: -1",
        ),
        (
            {"y": Y / 2},
            "y: labels must be whole numbers from 0: 10 of 20 are not, the first in row 1: 0.5",
        ),
        ({"y": Y * 0}, "y: there must be two classes or more: all 20 rows are of class 0"),
        (
            {"y": Y * 10**8},
            "y: there must be a row for each class at least: 20 rows, 300,000,001 classes",
        ),
        (
            {"X": np.where(X > 1, np.nan, X)},
            (
                f"X: features must be finite float32 numbers: {(X > 1).sum()} of 120 are NaN and "
                "0 infinite; drop or fill those rows"
            ),
        ),
    ],
)
def test_data_that_cannot_be_trained_on_are_refused_with_the_reason(refusal, changes, said):
    assert refusal(**changes) == said


@pytest.mark.parametrize("missing", ["X", "y"])
def test_a_file_without_features_or_labels_is_refused(tmp_path, missing):
    np.savez(tmp_path / "a.npz", **{name: X for name in ("X", "y") if name != missing})
    with pytest.raises(SweepError, match=r"must hold X and y: got [Xy]"):
        open_npz(tmp_path / "a.npz")


def test_a_file_of_nothing_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz")
    with pytest.raises(SweepError, match="must hold X and y: got nothing"):
        open_npz(tmp_path / "a.npz")

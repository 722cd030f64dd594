"""Files that people have: what they are taken for, and the line that mends what cannot be taken."""

from __future__ import annotations

import io
import warnings
import zipfile
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweep.data import open_source, prepare, split_rows
from sweep.data.arrays import finite_features
from sweep.errors import SweepError

RNG = np.random.default_rng(5)
X, Y = RNG.normal(size=(20, 6)), np.arange(20) % 4


def open_npz(path):
    return open_source(str(path))


@pytest.fixture
def save(tmp_path):
    def save(stem="mine", **changes: Any):
        path = tmp_path / f"{stem}.npz"
        arrays = {"X": X, "y": Y} | changes
        np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
        return path

    return save


@pytest.fixture
def refusal(tmp_path):
    """What is said of a file, without its path, in one line that ends in what to do."""

    def refusal(content: bytes | None = None, **changes: Any) -> str:
        path = tmp_path / "mine.npz"
        if content is None:
            arrays = {"X": X, "y": Y} | changes
            np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
        else:
            path.write_bytes(content)
        with pytest.raises(SweepError) as caught:
            open_npz(path).development()
        said = str(caught.value)
        assert said.startswith(f"{path}: ")
        assert "\n" not in said
        assert "; " in said, "there is no next step"
        return said.removeprefix(f"{path}: ")

    return refusal


def classes_of(path):
    """The class names, and each row's class by name."""
    dataset = open_npz(path).development()
    return dataset.class_names, [dataset.class_names[label] for label in dataset.labels]


# Features


def test_features_and_labels_are_all_that_is_needed(save):
    source = open_npz(save())
    dataset = source.development()
    assert np.array_equal(dataset.rows, X)
    assert np.array_equal(dataset.labels, Y)
    assert dataset.class_names == ("0", "1", "2", "3")
    assert dataset.image_shape is None
    assert dataset.notices == ()
    assert (source.name, source.official[0], source.has_test) == ("mine", None, False)


def test_numbers_are_kept_in_a_type_that_holds_all_of_them():
    for given_as, kept_as in (
        (np.uint8, np.uint8),
        (np.bool_, np.uint8),
        (np.int8, np.int8),
        (np.uint16, np.uint16),
        (np.float16, np.float16),
        (">f2", np.float32),
        (">f4", np.float32),
        (np.int32, np.float64),
        (np.int64, np.float64),
        (np.float64, np.float64),
        (np.longdouble, np.float64),
    ):
        features = finite_features(np.array([[1, 0], [0, 1]], given_as), "X")
        assert features.dtype == kept_as
        assert features.tolist() == [[1, 0], [0, 1]]
    array = np.zeros((2, 2), np.uint8)
    assert np.shares_memory(finite_features(array, "X"), array)


def test_rows_and_images_are_known_by_their_shape(save):
    pixels = RNG.integers(256, size=(20, 2, 4, 3), dtype=np.uint8)
    for shape, image_shape in (
        ((20, 24), None),
        ((20, 1, 24), None),
        ((20, 24, 1), None),
        ((20, 1, 1, 24), None),
        ((20, 24, 1, 1), None),
        ((20, 1, 8, 3), None),
        ((20, 4, 6), (1, 4, 6)),
        ((20, 4, 6, 1), (1, 4, 6)),
    ):
        dataset = open_npz(save(X=pixels.reshape(shape))).development()
        assert dataset.image_shape == image_shape
        assert np.array_equal(dataset.rows, pixels.reshape(20, 24))
    dataset = open_npz(save(X=pixels)).development()
    assert dataset.image_shape == (3, 2, 4)
    assert np.array_equal(dataset.rows[7].reshape(3, 2, 4)[1], pixels[7, :, :, 1])


def test_a_third_dimension_is_told_with_what_it_was_taken_for(save):
    (notice,) = open_npz(save(X=X.reshape(20, 2, 3))).development().notices
    assert "20 grey images of 2 x 3; save features as X.reshape(len(X), -1)" in notice
    assert open_npz(save(X=X.reshape(20, 1, 6))).development().notices == ()


def test_channels_that_come_first_or_are_too_many_are_refused_with_the_line_that_mends_it(refusal):
    for shape, mend in (
        ((20, 3, 16, 16), "move them to the end: X=X.transpose(0, 2, 3, 1)"),
        ((20, 1, 16, 16), "move them to the end: X=X.transpose(0, 2, 3, 1)"),
        ((20, 16, 16, 4), "leave out the opacity: X=X[..., :3]"),
        ((20, 7, 7, 512), "save features as X=X.reshape(len(X), -1)"),
        ((20, 2, 2, 2, 2), "save X=X.reshape(len(X), -1)"),
    ):
        assert refusal(X=np.zeros(shape, np.uint8)).endswith(mend)


def test_features_are_standardised_before_they_are_narrowed(save):
    draws = np.random.default_rng(8).normal(size=(40, 3))
    labels = np.arange(40) % 2
    plain, expected = [], None
    for rows in (
        draws,
        draws + 1e9,
        draws - 1e9,
        draws * 1e-30 + 1e-20,
        draws * 1e-200,
        draws * 1e200,
        (draws * 1e6).round().astype(np.int64) + 10**12,
    ):
        source = open_npz(save(X=rows, y=labels))
        dataset = source.development()
        plain.append(prepare(dataset, split_rows(source, dataset)))
        expected = plain[0].training.rows
        np.testing.assert_allclose(plain[-1].training.rows, expected, atol=1e-5)
        np.testing.assert_allclose(plain[-1].validation.rows, plain[0].validation.rows, atol=1e-5)
        assert plain[-1].notices == ()


def test_features_that_do_not_vary_are_counted(save):
    rows = X.copy()
    rows[:, 2:4] = 7
    source = open_npz(save(X=rows))
    dataset = source.development()
    (notice,) = prepare(dataset, split_rows(source, dataset)).notices
    assert notice.startswith("mine: 2 of 6 features are constant in the training rows")


def test_features_that_cease_to_vary_when_they_are_narrowed_are_counted(save):
    rows = np.arange(60).reshape(20, 3)
    rows[:, 1] += 2**62
    (notice,) = open_npz(save(X=rows)).development().notices
    assert ": 1 features of X vary by less than float64 holds" in notice
    assert "subtract their mean" in notice


def test_nan_and_infinite_features_are_counted(monkeypatch):
    monkeypatch.setattr("sweep.data.arrays.CHUNK", 4)  # so that the counts add up over chunks
    array = np.zeros((3, 4))
    array[0, 1] = array[2, 3] = np.nan
    array[1, 2] = np.inf
    with pytest.raises(SweepError, match="2 of 12 are NaN and 1 infinite; drop or fill"):
        finite_features(array, "X")


def test_rows_that_do_not_fit_into_memory_are_refused_before_they_are_read(save, monkeypatch):
    monkeypatch.setattr("sweep.data.dataset.free_memory", lambda: 900)
    monkeypatch.setattr("sweep.data.numpy_files._member", lambda _, name: {"y": Y}[name])
    with pytest.raises(SweepError, match=r"20 rows x 6 features need 0\.0 GB .* save fewer rows"):
        open_npz(save()).development()


# Labels


def test_classes_are_the_distinct_labels_whatever_they_are(save):
    for labels, names in (
        (Y + 1, ("1", "2", "3", "4")),
        (np.array([0, 5, 8, 900])[Y], ("0", "5", "8", "900")),
        (np.where(Y < 2, -1, 1), ("-1", "1")),
        (Y == 3, ("False", "True")),
        (Y.astype(np.float64), ("0", "1", "2", "3")),
        (Y.astype(">i2"), ("0", "1", "2", "3")),
        (Y.astype(np.uint64) + 2**63, tuple(str(2**63 + label) for label in range(4))),
        (np.array(["elk", "cat", "fox", "ä b"])[Y], ("cat", "elk", "fox", "ä b")),
        (np.array([b"elk", b"cat", b"fox", b"dog"])[Y], ("cat", "dog", "elk", "fox")),
    ):
        for shape in ((20,), (20, 1)):
            class_names, rows = classes_of(save(y=labels.reshape(shape)))
            assert class_names == names
            text = (
                labels.astype(str) if labels.dtype.kind != "f" else labels.astype(int).astype(str)
            )
            assert rows == text.tolist()


def test_labels_that_count_from_0_mean_what_they_always_did(save):
    digest = open_npz(save(X=X.astype(np.float32))).development().digest
    assert digest[:16] == "ef1920f33489f159"  # studies record it


def test_several_labels_a_row_are_refused_with_the_line_that_mends_it(refusal):
    for labels, said in (
        (np.eye(4)[Y], "got one-hot float64 of shape (20, 4); save y=y.argmax(axis=1)"),
        (np.eye(4, dtype=bool)[Y], "save y=y.argmax(axis=1)"),
        (np.ones((20, 3)), "3 a row; choose the one to learn, e.g. y=y[:, 0]"),
        (np.eye(4)[Y] * 2, "y=y[:, 0]"),
        (np.full((20, 2), "a"), "y=y[:, 0]"),
    ):
        assert said in refusal(y=labels)


def test_labels_that_are_no_classes_are_refused(refusal):
    for labels, said in (
        (Y / 2, "whole numbers or text: 10 of 20 are not, the first in row 1: 0.5; drop those"),
        (np.where(Y == 1, np.nan, Y), "5 of 20 are not, the first in row 1: nan"),
        (np.where(Y == 1, np.inf, Y), "first in row 1: inf"),
        (Y * 0, "y: there must be two classes or more: all 20 rows are of class 0; add rows"),
        (np.full(20, "a"), "all 20 rows are of class 'a'"),
        (np.array(["a", "", "c", "d"])[Y], "1 to 80 printable characters each: got ''"),
        (np.array(["a", "b\nc", "c", "d"])[Y], r"got 'b\nc'"),
        (np.array(["a", "b" * 81, "c", "d"])[Y], "got 'bbb"),
        (np.full(20, 0x7FFFFFFF, "<u4").view("<U1"), "y must be text"),
        (Y.astype("M8[s]"), "y must be whole numbers or text: got datetime64[s]"),
        (Y[:19], "y must be 20 labels, one for each row, of shape (20,): got int64 of shape (19,)"),
        (
            np.array(list("abcd"), object)[Y],
            "never unpickled; save numbers or text: y=y.astype(str)",
        ),
    ):
        assert said in refusal(y=labels)


def test_class_names_give_the_classes_their_order(save):
    names = ["fox", "elk", "cat", "dog", "emu"]
    for dtype in ("U", "S"):
        class_names, rows = classes_of(save(class_names=np.array(names, dtype)))
        assert (class_names, rows) == (tuple(names), [names[label] for label in Y])
    text = np.array(["cat", "fox", "dog", "elk"])[Y]
    assert classes_of(save(y=text, class_names=names)) == (tuple(names), text.tolist())


def test_class_names_that_do_not_fit_are_refused(refusal):
    for changes, said in (
        ({"class_names": np.arange(4)}, "must be a list of strings: got int64 of shape (4,)"),
        ({"class_names": [["a", "b", "c", "d"]]}, "must be a list of strings"),
        ({"class_names": np.zeros(0, str)}, "must be a list of strings"),
        (
            {"class_names": ["a", "b", "c", "\x1b[31m"]},
            r"characters each, all different: got '\x1b",
        ),
        ({"class_names": ["a", "b", "c", "a"]}, "all different: one stands there twice"),
        (
            {"class_names": ["a", "b", "c"]},
            (
                "y: labels must be 0 to 2, the positions in class_names: 5 of 20 are not, the "
                "first in row 3: 3; drop those rows, or correct class_names, or leave them out"
            ),
        ),
        (
            {"class_names": ["a", "b", "c", "d"], "y": Y + 1},
            "5 of 20 are not, the first in row 3: 4",
        ),
        (
            {"class_names": ["a", "b"], "y": np.array(["a", "b", "c", "a"])[Y]},
            "labels must be in class_names: 5 of 20 are not, the first in row 2: 'c'",
        ),
    ):
        assert said in refusal(**changes)


# Validation and test rows


def test_a_fifth_of_the_rows_validates_but_no_more_than_a_thousand(save):
    assert open_npz(save()).default_val_size == 4
    assert open_npz(save(X=np.zeros((9_000, 1)), y=np.zeros(9_000))).default_val_size == 1_000


def test_validation_rows_of_its_own_are_the_validation_rows(save):
    source = open_npz(save(X_val=X[:3] + 1, y_val=Y[:3]))
    dataset = source.development()
    split = split_rows(source, dataset)
    assert np.array_equal(dataset.rows[split.val], X[:3] + 1)
    assert np.array_equal(dataset.rows[split.train], X)
    assert dataset.labels[split.val].tolist() == [0, 1, 2]


def test_test_rows_are_sealed(save):
    source = open_npz(save(X_test=X[:2] - 5, y_test=[3, 0]))
    assert source.development().digest == open_npz(save("other")).development().digest
    assert source.has_test
    test = source.test()
    assert np.array_equal(test.rows, X[:2] - 5)
    assert test.labels.tolist() == [3, 0]
    assert test.class_names == source.development().class_names
    with pytest.raises(SweepError, match="holds no test rows; add X_test and y_test"):
        open_npz(save("other")).test()


def test_test_rows_of_a_class_that_y_lacks_are_told_before_a_search(save):
    source = open_npz(save(X_test=np.full((2, 6), np.nan), y_test=[9, 1]))
    (notice,) = source.development().notices
    assert "1 of 2 rows of X_test are of classes that y lacks, so `sweep test` will" in notice
    with pytest.raises(
        SweepError, match=r"y_test: labels must be such as y has: 1 of 2 .* row 0: 9"
    ):
        source.test()


def test_parts_that_do_not_match_are_refused(refusal):
    for changes, said in (
        ({"X_val": X[:3]}, "must hold both of X_val and y_val, or neither; add y_val"),
        ({"y_test": Y[:3]}, "must hold both of X_test and y_test, or neither; add X_test"),
        (
            {"X_val": X[:3, :5], "y_val": Y[:3]},
            (
                "X_val must have the features and the dtype of X: got float64 of shape (3, 5), "
                "X is float64 of shape (20, 6); make it as X was made"
            ),
        ),
        ({"X_test": X[:3].astype("f4"), "y_test": Y[:3]}, "X_test must have the features and the"),
        ({"X_val": X[:0], "y_val": Y[:0]}, "X_val must not be empty"),
        ({"X_val": X[:1], "y_val": [7]}, "y_val: labels must be such as y has: 1 of 1 are not"),
        (
            {"X_val": X[:1], "y_val": ["0"]},
            "y, y_val must all be text, or all numbers: got int64, <U1",
        ),
    ):
        assert said in refusal(**changes)


# The file


def test_other_arrays_are_named_and_ignored(save):
    path = save(ids=np.arange(20), names=np.array([{}, None], object))
    (notice,) = open_npz(path).development().notices
    assert ": ignored, as sweep knows no such arrays: ids, names." in notice
    assert open_npz(path).development().digest == open_npz(save("other")).development().digest


def test_what_is_missing_is_said_first(refusal):
    for arrays, said in (
        ({"train_features": X, "train_labels": Y}, "got train_features, train_labels; np.savez("),
        (
            {"arr_0": X, "arr_1": Y},
            "must hold X and y: got arr_0, arr_1; np.savez(file, X=features",
        ),
        ({"X": X}, "must hold X and y: got X"),
        ({"x": X, "y": Y}, "must hold X and y: got x, y"),
        ({}, "must hold X and y: got nothing"),
        ({"\x1b[31m": X}, r"got '\x1b[31m'"),
        (
            {"data": X, "indices": Y, "indptr": Y},
            "SciPy matrix: must hold X and y; np.savez(file, X=m",
        ),
        (
            {"row": Y, "col": Y, "data": X, "format": b"coo", "shape": (20, 6)},
            "SciPy matrix: must hold X and y; np.savez(file, X=m",
        ),
    ):
        assert said in refusal(**{"X": None, "y": None} | arrays)


def test_features_that_are_no_table_of_numbers_are_refused(refusal):
    for features, said in (
        (X[:0], "X must not be empty: got float64 of shape (0, 6)"),
        (X[:, :0], "X must not be empty: got float64 of shape (20, 0)"),
        (X[:, 0], "X must be numbers of shape (n, d), (n, h, w) or (n, h, w, c): got float64 of"),
        (X.astype(complex), "X must be numbers of shape"),
        (X.astype("U"), "X must be numbers of shape"),
        (X.astype("M8[s]"), "X must be numbers of shape"),
        (np.zeros((20, 6), "i4,f4"), "X must be numbers of shape"),
        (X.astype(object), "never unpickled; save numbers or text: X=X.astype(np.float32)"),
        (
            np.where(X > 1, np.nan, X),
            f"{(X > 1).sum()} of 120 are NaN and 0 infinite; drop or fill",
        ),
    ):
        assert said in refusal(X=features)


def test_the_name_is_made_of_letters_that_a_path_can_hold(save):
    for stem, name in (
        ("my data (2)", "my-data-2"),
        ("..", "features"),
        ("$x", "x"),
        ("n" * 200, "n" * 80),
    ):
        assert open_npz(save(stem)).name == name


def test_a_file_may_be_compressed_and_its_arrays_lie_in_any_order(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", X=np.asfortranarray(X.astype(">f4")), y=Y)
    assert np.array_equal(open_npz(tmp_path / "a.npz").development().rows, X.astype(np.float32))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    for name, said in (
        ("none.npz", "there is no such file; check the name"),
        ("", "is a folder without .npy files; name a file"),
    ):
        with pytest.raises(SweepError, match=said):
            open_npz(tmp_path / name)


def zipped(compression=zipfile.ZIP_STORED, **members):
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", compression) as archive:
        warnings.simplefilter("ignore")  # of a name that is there twice
        for name, content in members.items():
            archive.writestr(f"{name.rstrip('_')}.npy", content)
    return file.getvalue()


def npy(shape, descr="'<f8'", payload=b"", version=1):
    """A .npy file with anything for a header."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY" + bytes([version, 0]) + len(text).to_bytes(2, "little") + text + payload


def saved(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


GOOD = saved(X=np.eye(4), y=np.arange(4) % 2)


def test_a_damaged_file_is_refused(refusal):
    for content in (
        *(npy(shape, payload=bytes(24)) for shape in ("(10**30,)", "(-1,)", "(3, -1, -1)", "(4,)")),
        *(npy("(1000000, 1000000)"), npy("'x'"), npy("()", "'nonsense'"), npy("()", version=2)),
        *(npy("__import__('os').getcwd()"), npy("[" * 5_000), npy(" " * 20_000)),
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff{",  # a header of four gigabytes
        *(b"\x93NUMPY\x09\x00", b"\x93NUM", b"no array", b""),
    ):
        assert "is no whole .npz file: " in refusal(zipped(X=content, y=b""))
    for content in (b"", b"PK\3\4", b"\x93NUMPY", b"<html></html>", bytes(100)):
        assert "is no whole .npz file: " in refusal(content)
    single = io.BytesIO()
    np.save(single, X)
    assert "is a .npy file, which holds one array; save X and y tog" in refusal(single.getvalue())
    for length in range(0, len(GOOD), 7):
        assert "is no whole .npz file: " in refusal(GOOD[:length])


def test_a_file_that_numpy_did_not_write_is_refused(refusal):
    for compression in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        said = refusal(zipped(compression, X=b"x", y=b"y"))
        assert "X.npy is packed in a way that NumPy does not write; save it with" in said
    assert "holds X twice" in refusal(zipped(X=b"1", X_=b"2"))
    encrypted = bytearray(zipped(X=b"x", y=b"y"))
    encrypted[encrypted.index(b"PK\1\2") + 8] |= 1  # the flag in the directory
    encrypted[6] |= 1  # and in the member
    assert "is encrypted" in refusal(bytes(encrypted))


@given(positions=st.lists(st.integers(0, len(GOOD) - 1), min_size=1, max_size=4), data=st.data())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_wrong_bytes_give_rows_or_one_clear_error(tmp_path, positions, data):
    content = bytearray(GOOD)
    for position in positions:
        content[position] = data.draw(st.integers(0, 255))
    (tmp_path / "mine.npz").write_bytes(content)
    try:
        assert len(open_npz(tmp_path / "mine.npz").development().rows) == 4
    except SweepError as error:
        assert str(error).startswith(f"{tmp_path / 'mine.npz'}: ")  # noqa: PT017 - not all are refused
        assert "\n" not in str(error)  # noqa: PT017

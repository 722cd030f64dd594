"""Every kind of file: the same rows whatever holds them, and one line where something is wrong."""

import json

import numpy as np
import pandas as pd
import pytest

from sweep.config import DataFiles
from sweep.data import choose_data, open_source, reopen_data, reopen_source
from sweep.errors import SweepError

DRAWS = np.random.default_rng(3)
X = DRAWS.normal(size=(24, 5)).astype(np.float32)
Y = np.arange(24) % 3
X_TEST, Y_TEST = X[:6] + 1, Y[:6]


def safetensors(path, dtypes=None, **arrays):
    """Write the format as its specification has it."""
    header, start = {"__metadata__": {"made": "by hand"}}, 0
    names = {"f": "F", "u": "U", "i": "I"}
    for name, array in arrays.items():
        dtype = (dtypes or {}).get(name, names[array.dtype.kind] + str(8 * array.dtype.itemsize))
        offsets = [start, start := start + array.nbytes]
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": offsets}
    text = json.dumps(header).encode()
    content = b"".join(array.tobytes() for array in arrays.values())
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)


def table(X, y):  # noqa: N803 - as they are called elsewhere
    columns = {f"f{i}": X[:, i] for i in range(X.shape[1])}
    return pd.DataFrame({"kind": y, **columns, "note": "text"})


@pytest.fixture
def kinds(tmp_path, monkeypatch):
    """The same rows in every kind of file, with test rows in files of their own."""
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", X=X, y=Y)
    np.savez("test.npz", X=X_TEST, y=Y_TEST)
    np.savez("foreign.npz", train=X, labels=Y, test=X_TEST, test_labels=Y_TEST)
    for name, array in {"x": X, "y": Y, "xt": X_TEST, "yt": Y_TEST}.items():
        np.save(name, array)
    (tmp_path / "parts").mkdir()
    for i, part in enumerate(np.array_split(X, 11)):
        np.save(f"parts/part-{i}", part)
    (tmp_path / "unpacked").mkdir()
    for name, array in {"X": X, "y": Y, "X_test": X_TEST, "y_test": Y_TEST}.items():
        np.save(f"unpacked/{name}", array)
    safetensors(tmp_path / "a.safetensors", X=X, y=Y, X_test=X_TEST, y_test=Y_TEST)
    table(X, Y).to_parquet("a.parquet")
    table(X_TEST, Y_TEST).to_parquet("test.parquet")
    pd.DataFrame({"kind": Y, "list": list(X), "n": 1}).to_parquet("lists.parquet")
    pd.DataFrame({"kind": Y_TEST, "list": list(X_TEST)}).to_parquet("lists-test.parquet")
    table(X.astype(float), Y).to_csv("a.csv", index=False)
    table(X_TEST.astype(float), Y_TEST).to_csv("test.csv", index=False)
    np.savez("double.npz", X=X.astype(float), y=Y)
    names = {"X": "train", "y": "labels", "X_test": "test", "y_test": "test_labels"}
    test = {"test": "xt.npy", "test_labels": "yt.npy"}
    return [
        DataFiles("a.npz", test="test.npz"),
        DataFiles("foreign.npz", names=names),
        DataFiles("x.npy", labels="y.npy", **test),
        DataFiles("parts", labels="y.npy", **test),
        DataFiles("unpacked"),
        DataFiles("a.safetensors"),
        DataFiles("a.parquet", label="kind", test="test.parquet"),
        DataFiles("lists.parquet", label="kind", test="lists-test.parquet"),
    ]


def test_the_same_rows_have_the_same_digest_in_every_kind_of_file(kinds):
    digests = set()
    for files in kinds:
        source = open_source(files)
        dataset, test = source.development(), source.test()
        assert np.array_equal(dataset.rows, X), files
        assert np.array_equal(test.rows, X_TEST), files
        digests.add((dataset.digest, test.digest))
    assert len(digests) == 1
    csv = open_source(DataFiles("a.csv", label="kind", test="test.csv"))
    assert csv.development().digest == open_source("double.npz").development().digest
    assert np.array_equal(csv.test().rows, X_TEST)


def test_what_is_not_used_is_named(kinds):
    notices = {files.data: open_source(files).development().notices for files in kinds}
    assert notices["x.npy"] == notices["parts"] == ()
    (notice,) = notices["a.parquet"]
    assert notice == "a.parquet: left out, as they are no numbers: note."
    assert notices["lists.parquet"][0].endswith(": n.")


def test_rows_are_found_again_wherever_the_files_are_now(kinds, tmp_path, monkeypatch):
    for files in [*kinds, DataFiles("a.csv", label="kind", test="test.csv")]:
        choice, rows = choose_data(open_source(files), val_size=None, split_seed=0)
        again = reopen_data(choice, reopen_source(choice))
        assert np.array_equal(again.training.rows, rows.training.rows)
        assert reopen_source(choice).has_test
        folder = tmp_path / f"moved-{files.data}"
        folder.mkdir()
        for path in {files.data, files.labels, files.test, files.test_labels} - {None}:
            (tmp_path / path).rename(folder / path)
        with monkeypatch.context() as elsewhere:
            elsewhere.chdir(folder)  # a working folder that was moved along
            reopen_data(choice, reopen_source(choice))
        reopen_data(choice, reopen_source(choice, folder))
        moved = reopen_source(choice, data=str(folder / files.data))
        reopen_data(choice, moved)
        assert moved.has_test
        with pytest.raises(SweepError, match="there is no such file; say with --data-dir"):
            reopen_source(choice)
        for path in folder.iterdir():
            path.rename(tmp_path / path.name)


def test_validation_rows_may_lie_in_a_file_of_their_own(kinds):  # noqa: ARG001 - its files
    for files in (
        DataFiles("a.npz", val="test.npz"),
        DataFiles("x.npy", labels="y.npy", val="xt.npy", val_labels="yt.npy"),
        DataFiles("a.parquet", label="kind", val="test.parquet"),
    ):
        source = open_source(files)
        assert (source.split_kind, source.default_val_size) == ("given", 6)
        assert np.array_equal(source.development().rows, np.concatenate([X, X_TEST]))


def test_brain_floats_are_widened(tmp_path):
    halves = np.arange(48, dtype=np.float32).reshape(24, 2)  # whole numbers of few bits
    brain = (halves.view(np.uint32) >> 16).astype(np.uint16)
    safetensors(tmp_path / "a.safetensors", {"X": "BF16"}, X=brain, y=Y)
    rows = open_source(str(tmp_path / "a.safetensors")).development().rows
    assert rows.dtype == np.float32
    assert np.array_equal(rows, halves)


def test_labels_of_a_table_may_be_text_or_categories(tmp_path):
    text = np.array(["elk", "cat", "fox"])[Y]
    for name, labels in (("text", text), ("categories", pd.Categorical(text))):
        path = tmp_path / f"{name}.parquet"
        table(X, labels).to_parquet(path)
        dataset = open_source(DataFiles(str(path), label="kind")).development()
        assert [dataset.class_names[label] for label in dataset.labels] == text.tolist()


def test_a_file_that_is_wrong_is_refused_in_one_line(kinds, tmp_path):  # noqa: ARG001 - its files
    (tmp_path / "empty").mkdir()
    (tmp_path / "mixed").mkdir()
    np.save("mixed/a-1", X)
    np.save("mixed/b-2", X)
    (tmp_path / "twice").mkdir()
    np.save("twice/a-1", X)
    np.save("twice/a-01", X)
    (tmp_path / "uneven").mkdir()
    np.save("uneven/1", X)
    np.save("uneven/2", X[:, :4])
    np.save("objects", np.array([{}, None], object), allow_pickle=True)
    np.save("nan", np.where(X > 1, np.nan, X))
    for name in ("x.npy", "a.safetensors", "a.parquet"):
        (tmp_path / f"cut-{name}").write_bytes((tmp_path / name).read_bytes()[:-9])
    (tmp_path / "ragged.csv").write_text("kind,a,b\n0,1,2\n1,3\n")
    (tmp_path / "holes.csv").write_text("kind,a,b\n0,1,2\n1,3,\n")
    (tmp_path / "unlabelled.csv").write_text("kind,a,b\n0,1,2\n,3,3\n")
    (tmp_path / "a.pt").write_bytes(b"PK")
    (tmp_path / "a.pkl").write_bytes(b"\x80\x04")
    lists = [row[: 4 + i % 2] for i, row in enumerate(X)]
    pd.DataFrame({"kind": Y, "list": lists}).to_parquet("ragged.parquet")
    pd.DataFrame({"kind": Y, "a": list(X), "b": list(X)}).to_parquet("two.parquet")
    pd.DataFrame({"kind": Y, "a": "x"}).to_parquet("text.parquet")
    table(X[:, ::-1], Y).rename(columns={"f0": "g"}).to_parquet("others.parquet")
    table(X[:0], Y[:0]).to_parquet("rowless.parquet")
    table(X[:0], Y[:0]).to_csv("rowless.csv", index=False)
    np.savez("odd.npz", **{"a\nb": X})
    safetensors(tmp_path / "f8.safetensors", {"X": "F8_E4M3"}, X=X, y=Y)
    for files, said in (
        (DataFiles("x.npy"), "x.npy: holds features alone; --labels FILE.npy names"),
        (DataFiles("x.npy", labels="yt.npy"), "yt.npy: y must be 24 labels, one for each row"),
        (DataFiles("x.npy", label="kind"), "--label names a column of a table"),
        (DataFiles("x.npy", labels="none.npy"), "none.npy: there is no such file"),
        (DataFiles("a.npz", labels="y.npy"), "a.npz: holds labels itself: got --labels y.npy"),
        (DataFiles("a.npz", test="xt.npy"), "xt.npy: holds features alone"),
        (DataFiles("a.npz", test_labels="yt.npy"), "--test-labels goes with --test FILE"),
        (DataFiles("unpacked", test="test.npz"), "holds test rows itself, and --test names"),
        (DataFiles("foreign.npz"), "--map X=labels,y=NAME names others"),
        (DataFiles("odd.npz"), r"--map X='a\nb',y=NAME names others"),
        (DataFiles("foreign.npz", names={"X": "no"}), "--map must name arrays that are there: got"),
        (DataFiles("nan.npy", labels="y.npy"), "are NaN and 0 infinite; drop or fill"),
        (DataFiles("objects.npy", labels="y.npy"), "holds Python objects, which are never unpick"),
        (DataFiles("cut-x.npy", labels="y.npy"), "is no whole .npy file: "),
        (DataFiles("cut-a.safetensors"), "is no whole .safetensors file: y_test is not as long"),
        (DataFiles("f8.safetensors"), "X holds 'F8_E4M3', which NumPy does not have"),
        (DataFiles("cut-a.parquet", label="kind"), "is no whole .parquet table: "),
        (DataFiles("empty"), "is a folder without .npy files; name a file"),
        (DataFiles("mixed", labels="y.npy"), "numbered files must be parts of one array"),
        (DataFiles("twice", labels="y.npy"), "must have a number each: got a-01.npy and a-1.npy"),
        (DataFiles("uneven", labels="y.npy"), "2 must have the features and the dtype of the fir"),
        (DataFiles("a.csv"), "--label must name the column of labels: got no --label; the columns"),
        (DataFiles("a.csv", label="no"), "got --label no; the columns are kind, f0, f1, f2"),
        (DataFiles("ragged.csv", label="kind"), "is no whole .csv table: "),
        (DataFiles("holes.csv", label="kind"), "b: must not be empty: 1 rows are; drop or fill"),
        (DataFiles("unlabelled.csv", label="kind"), "kind: must not be empty: 1 rows are"),
        (
            DataFiles("rowless.parquet", label="kind"),
            "rowless.parquet: a table must have rows: got",
        ),
        (
            DataFiles("rowless.csv", label="kind"),
            "rowless.csv: a table must have rows: got no rows",
        ),
        (DataFiles("ragged.parquet", label="kind"), "list: rows must have as many numbers each"),
        (DataFiles("two.parquet", label="kind"), "got 2 columns of lists beside 'kind'"),
        (DataFiles("text.parquet", label="kind"), "got no column of numbers beside 'kind': a"),
        (
            DataFiles("a.parquet", label="kind", test="others.parquet"),
            "others.parquet: X must have the columns of X in their order: got 'g' where X has 'f0'",
        ),
        (
            DataFiles("a.parquet", label="kind", test="lists-test.parquet"),
            "list must have the columns of X in their order: got 'one column of lists' where X has",
        ),
        (
            DataFiles("lists.parquet", label="kind", test="test.parquet"),
            "test.parquet: X must have the columns of X in their order: got 'f0' where X has 'one",
        ),
        (DataFiles("a.pt"), "np.save('a.npy', torch.load('a.pt', weights_only=True).numpy())"),
        (DataFiles("a.pkl"), "is a pickle, which may hold code and is never opened"),
    ):
        with pytest.raises(SweepError) as caught:
            open_source(files).development()
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)
        assert "; " in str(caught.value), "there is no next step"

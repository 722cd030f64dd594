"""Data that cannot be trained on, through the command that would train on them."""

import io
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

X, Y = np.arange(240.0).reshape(40, 6), np.arange(40) % 4


def header_of(shape, descr="'<f8'"):
    """Return an array file of which there is only the header, and that boasts."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def zipped(members, **options):
    """Return a zip of these members."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", **options) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def saved(**arrays):
    """Return a .npz file with X and y of 40 rows, 6 features and 4 classes, some changed."""
    file = io.BytesIO()
    np.savez(file, **{k: v for k, v in ({"X": X, "y": Y} | arrays).items() if v is not None})
    return file.getvalue()


def with_one(value):
    """Return features of which one is not like the others."""
    features = X.copy()
    features[7, 3] = value
    return features


FILES = {
    "nothing": (b"", "is no whole .npz file: File is not a zip file"),
    "a table in words": (b"a,b,c\n1,2,3\n", "is no whole .npz file: File is not a zip file"),
    "an array alone": (saved()[80:], "is no whole .npz file"),
    "half a file": (saved()[:700], "is no whole .npz file"),
    "a file without its end": (saved()[:-1], "is no whole .npz file"),
    "a file with a wrong byte": (saved().replace(X.tobytes()[800:808], b"\1" * 8), "Bad CRC-32"),
    "an array of another name": (saved(Z=X), "may hold X, y, ", "got 'Z' too"),
    "an array that leaves the folder": (zipped({"../X.npy": b""}), "got '../X' too"),
    "an array that colours": (zipped({"\x1b[31m.npy": b""}), r"got '\x1b[31m' too"),
    "text for an array": (zipped({"X.npy": b"hello", "y.npy": b""}), "is no whole .npz file"),
    "an array of 7 TiB": (
        zipped({"X.npy": header_of("(1000000, 1000000)"), "y.npy": header_of("(40,)")}),
        "X.npy is not as long as its header says",
    ),
    "an array of less than nothing": (
        zipped({"X.npy": header_of("(-1, 6)"), "y.npy": header_of("(40,)")}),
        "X.npy is not as long as its header says",
    ),
    "a type that is a program": (
        zipped({"X.npy": header_of("(1,)", "__import__('os')"), "y.npy": b""}),
        "is no whole .npz file",
    ),
    "Python objects": (
        saved(X=np.full((40, 6), None)),
        "X.npy holds Python objects, which are never unpickled",
    ),
    "labels of Python objects": (saved(y=np.full(40, None)), "y.npy holds Python objects"),
    "records": (saved(X=np.zeros((40, 6), "i4,f4")), "X must be numbers of shape (n, d)"),
    "dates": (saved(X=X.astype("M8[s]")), "X must be numbers", "datetime64[s]"),
    "text": (saved(X=X.astype("U")), "X must be numbers", "<U"),
    "a single number": (saved(X=np.float64(3)), "X must be numbers", "shape ()"),
    "five dimensions": (saved(X=X.reshape(40, 1, 1, 1, 6)), "X must be numbers", "1, 1, 1, 6)"),
    "images of six channels": (saved(X=X.reshape(40, 1, 1, 6)), "1 or 3 channels", "1, 1, 6)"),
    "infinity": (saved(X=with_one(-np.inf)), "0 of 240 are NaN and 1 infinite"),
    "labels as pairs": (saved(y=np.eye(4)[Y]), "y must be 40 labels", "shape (40, 4)"),
    "labels of NaN": (saved(y=np.where(Y == 1, np.nan, Y)), "whole numbers from 0", "nan"),
    "labels of infinity": (saved(y=np.where(Y == 1, np.inf, Y)), "whole numbers from 0", "inf"),
    "labels beyond 2**31": (saved(y=Y.astype("u8") + 2**63), "whole numbers from 0", str(2**63)),
    "a class of one row": (
        saved(y=np.where(np.arange(40) == 0, 4, Y)),
        "a class needs two rows to be split: 1 of 5 classes have one, the first is '4'",
    ),
    "names in a table": (saved(class_names=[["a", "b", "c", "d"]]), "must be a list of strings"),
    "a name of two lines": (saved(class_names=["a", "b\nc", "d", "e"]), r"got 'b\nc'"),
    "an endless name": (saved(class_names=["a" * 500, "b", "c", "d"]), "1 to 80 printable"),
    "names beyond Unicode": (
        saved(class_names=np.full(4, 0x7FFFFFFF, "<u4").view("<U1")),
        "class_names must be text: ",
    ),
    "validation rows of another type": (
        saved(X_val=X[:3].astype("f4"), y_val=Y[:3]),
        "X_val must have the features and the dtype of X: got float32",
    ),
    "no validation rows": (saved(X_val=X[:0], y_val=Y[:0]), "X_val must not be empty"),
    "an encrypted array": (
        zipped({"X.npy": b"1"}).replace(b"PK\1\2\x14\3\x14\0\0\0", b"PK\1\2\x14\3\x14\0\1\0"),
        "is no whole .npz file",
    ),
    "an array packed by bzip2": (
        zipped({"X.npy": b"1", "y.npy": b"1"}, compression=zipfile.ZIP_BZIP2),
        "packed in a way that NumPy does not write",
    ),
    "a zip within a zip": (zipped({"X.npy": saved(), "y.npy": saved()}), "is no whole .npz file"),
}
"""What stands in the file, and what is said; more of them are tested with the data."""


def twice():
    """Return a .npz that holds X and y, and X again."""
    packed = io.BytesIO(saved())
    with zipfile.ZipFile(packed, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("X.npy", b"1")
    return packed.getvalue()


def test_a_file_that_cannot_be_trained_on_is_refused(folder, refused):
    for content, *says in (*FILES.values(), (twice(), "holds an array twice")):
        (folder / "a.npz").write_bytes(content)
        for command in ("run --data a.npz", "train --data a.npz"):
            refused(command, 1, "a", *says)


def test_an_option_that_the_data_do_not_bear_is_refused(folder, refused):
    (folder / "a.npz").write_bytes(saved())
    (folder / "given.npz").write_bytes(saved(X_val=X[:8], y_val=Y[:8]))
    for command, *says in (
        ("run --data a.npz --val-size 39", "--val-size 39: must be from 4 to 36", "40 rows"),
        ("run --data a.npz --val-size 3", "--val-size 3: must be from 4 to 36"),
        ("run --data a.npz --val-size 1000000000000", "--val-size 1000000000000: must be"),
        ("run --data given.npz --val-size 5", "--val-size 5", "its own 8 validation rows"),
        ("run --data digits --val-size 1797", "--val-size 1797: must be from 10 to 1427"),
        ("run --data a.npz --set flip_probability=0.5", "no image shape", "nothing to flip"),
        ("train --data a.npz --flip-probability 0.5", "no image shape", "0.5; leave it out"),
        ("train --data a.npz --test", "holds no test rows; add X_test and y_test"),
    ):
        refused(command, 1, *says)


def test_what_is_no_file_holds_no_data(folder, refused):
    path = folder / "a.npz"
    for make in (
        Path.mkdir,
        os.mkfifo,
        lambda path: path.symlink_to("gone.npz"),
        lambda path: path.symlink_to("a.npz"),
        lambda path: path.symlink_to("/dev/zero"),
    ):
        make(path)
        refused("run --data a.npz", 1, "a.npz: ", "there is no such file")
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()


def test_a_file_that_may_not_be_read_is_named(folder, refused, plain_user):
    (folder / "a.npz").write_bytes(saved())
    (folder / "a.npz").chmod(0)
    with plain_user():
        refused("run --data a.npz", 1, "a.npz: cannot be read: Permission denied")


CIFAR = ("run --data cifar10 --data-dir c", "data info cifar10 --data-dir c")


@pytest.fixture
def cifar(folder, monkeypatch):
    """Make CIFAR-10 of three records a file in the folder `c`, and have it taken for whole."""
    from functools import partial

    from sweep.data.cifar10 import find_cifar10

    monkeypatch.setattr("sweep.data.opening.find_cifar10", partial(find_cifar10, records=3))
    place = folder / "c"
    place.mkdir()
    record = bytes([3]) + bytes(3072)
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        (place / f"{name}.bin").write_bytes(3 * record)
    return place


def shorten(place):
    path = place / "data_batch_2.bin"
    path.write_bytes(path.read_bytes()[:-1])


def mislabel(place):
    path = place / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:-3073] + bytes([10]) + bytes(3072))


def as_python(content):
    """Return a change that leaves one Python batch of that content, and padding beside it."""

    def change(place):
        for path in place.iterdir():
            (place / path.stem).write_bytes(content.ljust(3 * 3072, b"."))
            path.unlink()

    return change


def as_archive(content):
    def change(place):
        shutil.rmtree(place)
        place.mkdir()
        (place / "cifar-10-binary.tar.gz").write_bytes(content)

    return change


BROKEN = (
    (lambda place: (place / "data_batch_4.bin").unlink(), "data_batch_4.bin: is missing; put it "),
    (shorten, "data_batch_2.bin: must have 9,219 bytes: got 9,218"),
    (mislabel, "data_batch_3.bin: labels must be 0 to 9: record 2", "has 10"),
    (
        as_python(b"cos\nsystem\n(S'touch pwned'\ntR."),
        "data_batch_1: is no CIFAR-10 batch: it cannot be unpickled",
    ),
    (
        as_python(b"\x80\x02cos\nsystem\n."),
        "data_batch_1: is no CIFAR-10 batch: it cannot be unpickled: it asks for 'os.system'",
    ),
    (as_python(b"\x80\x02}."), "data_batch_1: is no CIFAR-10 batch: it has"),
    (as_archive(b"hello"), "is no whole .tar.gz archive"),
    (as_archive(b""), "cifar-10-binary.tar.gz: "),
    (as_archive(b"<html>Sign in to this network</html>"), "is no whole .tar.gz archive"),
)


def test_broken_cifar10_is_refused_with_the_file(cifar, refused, tmp_path):
    whole = shutil.copytree(cifar, tmp_path / "whole")
    for change, *says in BROKEN:
        change(cifar)
        for command in CIFAR:
            refused(command, 1, *says)
        assert not Path("pwned").exists()
        shutil.rmtree(cifar)
        shutil.copytree(whole, cifar)


def test_a_data_folder_that_holds_no_data_is_named(folder, refused):
    (folder / "a.npz").write_bytes(saved())
    for command, code, says in (
        ("run --data cifar10 --data-dir none", 1, "none: holds no CIFAR-10; `sweep data download"),
        ("run --data cifar10 --data-dir a.npz", 2, "Directory 'a.npz' is a file"),
        ("data info cifar100", 1, "--data must be auto, cifar10, digits or a FILE.npz"),
        ("data download --data-dir a.npz", 2, "Directory 'a.npz' is a file"),
        (f"run --data cifar10 --data-dir {'d' * 300}", 1, "cannot be read: File name too long"),
    ):
        refused(command, code, says)


def test_a_data_folder_that_may_not_be_looked_into_is_named(cifar, refused, plain_user):
    cifar.chmod(0)
    try:
        with plain_user():
            refused(CIFAR[0], 1, "c", "cannot be read: Permission denied")
    finally:
        cifar.chmod(0o700)

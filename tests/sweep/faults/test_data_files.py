"""Data that cannot be trained on, through the command that would train on them."""

import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

X, Y = np.arange(240.0).reshape(40, 6), np.arange(40) % 4


def saved(**arrays):
    """Return a .npz file with X and y of 40 rows, 6 features and 4 classes, some changed."""
    file = io.BytesIO()
    np.savez(file, **{k: v for k, v in ({"X": X, "y": Y} | arrays).items() if v is not None})
    return file.getvalue()


FILES = {
    "nothing": (b"", "is no whole .npz file: File is not a zip file"),
    "half a file": (saved()[:700], "is no whole .npz file"),
    "a file with a wrong byte": (saved().replace(X.tobytes()[800:808], b"\1" * 8), "Bad CRC-32"),
    "arrays of other names": (saved(X=None, y=None, Z=X), "must hold X and y: got Z; np.savez("),
    "a name that colours": (saved(X=None, **{"\x1b[31m": X}), r"got '\x1b[31m', y"),
    "Python objects": (saved(X=np.full((40, 6), None)), "never unpickled; save numbers or text"),
    "text": (saved(X=X.astype("U")), "X must be numbers", "<U"),
    "channels first": (saved(X=np.zeros((40, 3, 8, 8))), "X=X.transpose(0, 2, 3, 1)"),
    "one-hot labels": (saved(y=np.eye(4)[Y]), "y=y.argmax(axis=1)"),
    "labels of NaN": (saved(y=np.where(Y == 1, np.nan, Y)), "whole numbers or text", "nan"),
    "a class of one row": (
        saved(y=np.where(np.arange(40) == 0, 4, Y)),
        "a class needs two rows to be split: 1 of 5 classes have one, the first is '4'",
    ),
    "a name of two lines": (saved(class_names=["a", "b\nc", "d", "e"]), r"got 'b\nc'"),
    "no validation rows": (saved(X_val=X[:0], y_val=Y[:0]), "X_val must not be empty"),
}
"""What stands in the file, and what is said; more of them are tested with the data."""


def test_a_file_that_cannot_be_trained_on_is_refused(folder, refused):
    for content, *says in FILES.values():
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
        said = "is a folder; name an .npz file" if path.is_dir() else "there is no such file"
        refused("run --data a.npz", 1, "a.npz: ", said)
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
    monkeypatch.setattr("sweep.data.cifar10.RECORDS", 3)
    place = folder / "c"
    place.mkdir()
    record = bytes([3]) + bytes(3072)
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        (place / f"{name}.bin").write_bytes(3 * record)
    return place


def as_archive(content):
    def change(place):
        shutil.rmtree(place)
        place.mkdir()
        (place / "cifar-10-binary.tar.gz").write_bytes(content)

    return change


def as_command(place):
    """Leave one Python batch that is a command, and padding beside it."""
    for path in place.iterdir():
        (place / path.stem).write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.".ljust(3 * 3072, b"."))
        path.unlink()


BROKEN = (
    (lambda place: (place / "data_batch_4.bin").unlink(), "data_batch_4.bin: is missing; fetch it"),
    (as_command, "data_batch_1: is no CIFAR-10 batch: it cannot be unpickled"),
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
        (
            "run --data cifar10 --data-dir none",
            1,
            "none: holds no CIFAR-10: there is no such folder; `sweep data",
        ),
        ("run --data cifar10 --data-dir a.npz", 2, "Directory 'a.npz' is a file"),
        ("data info cifar100", 1, "data must be auto, cifar10, digits or a FILE.npz"),
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

"""Data that cannot be trained on, through the command that would train on them."""

import io
import os
from pathlib import Path

import numpy as np

X, Y = np.arange(240.0).reshape(40, 6), np.arange(40) % 4


def saved(**arrays):
    """Return a .npz file with X and y of 40 rows, 6 features and 4 classes, some changed."""
    file = io.BytesIO()
    np.savez(file, **{k: v for k, v in ({"X": X, "y": Y} | arrays).items() if v is not None})
    return file.getvalue()


FILES = {
    "a file with a wrong byte": (saved().replace(X.tobytes()[800:808], b"\1" * 8), "Bad CRC-32"),
    "a name that colours": (saved(X=None, **{"\x1b[31m": X}), r"got '\x1b[31m', y"),
    "classes of one row each": (
        saved(y=np.arange(40)),
        "no class has two rows, one to train on and one to validate: got 40 rows; add rows",
    ),
}
"""What stands in the file, and what is said; all of them are tested with the data."""


def test_a_file_that_cannot_be_trained_on_is_refused(folder, refused):
    for content, *says in FILES.values():
        (folder / "a.npz").write_bytes(content)
        for command in ("run --data a.npz", "train --data a.npz"):
            refused(command, 1, "a", *says)


def test_an_option_that_the_data_do_not_bear_is_refused(folder, refused):
    (folder / "a.npz").write_bytes(saved())
    for command, *says in (
        ("run --data a.npz --val-size 39", "--val-size 39: must be from 4 to 36", "40 rows"),
        ("data info digits --val-size 1797", "--val-size 1797: must be from 10 to 1427"),
        ("run --data a.npz --set flip_probability=0.5", "no image shape", "nothing to flip"),
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
        said = "is a folder without .npy files" if path.is_dir() else "there is no such file"
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


def test_a_data_folder_that_holds_no_data_is_named(folder, refused):
    (folder / "a.npz").write_bytes(saved())
    for command, code, says in (
        (
            "run --data cifar10 --data-dir none",
            1,
            "none: holds no CIFAR-10: there is no such folder; `sweep data",
        ),
        ("run --data cifar10 --data-dir a.npz", 2, "Directory 'a.npz' is a file"),
        ("data info cifar100", 1, "data must be auto, cifar10, digits or a file"),
        ("data download --data-dir a.npz", 2, "Directory 'a.npz' is a file"),
        (f"run --data cifar10 --data-dir {'d' * 300}", 1, "cannot be read: File name too long"),
    ):
        refused(command, code, says)


def test_a_data_folder_that_may_not_be_looked_into_is_named(folder, refused, plain_user):
    (folder / "c").mkdir(mode=0)
    with plain_user():
        refused("run --data cifar10 --data-dir c", 1, "c", "cannot be read: Permission denied")
    (folder / "c").chmod(0o700)

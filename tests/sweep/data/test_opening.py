from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from sweep.data import opening
from sweep.data.cifar10 import Cifar10, find_cifar10
from sweep.data.digits import Digits
from sweep.data.layouts import BINARY
from sweep.data.npz import Npz
from sweep.data.opening import auto_notice, cache_folder, open_source
from sweep.errors import SweepError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(opening, "find_cifar10", partial(find_cifar10, records=3))
    folder = cache_folder()
    folder.mkdir(parents=True)
    return folder


def test_digits_are_always_there():
    assert open_source("digits") == Digits()


def test_auto_is_digits_where_there_is_no_cifar10(tmp_path):
    assert open_source("auto") == open_source("auto", tmp_path) == Digits()


def test_auto_is_cifar10_where_the_given_folder_holds_it(binary_folder):
    assert open_source("auto", binary_folder.parent) == Cifar10(binary_folder, BINARY, 3)


def test_auto_is_cifar10_where_it_was_downloaded(cache, binary_folder, pack, tmp_path):
    archive = pack(binary_folder, cache / BINARY.archive.file_name)
    assert open_source("auto") == open_source("auto", tmp_path) == Cifar10(archive, BINARY, 3)


def test_the_given_folder_goes_before_the_cache(cache, binary_folder, pack):
    pack(binary_folder, cache / BINARY.archive.file_name)
    assert open_source("auto", binary_folder) == Cifar10(binary_folder, BINARY, 3)


def test_cifar10_is_taken_from_nowhere_but_the_given_folder(cache, binary_folder, pack, tmp_path):
    pack(binary_folder, cache / BINARY.archive.file_name)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SweepError, match=r"empty: holds no CIFAR-10; `sweep data download --data"):
        open_source("cifar10", tmp_path / "empty")


def test_cifar10_that_was_never_downloaded_is_refused_with_the_way_to_get_it(cache):
    with pytest.raises(SweepError) as caught:
        open_source("cifar10")
    assert str(caught.value) == (
        f"{cache}: holds no CIFAR-10; `sweep data download` fetches it (170 MB), "
        "--data-dir says where you have it"
    )


def test_a_file_that_ends_in_npz_is_opened_as_one(tmp_path):
    np.savez(tmp_path / "mine.NPZ.npz", X=np.eye(4), y=[0, 1, 0, 1])
    (tmp_path / "mine.NPZ.npz").rename(tmp_path / "mine.NPZ")
    assert isinstance(open_source(str(tmp_path / "mine.NPZ")), Npz)


@pytest.mark.parametrize("data", ["", "mnist", "CIFAR10", "mine.npy"])
def test_anything_else_is_refused_with_what_there_is(data):
    with pytest.raises(SweepError, match=f"auto, cifar10, digits or a FILE.npz: got '{data}'"):
        open_source(data)


def test_the_notice_says_what_was_taken_and_how_to_get_the_other(binary_folder):
    assert auto_notice(Digits()) == (
        "Data: digits (1,797 images of 8 x 8), as no CIFAR-10 was found; `sweep data download` "
        "fetches it (170 MB), --data-dir says where you have it."
    )
    assert auto_notice(open_source("auto", binary_folder)) == (
        f"Data: CIFAR-10 from {binary_folder} (binary layout); "
        "--data digits takes the small embedded set."
    )

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from click.testing import CliRunner

from sweep.cli import main
from sweep.data import cache_folder, download, opening
from sweep.data.cifar10 import find_cifar10
from sweep.data.layouts import BINARY, DEVELOPMENT, TEST

DIGITS_INFO = """\
name         digits
location     comes with scikit-learn
official     not known: no check sums are published
rows         1,137 training, 300 validation, 360 test
features     64 uint8
image        1 x 8 x 8
classes      10: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
data digest  5f66e9008e6e0af8b6e0ae3250d0c4741fe3766532b83c13e7cad82159a4fc88
split digest dbbd3f73e9879aea0f524cab8a6904d9274c5d29b18d7d2fa537bee98969ab94
test digest  0549294235797911f2c94b3aaadc4497d89ed503d9edfd55bc69583fad50f5b6
"""


@pytest.fixture(autouse=True)
def away(tmp_path, monkeypatch):
    """No CIFAR-10 but the one of the test, in files of 300 records."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SWEEP_DATA_DIR", raising=False)
    monkeypatch.setattr(opening, "find_cifar10", partial(find_cifar10, records=300))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def cifar10(tmp_path):
    folder = tmp_path / BINARY.folder
    folder.mkdir()
    for batch in DEVELOPMENT + TEST:
        records = np.zeros((300, 3_073), np.uint8)
        records[:, 0] = np.arange(300) % 10
        records.tofile(folder / f"{batch}.bin")
    return folder


@pytest.fixture
def npz(tmp_path):
    np.savez(tmp_path / "mine.npz", X=np.eye(4), y=[0, 1, 0, 1], class_names=["no", "yes"])
    return "mine.npz"


def sweep(*arguments):
    return CliRunner().invoke(main, ["data", *arguments])


def test_info_shows_the_digits_where_there_is_no_cifar10():
    result = sweep("info")
    assert result.stdout == DIGITS_INFO
    assert result.stderr == (
        "Data: digits (1,797 images of 8 x 8), as no CIFAR-10 was found; `sweep data download` "
        "fetches it (170 MB), --data-dir says where you have it.\n"
    )
    assert result.exit_code == 0


def test_info_of_named_data_has_nothing_to_notify():
    assert sweep("info", "digits").output == DIGITS_INFO


@pytest.mark.parametrize("way", ["option", "variable"])
def test_info_shows_the_cifar10_that_it_is_pointed_to(cifar10, monkeypatch, way):
    if way == "variable":
        monkeypatch.setenv("SWEEP_DATA_DIR", str(cifar10))
    result = sweep("info", *(["--data-dir", str(cifar10)] if way == "option" else []))
    assert result.stderr.startswith(f"Data: CIFAR-10 from {cifar10} (binary layout); --data ")
    assert result.stdout.splitlines()[:7] == [
        "name         cifar10",
        f"location     {cifar10} (binary layout)",
        "official     no: the MD5 of data_batch_1.bin is not the published one",
        "rows         500 training, 1,000 validation, 300 test",
        "features     3,072 uint8",
        "image        3 x 32 x 32",
        "classes      10: airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck",
    ]


def test_json_has_the_same_facts_under_stable_keys(npz):
    result = sweep("info", npz, "--json", "--val-size", "2")
    facts = json.loads(result.stdout)
    digests = facts.pop("digests")
    assert facts == {
        "name": "mine",
        "location": "mine.npz",
        "official": None,
        "official_note": "your own file",
        "rows": {"training": 2, "validation": 2, "test": 0},
        "features": 4,
        "dtype": "float32",
        "image_shape": None,
        "class_names": ["no", "yes"],
    }
    assert list(digests) == ["data", "split", "test"]
    assert digests["test"] is None
    assert result.stderr == ""


def test_rows_that_are_no_images_are_said_to_have_nothing_to_flip_or_draw(npz):
    output = sweep("info", npz, "--val-size", "2").stdout
    assert "image        none: nothing to flip or draw\n" in output
    assert "test digest  none: there are no test rows\n" in output


def test_another_split_has_another_split_digest_and_the_same_data_digest():
    first, second = (
        json.loads(sweep("info", "digits", "--json", "--split-seed", seed).stdout)["digests"]
        for seed in ("0", "1")
    )
    assert first.pop("split") != second.pop("split")
    assert first == second


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.npz"], "none.npz: there is no such file"),
        (["mnist"], "--data must be auto, cifar10, digits or a FILE.npz: got 'mnist'"),
        (
            ["digits", "--val-size", "9"],
            "--val-size 9: must be from 10 to 1427 for the 1,437 rows and 10 classes of digits",
        ),
        (
            ["cifar10", "--data-dir", "here"],
            (
                "here: holds no CIFAR-10; `sweep data download --data-dir here` fetches it "
                "(170 MB), --data-dir says where you have it"
            ),
        ),
    ],
)
def test_what_the_user_can_put_right_takes_one_line(arguments, said):
    result = sweep("info", *arguments)
    assert result.stderr == f"sweep: error: {said}\n"
    assert result.stdout == ""
    assert result.exit_code == 1


@pytest.mark.parametrize(
    "arguments", [["--val-size", "0"], ["--split-seed", "-1"], ["--split-seed", str(2**32)]]
)
def test_a_number_outside_its_range_is_a_matter_of_usage(arguments):
    assert sweep("info", "digits", *arguments).exit_code == 2


@pytest.fixture
def fetched(monkeypatch):
    """Downloads as they would have been made."""
    fetched = []

    def fetch(archive, folder):
        fetched.append((archive.url, folder))
        return folder / archive.file_name

    monkeypatch.setattr(download, "fetch", fetch)
    return fetched


def test_download_fetches_the_binary_archive_into_the_cache(fetched):
    result = sweep("download")
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
    assert fetched == [(url, cache_folder())]
    assert result.stderr == f"Fetching {url} (170,052,171 bytes).\n"
    assert result.stdout == (
        f"{cache_folder() / 'cifar-10-binary.tar.gz'} fetched; it has the published SHA-256.\n"
    )
    assert result.exit_code == 0


def test_download_takes_the_other_layout_and_another_folder(fetched, tmp_path):
    sweep("download", "--layout", "python", "--data-dir", str(tmp_path))
    assert fetched == [("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz", tmp_path)]


def test_download_says_when_there_is_nothing_to_do(fetched, monkeypatch):
    monkeypatch.setattr(download, "has_hash", lambda *_: True)
    cache_folder().mkdir(parents=True)
    archive = cache_folder() / "cifar-10-binary.tar.gz"
    archive.write_bytes(b"as published")
    result = sweep("download")
    assert result.output == f"{archive} is there already and has the published SHA-256.\n"
    assert fetched == []


def test_download_refuses_to_replace_another_file(fetched, tmp_path):
    archive = tmp_path / "cifar-10-binary.tar.gz"
    archive.write_bytes(b"mine")
    result = sweep("download", "--data-dir", str(tmp_path))
    assert result.stderr == (
        f"sweep: error: {archive}: is there already but is not the published file; move it away "
        "to download, or use it as it is with --data-dir\n"
    )
    assert result.exit_code == 1
    assert archive.read_bytes() == b"mine"
    assert fetched == []


@pytest.mark.slow
def test_nothing_heavy_is_imported_before_it_is_needed():
    heavy = ("numpy", "pooch", "sklearn", "requests", "tqdm", "rich")
    program = f"import sys, sweep.cli.data; print([m for m in {heavy} if m in sys.modules])"
    output = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert output.stdout == b"[]\n"

import json
import subprocess
import sys

import numpy as np
import pytest

from sweep.data import LAYOUTS, cache_folder, cifar10
from sweep.data.cifar10 import DEVELOPMENT, TEST


@pytest.fixture(autouse=True)
def away(tmp_path, monkeypatch):
    """No CIFAR-10 but the one of the test, in files of 300 records."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("sweep.data.cifar10.RECORDS", 300)
    monkeypatch.chdir(tmp_path)


def test_info_shows_the_digits_where_there_is_no_cifar10(invoke, golden):
    result = invoke("data", "info")
    assert result.exit_code == 0
    golden("data-info", result.stdout)
    assert result.stderr == (
        "Data: digits (1,797 images of 8 x 8), as no CIFAR-10 was found; `sweep data download` "
        "fetches it (170 MB), --data-dir says where you have it.\n"
    )
    assert invoke("data", "info", "digits").output == result.stdout  # nothing to notify


def test_info_shows_the_cifar10_that_it_is_pointed_to(invoke, tmp_path, monkeypatch):
    folder = tmp_path / LAYOUTS["binary"].folder
    folder.mkdir()
    for batch in DEVELOPMENT + TEST:
        records = np.zeros((300, 3_073), np.uint8)
        records[:, 0] = np.arange(300) % 10
        records.tofile(folder / f"{batch}.bin")
    by_option = invoke("data", "info", "--data-dir", folder)
    monkeypatch.setenv("SWEEP_DATA_DIR", str(folder))
    for result in (by_option, invoke("data", "info")):
        assert result.stderr.startswith(f"Data: CIFAR-10 from {folder} (binary layout); --data ")
        assert result.stdout.splitlines()[:5] == [
            "name         cifar10",
            f"location     {folder} (binary layout)",
            "taken for    CIFAR-10 in the binary layout",
            "official     no: the MD5 of data_batch_1.bin is not the published one",
            "rows         500 training, 1,000 validation, 300 test",
        ]


def test_json_has_the_same_facts_under_stable_keys(invoke):
    np.savez("mine.npz", X=np.eye(4), y=[0, 1, 0, 1], class_names=["no", "yes"])
    result = invoke("data", "info", "mine.npz", "--json", "--val-size", "2")
    facts = json.loads(result.stdout)
    digests = facts.pop("digests")
    assert facts == {
        "name": "mine",
        "location": "mine.npz",
        "kind": "arrays in an .npz file",
        "official": None,
        "official_note": "your own file",
        "rows": {"training": 2, "validation": 2, "test": 0},
        "folds": 0,
        "features": 4,
        "dtype": "float64",
        "image_shape": None,
        "constant_features": 2,
        "class_names": ["no", "yes"],
        "class_rows": [2, 2],
        "test_error": None,
    }
    assert list(digests) == ["data", "split", "test"]
    assert (digests["test"], result.stderr) == (None, "")
    shown = invoke("data", "info", "mine.npz").stdout
    assert "rows         4 in 2 folds, 0 test\n" in shown
    shown = invoke("data", "info", "mine.npz", "--val-size", "2").stdout
    assert "image        none: nothing to flip or draw\n" in shown
    assert "test digest  none: there are no test rows\n" in shown
    first, second = (
        json.loads(invoke("data", "info", "digits", "--json", "--split-seed", seed).stdout)[
            "digests"
        ]
        for seed in ("0", "1")
    )
    assert first.pop("split") != second.pop("split")
    assert first == second


def test_test_rows_of_an_unknown_class_are_told_with_what_the_file_holds(invoke):
    rows, labels = np.eye(30), np.arange(30) % 3
    np.savez("late.npz", X=rows, y=labels, X_test=rows, y_test=labels + 1)
    result = invoke("data", "info", "late.npz")
    assert result.exit_code == 0
    assert "rows         30 in 5 folds, unusable test rows\n" in result.stdout
    assert "test digest  none: late.npz: y_test: labels must be such as y has" in result.stdout


def test_info_takes_what_goes_with_a_file(invoke):
    np.save("x.npy", np.eye(30))
    np.save("y.npy", np.arange(30) % 3)
    shown = invoke("data", "info", "x.npy", "--labels", "y.npy", "--val-size", 6).stdout
    assert "taken for    an array in an .npy file\n" in shown
    assert "features     30 float64, 6 of them constant in the training rows\n" in shown
    assert "classes      3: 0 (10), 1 (10), 2 (10)\n" in shown
    for command, said in (
        (("data", "info", "digits", "--labels", "y.npy"), "--labels goes with a file of features"),
        (("run", "--map", "X=a"), "--map goes with a file of features: name it with --data"),
        (("train", "--test", "y.npy"), "--test goes with a file of features"),
        (("run", "--data", "x.npy", "--map", "a=b"), "write e.g. X=features,y=labels"),
        (("run", "--data", "x.npy", "--map", "X=a,X=b,y=c"), "give each array one name: got 'X=a"),
    ):
        refused = invoke(*command)
        assert refused.exit_code == 2
        assert said in refused.stderr


def test_download_fetches_an_archive_once_and_replaces_nothing(invoke, monkeypatch, tmp_path):
    fetched = []

    def fetch(layout, folder):
        fetched.append((layout.url, folder))
        return folder / layout.archive

    monkeypatch.setattr("sweep.data.fetch", fetch)
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-{}.tar.gz"
    result = invoke("data", "download")
    assert result.stderr == f"Fetching {url.format('binary')} (170,052,171 bytes).\n"
    archive = cache_folder() / "cifar-10-binary.tar.gz"
    assert result.stdout == f"{archive} fetched; it has the published SHA-256.\n"
    invoke("data", "download", "--layout", "python", "--data-dir", tmp_path)
    wanted = [(url.format("binary"), cache_folder()), (url.format("python"), tmp_path)]
    assert fetched == wanted

    archive.parent.mkdir(parents=True)
    archive.write_bytes(b"mine")
    refused = invoke("data", "download")
    assert refused.exit_code == 1
    assert f"{archive}: is there already but is not the published file; move it" in refused.stderr
    monkeypatch.setattr(cifar10, "has_hash", lambda *_: True)
    there = invoke("data", "download")
    assert there.output == f"{archive} is there already and has the published SHA-256.\n"
    assert (fetched, archive.read_bytes()) == (wanted, b"mine")


@pytest.mark.slow
def test_nothing_heavy_is_imported_before_it_is_needed():
    heavy = ("numpy", "pooch", "sklearn", "requests", "tqdm", "rich")
    program = f"import sys, sweep.cli.data; print([m for m in {heavy} if m in sys.modules])"
    output = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert output.stdout == b"[]\n"

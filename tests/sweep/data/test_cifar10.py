from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sweep.data.cifar10 import Cifar10, find_cifar10
from sweep.data.layouts import BINARY, DEVELOPMENT, LAYOUTS, PYTHON, TEST
from sweep.errors import SweepError

RECORDS = 3
MAKER = Path(__file__).parents[4] / "shared" / "data" / "make_cifar10.py"


@pytest.fixture
def everywhere(binary_folder, python_folder, pack, tmp_path):
    """The same images in all four forms."""
    return [
        Cifar10(path, layout, RECORDS)
        for path, layout in [
            (binary_folder, BINARY),
            (pack(binary_folder, tmp_path / BINARY.archive.file_name), BINARY),
            (python_folder, PYTHON),
            (pack(python_folder, tmp_path / PYTHON.archive.file_name), PYTHON),
        ]
    ]


def test_all_four_forms_hold_the_same_images_and_digests(everywhere, images):
    rows, labels = images
    first = everywhere[0]
    for source in everywhere:
        dataset = source.development()
        assert np.array_equal(dataset.rows, rows[: 5 * RECORDS])
        assert np.array_equal(dataset.labels, labels[: 5 * RECORDS])
        assert dataset.digest == first.development().digest
        assert source.test().digest == first.test().digest


def test_development_never_touches_the_test_batch(everywhere, images):
    (everywhere[0].path / "test_batch.bin").unlink()
    assert len(everywhere[0].development().rows) == 5 * RECORDS
    with pytest.raises(SweepError, match=r"test_batch.bin: is missing"):
        everywhere[0].test()
    for source in everywhere[1:]:
        test_rows = {row.tobytes() for row in images[0][5 * RECORDS :]}
        assert not test_rows & {row.tobytes() for row in source.development().rows}


def test_the_test_rows_are_the_test_batch(everywhere, images):
    for source in everywhere:
        assert np.array_equal(source.test().rows, images[0][5 * RECORDS :])
        assert np.array_equal(source.test().labels, images[1][5 * RECORDS :])


def test_it_is_ten_classes_of_colour_images(everywhere):
    dataset = everywhere[0].development()
    assert dataset.name == "cifar10"
    assert dataset.image_shape == (3, 32, 32)
    assert dataset.class_names[:2] == ("airplane", "automobile")
    assert len(dataset.class_names) == 10
    assert (dataset.rows.dtype, dataset.labels.dtype) == (np.uint8, np.int64)


def test_members_in_any_order_land_in_the_official_order(binary_folder, tmp_path, images):
    import tarfile

    archive = tmp_path / "shuffled.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for file in sorted(binary_folder.iterdir(), reverse=True):
            tar.add(file, f"{BINARY.folder}/{file.name}")
    dataset = Cifar10(archive, BINARY, RECORDS).development()
    assert np.array_equal(dataset.rows, images[0][: 5 * RECORDS])


@pytest.mark.parametrize("place", ["folder", "archive"])
def test_a_label_above_9_is_named_with_file_and_record(binary_folder, pack, tmp_path, place):
    file = binary_folder / "data_batch_4.bin"
    content = bytearray(file.read_bytes())
    content[3073] = 77
    file.write_bytes(content)
    path = binary_folder if place == "folder" else pack(binary_folder, tmp_path / "x.tar.gz")
    with pytest.raises(SweepError, match=r"data_batch_4.bin: labels must be .* record 1 .* 77$"):
        Cifar10(path, BINARY, RECORDS).development()


@pytest.mark.parametrize("place", ["folder", "archive"])
def test_a_file_cut_short_is_named(binary_folder, pack, tmp_path, place):
    file = binary_folder / "data_batch_2.bin"
    file.write_bytes(file.read_bytes()[:-1])
    path = binary_folder if place == "folder" else pack(binary_folder, tmp_path / "x.tar.gz")
    with pytest.raises(SweepError, match=r"data_batch_2.bin: must have 9,219 bytes: got 9,218"):
        Cifar10(path, BINARY, RECORDS).development()


def test_a_file_that_is_missing_is_named(binary_folder):
    (binary_folder / "data_batch_5.bin").unlink()
    with pytest.raises(SweepError, match=r"data_batch_5.bin: is missing; put it there"):
        Cifar10(binary_folder, BINARY, RECORDS).development()


def test_a_hostile_pickle_is_named_and_not_run(python_folder):
    (python_folder / "data_batch_3").write_bytes(b"cos\nsystem\n(S'true'\ntR.".ljust(9_300))
    with pytest.raises(SweepError, match=r"data_batch_3: is no CIFAR-10 batch: it cannot be"):
        Cifar10(python_folder, PYTHON, RECORDS).development()


def test_bytes_that_are_not_the_official_ones_are_said_to_be_so(everywhere):
    assert [(source.official, source.official_note) for source in everywhere] == [
        (False, "the MD5 of data_batch_1.bin is not the published one"),
        (False, "the SHA-256 of cifar-10-binary.tar.gz is not the published one"),
        (False, "the MD5 of data_batch_1 is not the published one"),
        (False, "the SHA-256 of cifar-10-python.tar.gz is not the published one"),
    ]


def test_bytes_with_the_published_check_sums_are_official(everywhere):
    for source in everywhere:
        if source.path.is_dir():
            md5 = {
                batch: hashlib.md5(  # noqa: S324 - as published
                    (source.path / source.layout.file_name(batch)).read_bytes()
                ).hexdigest()
                for batch in DEVELOPMENT + TEST
            }
            layout = replace(source.layout, md5=md5)
        else:
            sha256 = hashlib.sha256(source.path.read_bytes()).hexdigest()
            layout = replace(source.layout, archive=replace(source.layout.archive, sha256=sha256))
        published = replace(source, layout=layout)
        assert published.official
        assert published.official_note == "the published check sums match"


def test_the_published_check_sums_are_complete():
    for layout in LAYOUTS.values():
        assert sorted(layout.md5) == sorted(DEVELOPMENT + TEST)
        assert all(len(bytes.fromhex(md5)) == 16 for md5 in layout.md5.values())
        assert len(bytes.fromhex(layout.archive.sha256)) == 32
        assert layout.archive.url.startswith("https://www.cs.toronto.edu/~kriz/cifar-10-")


def test_the_official_file_lengths_are_allowed():
    assert BINARY.sizes(10_000) == range(30_730_000, 30_730_001)
    for size in (31_035_320, 31_035_999):  # the shortest and the longest
        assert size in PYTHON.sizes(10_000)


def test_a_folder_is_searched_for_binary_before_python_and_folders_before_archives(
    tmp_path, binary_folder, python_folder, pack
):
    home = tmp_path / "home"
    home.mkdir()
    assert find_cifar10(home) is None
    expected = []
    for folder, layout in ((python_folder, PYTHON), (binary_folder, BINARY)):
        expected.append(pack(folder, home / layout.archive.file_name))
        assert find_cifar10(home) == Cifar10(expected[-1], layout)
        expected.append(folder.rename(home / layout.folder))
        assert find_cifar10(home) == Cifar10(expected[-1], layout)


def test_the_folder_may_be_the_one_with_the_batches(binary_folder, python_folder):
    for folder, layout in ((binary_folder, BINARY), (python_folder, PYTHON)):
        assert find_cifar10(folder, RECORDS) == Cifar10(folder, layout, RECORDS)


def test_a_folder_that_is_not_there_holds_nothing(tmp_path):
    assert find_cifar10(tmp_path / "none") is None


@pytest.mark.slow
@pytest.mark.skipif(not MAKER.is_file(), reason="needs ../shared/data/make_cifar10.py")
def test_sixty_thousand_real_images_are_read(tmp_path):
    subprocess.run([sys.executable, MAKER, tmp_path, "--format", "bin"], check=True)
    source = find_cifar10(tmp_path)
    dataset, test = source.development(), source.test()
    assert (dataset.rows.shape, test.rows.shape) == ((50_000, 3_072), (10_000, 3_072))
    assert np.bincount(dataset.labels).tolist() == [5_000] * 10
    assert np.bincount(test.labels).tolist() == [1_000] * 10
    assert dataset.labels[:5].tolist() == [6, 9, 9, 4, 1]  # a frog and two trucks come first
    # The mean colour of CIFAR-10's training images, as commonly quoted: 0.4914, 0.4822, 0.4465.
    means = dataset.rows.reshape(-1, 3, 1_024).mean(axis=(0, 2)) / 255
    assert np.allclose(means, [0.4914, 0.4822, 0.4465], atol=2e-3)
    assert source.official is False

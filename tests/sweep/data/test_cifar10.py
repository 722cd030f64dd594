from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweep.data import cifar10
from sweep.data.cifar10 import DEVELOPMENT, LAYOUTS, PIXELS, TEST, Cifar10, find_cifar10
from sweep.data.dataset import open_source
from sweep.errors import SweepError

BINARY, PYTHON = LAYOUTS["binary"], LAYOUTS["python"]
RECORDS = 3
MAKER = Path(__file__).parents[4] / "shared" / "data" / "make_cifar10.py"


@pytest.fixture
def everywhere(binary_folder, python_folder, pack, tmp_path):
    """The same images in all four forms."""
    return [
        Cifar10(path, layout)
        for path, layout in [
            (binary_folder, BINARY),
            (pack(binary_folder, tmp_path / BINARY.archive), BINARY),
            (python_folder, PYTHON),
            (pack(python_folder, tmp_path / PYTHON.archive), PYTHON),
        ]
    ]


def refusal(source):
    """What is said of a source that cannot be read, in one line."""
    with pytest.raises(SweepError) as caught:
        source.development()
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(source.path))
    assert str(caught.value).endswith("or name another folder with --data-dir")
    return str(caught.value)


def test_all_four_forms_hold_the_same_images_and_digests(everywhere, images):
    rows, labels = images
    first = everywhere[0]
    for source in everywhere:
        dataset, test = source.development(), source.test()
        assert np.array_equal(dataset.rows, rows[: 5 * RECORDS])
        assert np.array_equal(dataset.labels, labels[: 5 * RECORDS])
        assert np.array_equal(test.rows, rows[5 * RECORDS :])
        assert np.array_equal(test.labels, labels[5 * RECORDS :])
        assert dataset.digest == first.development().digest
        assert test.digest == first.test().digest


def test_development_never_touches_the_test_batch(everywhere):
    (everywhere[0].path / "test_batch.bin").unlink()
    assert len(everywhere[0].development().rows) == 5 * RECORDS
    with pytest.raises(SweepError, match=r"test_batch.bin: is missing; fetch it anew"):
        everywhere[0].test()


def test_it_is_ten_classes_of_colour_images(everywhere):
    dataset = everywhere[0].development()
    assert dataset.name == "cifar10"
    assert dataset.image_shape == (3, 32, 32)
    assert dataset.class_names[:2] == ("airplane", "automobile")
    assert len(dataset.class_names) == 10
    assert (dataset.rows.dtype, dataset.labels.dtype) == (np.uint8, np.int64)


def test_a_python_batch_may_have_been_pickled_again_by_a_newer_numpy(python_folder, images):
    rows, labels = (part[:RECORDS] for part in images)
    for protocol in (3, 4):
        for key in (str, str.encode):
            batch = {key("data"): rows, key("labels"): labels.tolist()}
            (python_folder / "data_batch_1").write_bytes(pickle.dumps(batch, protocol))
            assert np.array_equal(Cifar10(python_folder, PYTHON).development().rows[:3], rows)


class Command:
    def __reduce__(self):
        return os.system, ("touch was-here",)


def test_a_pickle_of_something_else_is_no_batch_and_nothing_it_names_is_run(
    python_folder, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    rows, labels = np.zeros((RECORDS, PIXELS), np.uint8), [0, 1, 2]
    good = {"data": rows, "labels": labels}
    for batch, reason in (
        (good | {"data": Command()}, f"it asks for '{os.name}.system'"),
        (good | {"data": Fraction(1, 2)}, "it asks for 'fractions.Fraction'"),
        (good | {"data": eval}, "it asks for"),
        ({"labels": labels}, "its data must be one uint8 array of 3 rows"),
        (good | {"data": rows[:2]}, "its data must be"),
        (good | {"data": rows.astype(np.int8)}, "its data must be"),
        (good | {"data": np.asfortranarray(rows)}, "its data must be"),
        (good | {"data": rows.tobytes()}, "its data must be"),
        ({"data": rows}, "its labels must be a list of 3 whole numbers"),
        (good | {"labels": [1]}, "its labels must be"),
        (good | {"labels": (0, 1, 2)}, "its labels must be"),
        (good | {"labels": [0, 1, True]}, "its labels must be"),
        (good | {"labels": [0, 1, None]}, "its labels must be"),
        (good | {"labels": [0, 1, 10**30]}, "is no CIFAR-10 batch"),
        (labels, "it holds no dictionary"),
    ):
        content = pickle.dumps(batch, 4).ljust(RECORDS * PIXELS, b".")
        (python_folder / "data_batch_3").write_bytes(content)
        said = refusal(Cifar10(python_folder, PYTHON))
        assert "data_batch_3: is no CIFAR-10 batch: " in said
        assert reason in said
    assert not Path("was-here").exists()


def test_bytes_that_are_no_pickle_are_refused(python_folder):
    for content in (b"cos\nsystem\n(S'true'\ntR.", b"<html>moved</html>", b"\x80\xff}.", b".", b""):
        (python_folder / "data_batch_1").write_bytes(content.ljust(RECORDS * PIXELS, b"."))
        assert "data_batch_1: is no CIFAR-10 batch" in refusal(Cifar10(python_folder, PYTHON))


def test_a_batch_that_is_damaged_is_named_with_its_file(binary_folder, pack, tmp_path):
    def write(name, content):
        return lambda folder: (folder / name).write_bytes(content)

    whole = (binary_folder / "data_batch_4.bin").read_bytes()
    mislabelled = whole[:3073] + b"\x4d" + whole[3074:]
    for change, said in (
        (
            write("data_batch_4.bin", mislabelled),
            "data_batch_4.bin: labels must be 0 to 9: record 1 (counted from 0) has 77",
        ),
        (write("data_batch_2.bin", whole[:-1]), "batch_2.bin: must have 9,219 bytes: got 9,218"),
        (lambda folder: (folder / "data_batch_5.bin").unlink(), "data_batch_5.bin"),
    ):
        folder = shutil.copytree(binary_folder, tmp_path / "broken" / BINARY.folder)
        change(folder)
        for path in (folder, pack(folder, tmp_path / "x.tar.gz")):
            assert said in refusal(Cifar10(path, BINARY))
        shutil.rmtree(folder)


# Archives


def packed(members):
    """A .tar.gz of (name, content) and ready-made TarInfo members."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return file.getvalue()


def link(name):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return info


@pytest.fixture
def members(binary_folder):
    return [(f"{BINARY.folder}/{p.name}", p.read_bytes()) for p in binary_folder.glob("*.bin")]


@pytest.fixture
def archive(tmp_path):
    def archive(content):
        (tmp_path / BINARY.archive).write_bytes(content)
        return Cifar10(tmp_path / BINARY.archive, BINARY)

    return archive


def test_members_are_known_by_their_names_in_any_order_among_any_others(archive, members, images):
    others = [("../outside", b"x"), ("/etc/passwd", b"x"), (f"{BINARY.folder}/readme.html", b"x")]
    dotted = [(f"./{name}", content) for name, content in sorted(members, reverse=True)]
    source = archive(packed([*others, link("elsewhere"), *dotted]))
    assert np.array_equal(source.development().rows, images[0][: 5 * RECORDS])


def test_an_archive_without_its_members_is_refused(archive, members):
    name, content = members[0]
    for changed, said in (
        ([], "lacks data_batch_1.bin, data_batch_2.bin"),
        (members[1:], f"lacks {name.rpartition('/')[2]}"),
        ([(f"../{name}", content), *members[1:]], "lacks"),
        ([link(name), *members[1:]], "is no regular file"),
        ([(name, content[1:]), *members[1:]], "must have 9,219 bytes: got 9,218"),
    ):
        assert said in refusal(archive(packed(changed)))


def test_an_archive_cut_off_anywhere_is_refused(archive, members):
    content = packed(members)
    for length in range(0, len(content), len(content) // 20):
        assert "is no whole .tar.gz archive" in refusal(archive(content[:length]))


def test_what_is_no_archive_is_refused(archive):
    long_name = tarfile.TarInfo("././@LongLink")
    long_name.type, long_name.size = tarfile.GNUTYPE_LONGNAME, 1
    block = long_name.tobuf(tarfile.GNU_FORMAT) + b"a".ljust(512, b"\0")
    for content in (b"", b"<html>moved</html>", bytes(1024), gzip.compress(block * 2_000)):
        assert "is no whole .tar.gz archive" in refusal(archive(content))


def test_a_wrong_byte_in_a_file_of_no_interest_is_found_by_the_check_sum(archive, members):
    plain = gzip.decompress(packed([*members, (f"{BINARY.folder}/readme", b"hello")]))
    content = bytearray(gzip.compress(plain, compresslevel=0))
    content[content.index(b"hello")] ^= 1
    assert "CRC check failed" in refusal(archive(bytes(content)))


@given(data=st.data())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_wrong_bytes_give_the_rows_or_one_clear_error(archive, members, data):
    plain = bytearray(gzip.decompress(packed(members)))
    for _ in range(data.draw(st.integers(1, 4))):
        plain[data.draw(st.integers(0, 2_047))] = data.draw(st.integers(0, 255))
    source = archive(gzip.compress(bytes(plain), compresslevel=1))
    try:
        assert len(source.development().rows) == 5 * RECORDS
    except SweepError as error:
        assert str(error).startswith(f"{source.path}: ")  # noqa: PT017 - not all are refused
        assert "\n" not in str(error)  # noqa: PT017


# Check sums


def test_bytes_that_are_not_the_official_ones_are_said_to_be_so(everywhere):
    assert [source.official for source in everywhere] == [
        (False, "the MD5 of data_batch_1.bin is not the published one"),
        (False, "the SHA-256 of cifar-10-binary.tar.gz is not the published one"),
        (False, "the MD5 of data_batch_1 is not the published one"),
        (False, "the SHA-256 of cifar-10-python.tar.gz is not the published one"),
    ]


def test_bytes_with_the_published_check_sums_are_official(everywhere):
    def md5(path):
        return hashlib.md5(path.read_bytes()).hexdigest()  # noqa: S324 - as published

    for source in everywhere:
        layout, path = source.layout, source.path
        if path.is_dir():
            sums = {batch: md5(path / (batch + layout.suffix)) for batch in DEVELOPMENT + TEST}
            published = replace(source, layout=replace(layout, md5=sums))
        else:
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            published = replace(source, layout=replace(layout, sha256=sha256))
        assert published.official == (True, "the published check sums match")


def test_the_published_check_sums_and_lengths_are_complete(monkeypatch):
    monkeypatch.setattr(cifar10, "RECORDS", 10_000)
    for layout in LAYOUTS.values():
        assert sorted(layout.md5) == sorted(DEVELOPMENT + TEST)
        assert all(len(bytes.fromhex(md5)) == 16 for md5 in layout.md5.values())
        assert len(bytes.fromhex(layout.sha256)) == 32
        assert layout.url.startswith("https://www.cs.toronto.edu/~kriz/cifar-10-")
    assert BINARY.sizes == range(30_730_000, 30_730_001)
    for size in (31_035_320, 31_035_999):  # the shortest and the longest
        assert size in PYTHON.sizes


# Where it lies


def test_folders_go_before_archives_and_binary_before_python(
    tmp_path, binary_folder, python_folder, pack
):
    home = tmp_path / "home"
    home.mkdir()
    assert find_cifar10(home) is None
    assert find_cifar10(tmp_path / "none") is None
    pack(python_folder, home / PYTHON.archive)
    assert find_cifar10(home) == Cifar10(home / PYTHON.archive, PYTHON)
    pack(binary_folder, home / BINARY.archive)
    assert find_cifar10(home) == Cifar10(home / BINARY.archive, BINARY)
    for folder, layout in ((python_folder, PYTHON), (binary_folder, BINARY)):
        assert find_cifar10(folder) == Cifar10(folder, layout)
        folder.rename(home / layout.folder)
        assert find_cifar10(home) == Cifar10(home / layout.folder, layout)


def test_what_is_whole_goes_before_what_is_not(tmp_path, python_folder, pack, monkeypatch):
    home = python_folder.parent
    (home / BINARY.archive).write_bytes(b"half a download")
    (home / BINARY.folder).mkdir()
    (home / BINARY.folder / "data_batch_1.bin").write_bytes(b"unpacked by half")
    assert find_cifar10(home) == Cifar10(python_folder, PYTHON)
    archive = pack(python_folder, tmp_path / PYTHON.archive)
    shutil.move(archive, home)
    monkeypatch.setitem(
        LAYOUTS, "python", replace(PYTHON, size=(home / PYTHON.archive).stat().st_size)
    )
    shutil.rmtree(python_folder)
    assert find_cifar10(home) == Cifar10(home / PYTHON.archive, LAYOUTS["python"])
    (home / PYTHON.archive).unlink()
    assert find_cifar10(home) == Cifar10(home / BINARY.folder, BINARY)  # which says what it lacks


def test_it_is_found_where_unpackers_and_keras_3_put_it(tmp_path, python_folder):
    for further_in in ("cifar-10-python", "cifar-10-batches-py-target", "cifar-10-a/cifar-10-b"):
        place = tmp_path / further_in.replace("/", "-") / "home"
        inner = shutil.copytree(python_folder, place / further_in / PYTHON.folder)
        expected = None if "/" in further_in else Cifar10(inner, PYTHON)
        assert find_cifar10(place) == expected


def test_a_folder_that_holds_none_is_described(tmp_path):
    for name, said in (
        (None, "home: holds no CIFAR-10: there is no such folder; `sweep data download --data-dir"),
        (".", "looked for cifar-10-batches-bin/, cifar-10-binary.tar.gz or"),
        ("train-00000.parquet", "saw train-00000.parquet"),
        ("cifar-100-python", "it holds CIFAR-100, which is another data set"),
        ("cifar-10-python.tar", "must be unpacked first: tar xf cifar-10-python.tar"),
    ):
        if name is not None:
            (tmp_path / "home" / name).mkdir(parents=True, exist_ok=True)
        with pytest.raises(SweepError) as caught:
            open_source("cifar10", tmp_path / "home")
        assert said in str(caught.value)
        assert "fetches it (170 MB), --data-dir says where you have it" in str(caught.value)


@pytest.mark.slow
@pytest.mark.skipif(not MAKER.is_file(), reason="needs ../shared/data/make_cifar10.py")
def test_sixty_thousand_real_images_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar10, "RECORDS", 10_000)
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
    assert source.official[0] is False

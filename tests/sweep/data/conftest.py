"""CIFAR-10 in miniature: the official layouts with three records in a file."""

from __future__ import annotations

import struct
import tarfile
from typing import TYPE_CHECKING

import numpy as np
import pytest

from sweep.data.cifar10 import DEVELOPMENT, LAYOUTS, PIXELS, TEST

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

    Images = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]

RECORDS = 3
BINARY, PYTHON = LAYOUTS["binary"], LAYOUTS["python"]


@pytest.fixture(autouse=True)
def three_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """Official files have 10,000."""
    monkeypatch.setattr("sweep.data.cifar10.RECORDS", RECORDS)


@pytest.fixture
def images() -> Images:
    """The rows and labels of all six files, the test batch last."""
    rng = np.random.default_rng(10)
    n = 6 * RECORDS
    return rng.integers(256, size=(n, PIXELS), dtype=np.uint8), np.arange(n, dtype=np.uint8) % 10


@pytest.fixture
def binary_folder(tmp_path: Path, images: Images) -> Path:
    folder = tmp_path / "binary" / BINARY.folder
    folder.mkdir(parents=True)
    for i, batch in enumerate(DEVELOPMENT + TEST):
        rows, labels = (part[RECORDS * i : RECORDS * (i + 1)] for part in images)
        np.hstack([labels[:, None], rows]).tofile(folder / f"{batch}.bin")
    (folder / "batches.meta.txt").write_text("airplane\n")
    return folder


@pytest.fixture
def python_folder(tmp_path: Path, images: Images) -> Path:
    folder = tmp_path / "python" / PYTHON.folder
    folder.mkdir(parents=True)
    for i, batch in enumerate(DEVELOPMENT + TEST):
        rows, labels = (part[RECORDS * i : RECORDS * (i + 1)] for part in images)
        (folder / batch).write_bytes(_python2_pickle(rows, labels.tolist()))
    (folder / "batches.meta").write_bytes(b"never read")
    return folder


@pytest.fixture
def python2_pickle() -> Callable[[npt.NDArray[np.uint8], list[int]], bytes]:
    return _python2_pickle


@pytest.fixture
def pack() -> Callable[[Path, Path], Path]:
    """Pack a folder into an archive beside it, as the official ones are packed."""

    def pack(folder: Path, archive: Path) -> Path:
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(folder, folder.name)
        return archive

    return pack


def _python2_pickle(rows: npt.NDArray[np.uint8], labels: list[int]) -> bytes:
    """The instructions of the official files, which no pickler of Python 3 writes any more."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    shape = b"M" + struct.pack("<H", len(rows)) + b"M" + struct.pack("<H", rows.shape[1]) + b"\x86"
    dtype = b"cnumpy\ndtype\n" + text(b"u1") + b"K\x00K\x01\x87R"
    dtype_state = b"(K\x03" + text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R"
    )
    pixels = b"T" + struct.pack("<i", rows.size) + rows.tobytes()
    return b"".join(
        [
            *(b"\x80\x02}q\x01(", text(b"batch_label"), text(b"training batch 1 of 5")),
            *(text(b"labels"), b"](", *(b"K" + bytes([label]) for label in labels), b"e"),
            *(text(b"data"), array, b"(K\x01", shape, dtype, dtype_state, b"\x89", pixels, b"tb"),
            *(text(b"filenames"), b"](", text(b"a.png"), b"eu."),
        ]
    )

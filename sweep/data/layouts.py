"""The two official layouts of CIFAR-10, as https://www.cs.toronto.edu/~kriz/cifar.html has them.

Lengths and check sums of the archives: that page, TensorFlow Datasets (binary) and Keras
(Python). MD5 of the files inside: torchvision's cifar.py (Python), and pytorch-cpp's
fetch_cifar10.cmake, with which other projects agree (binary).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweep.data.batches import PIXELS, read_binary, read_python

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweep.data.batches import Batch

RECORDS = 10_000  # in each file
DEVELOPMENT = tuple(f"data_batch_{i}" for i in range(1, 6))
TEST = ("test_batch",)
CLASS_NAMES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A file to fetch: where from, and what it must be."""

    url: str
    size: int
    sha256: str

    @property
    def file_name(self) -> str:
        """What the file is called, there and here."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the six batches are written down.

    `record_bytes` says how many bytes a file may hold per record; `read` turns a file's content,
    its name and the number of records into rows and labels.
    """

    name: str
    folder: str
    suffix: str
    archive: Archive
    record_bytes: tuple[int, int]
    read: Callable[[bytes, str, int], Batch]
    md5: dict[str, str]

    def file_name(self, batch: str) -> str:
        """The file that holds a batch."""
        return batch + self.suffix

    def sizes(self, records: int) -> range:
        """The lengths that a file of so many records may have."""
        least, most = self.record_bytes
        around = 0 if least == most else 4096  # the pickle's own words
        return range(records * least, records * most + around + 1)


BINARY = Layout(
    name="binary",
    folder="cifar-10-batches-bin",
    suffix=".bin",
    archive=Archive(
        url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        size=170_052_171,
        sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    ),
    record_bytes=(1 + PIXELS, 1 + PIXELS),
    read=read_binary,
    md5={
        "data_batch_1": "5dd7e06a14cb22eb9f671a540d1b7c25",
        "data_batch_2": "5ea93a67294ea407fff1d09f752e9692",
        "data_batch_3": "942cd6a4bcdd0dd3c604fbe906cb4421",
        "data_batch_4": "ae636b3ba5c66a11e91e8cb52e771fcb",
        "data_batch_5": "53f37980c15c3d472c316c40844f3f0d",
        "test_batch": "803d5f7f4d78ea53de84dbe85f74fb6d",
    },
)
PYTHON = Layout(
    name="python",
    folder="cifar-10-batches-py",
    suffix="",
    archive=Archive(
        url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        size=170_498_071,
        sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    ),
    # Official files hold 3,104 a record: the pixels, the label and a file name of about 25 bytes.
    record_bytes=(PIXELS, PIXELS + 256),
    read=read_python,
    md5={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
    },
)
LAYOUTS = {layout.name: layout for layout in (BINARY, PYTHON)}  # the safer one first

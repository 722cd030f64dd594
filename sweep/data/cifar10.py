"""CIFAR-10, from a folder or an archive, in either official layout."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from sweep.data.archive import stream_members
from sweep.data.batches import PIXELS
from sweep.data.dataset import Dataset
from sweep.data.files import has_hash, read_file, reading
from sweep.data.layouts import CLASS_NAMES, DEVELOPMENT, LAYOUTS, RECORDS, TEST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sweep.data.layouts import Layout
    from sweep.data.source import SplitKind


@dataclass(frozen=True)
class Cifar10:
    """CIFAR-10 as it lies on the disk: a folder or an archive, in either official layout.

    Five batches of `records` images are for development, the sixth is the test. The class names
    are the well-known ones: the file of names is not read.
    """

    path: Path
    layout: Layout
    records: int = RECORDS

    name: ClassVar[str] = "cifar10"
    split_kind: ClassVar[SplitKind] = "last"
    default_val_size: ClassVar[int] = 1_000
    has_test: ClassVar[bool] = True

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.path.parent

    @property
    def location(self) -> str:
        """The folder or archive, and its layout."""
        return f"{self.path} ({self.layout.name} layout)"

    @property
    def official(self) -> bool:
        """Whether the published check sums match; reads every file once."""
        return self._difference is None

    @property
    def official_note(self) -> str:
        """That they do, or which one does not."""
        return self._difference or "the published check sums match"

    def development(self) -> Dataset:
        """The rows of the five data batches, in the official order."""
        return self._dataset(DEVELOPMENT)

    def test(self) -> Dataset:
        """The rows of the test batch."""
        return self._dataset(TEST)

    def _dataset(self, batches: tuple[str, ...]) -> Dataset:
        rows = np.empty((len(batches), self.records, PIXELS), np.uint8)
        labels = np.empty((len(batches), self.records), np.int64)
        for batch, content in self._contents(batches):
            i = batches.index(batch)
            where = f"{self.path}: {self.layout.file_name(batch)}"
            rows[i], labels[i] = self.layout.read(content, where, self.records)
        return Dataset(
            name=self.name,
            rows=rows.reshape(-1, PIXELS),
            labels=labels.reshape(-1),
            class_names=CLASS_NAMES,
            image_shape=(3, 32, 32),
        )

    def _contents(self, batches: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
        sizes = self.layout.sizes(self.records)
        if self.path.is_dir():
            for batch in batches:
                yield batch, read_file(self.path / self.layout.file_name(batch), sizes)
            return
        members = {
            f"{self.layout.folder}/{self.layout.file_name(batch)}": batch
            for batch in DEVELOPMENT + TEST
        }
        wanted = [member for member, batch in members.items() if batch in batches]
        for member, content in stream_members(self.path, dict.fromkeys(members, sizes), wanted):
            yield members[member], content

    @cached_property
    def _difference(self) -> str | None:
        """In what the bytes are not the published ones."""
        if self.path.is_dir():
            for batch, md5 in self.layout.md5.items():
                file = self.layout.file_name(batch)
                if not has_hash(self.path / file, "md5", md5):
                    return f"the MD5 of {file} is not the published one"
            return None
        if has_hash(self.path, "sha256", self.layout.archive.sha256):
            return None
        return f"the SHA-256 of {self.path.name} is not the published one"


def find_cifar10(folder: Path, records: int = RECORDS) -> Cifar10 | None:
    """Find CIFAR-10 in a folder: binary before Python, a folder of batches before an archive."""
    with reading(folder):
        for layout in LAYOUTS.values():
            files = [layout.file_name(batch) for batch in DEVELOPMENT + TEST]
            for place in (folder, folder / layout.folder):
                if any((place / file).is_file() for file in files):
                    return Cifar10(place, layout, records)
            archive = folder / layout.archive.file_name
            if archive.is_file():
                return Cifar10(archive, layout, records)
    return None

"""CIFAR-10, from a folder or an archive, in either official layout.

Lengths and check sums of the archives: https://www.cs.toronto.edu/~kriz/cifar.html, TensorFlow
Datasets (binary) and Keras (Python). MD5 of the files inside: torchvision's cifar.py (Python), and
pytorch-cpp's fetch_cifar10.cmake, with which other projects agree (binary).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import tarfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias

import numpy as np

from sweep.data.dataset import Dataset, check_memory, listed
from sweep.errors import SweepError
from sweep.io import reading, with_room

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from logging import Logger
    from pathlib import Path
    from types import TracebackType

    import numpy.typing as npt

    from sweep.data.dataset import SplitKind

    Batch: TypeAlias = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]

RECORDS = 10_000  # in each file
PIXELS = 3 * 32 * 32
DEVELOPMENT = tuple(f"data_batch_{i}" for i in range(1, 6))
TEST = ("test_batch",)
CLASS_NAMES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)


def _read_binary(content: bytes) -> Batch:
    """Rows (n, 3072) and labels (n,) of records of one label and its pixels."""
    table = np.frombuffer(content, np.uint8).reshape(-1, 1 + PIXELS)
    return table[:, 1:], table[:, 0].astype(np.int64)


class _Recorded:
    """Stands where an array or its dtype would be made, and keeps what it would be made from."""

    def __init__(self, *arguments: object) -> None:
        self.arguments = arguments
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state


class _BatchUnpickler(pickle.Unpickler):
    """Reads the pickle of a batch; nothing that the file names is called."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in {("numpy", "ndarray"), ("numpy", "dtype")} or (
            # The first up to NumPy 1, the second from NumPy 2.
            module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct"
        ):
            return _Recorded
        raise pickle.UnpicklingError(f"it asks for {f'{module}.{name}'!r:.100}")


def _read_python(content: bytes) -> Batch:
    """The same of a pickled dictionary of `data` and `labels`; ValueError for any other."""
    try:
        # Python 2 pickled text as bytes, and pixels as text: bytes is right for both.
        entries = _BatchUnpickler(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # bytes that are no pickle can raise anything here
        reason = str(error) if isinstance(error, pickle.UnpicklingError) else repr(error)
        raise ValueError(f"it cannot be unpickled: {reason:.200}") from error
    if not isinstance(entries, dict):
        raise ValueError("it holds no dictionary")  # noqa: TRY004 - a matter of the file
    data, labels = (entries.get(key, entries.get(key.encode())) for key in ("data", "labels"))
    match data:
        case _Recorded(
            state=(_, shape, _Recorded(arguments=("u1" | b"u1", *_)), False, bytes(pixels))
        ) if shape == (RECORDS, PIXELS) and len(pixels) == RECORDS * PIXELS:
            rows = np.frombuffer(pixels, np.uint8).reshape(RECORDS, PIXELS)
        case _:
            raise ValueError(f"its data must be one uint8 array of {RECORDS:,} rows of {PIXELS:,}")
    if not (isinstance(labels, list) and len(labels) == RECORDS) or any(
        type(label) is not int for label in labels
    ):
        raise ValueError(f"its labels must be a list of {RECORDS:,} whole numbers")
    return rows, np.array(labels, np.int64)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the six batches are written down, and the archive that holds them.

    `record_bytes` says how many bytes a file may hold per record, `slack` how many more in all;
    `read` turns a file's content into rows and labels.
    """

    name: str
    folder: str
    suffix: str
    url: str
    size: int
    sha256: str
    md5: dict[str, str]
    record_bytes: tuple[int, int]
    slack: int
    read: Callable[[bytes], Batch]

    @property
    def archive(self) -> str:
        """What the archive is called, there and here."""
        return self.url.rpartition("/")[2]

    @property
    def sizes(self) -> range:
        """The lengths that a file may have."""
        least, most = self.record_bytes
        return range(RECORDS * least, RECORDS * most + self.slack + 1)


LAYOUTS = {
    "binary": Layout(  # the safer one first
        name="binary",
        folder="cifar-10-batches-bin",
        suffix=".bin",
        url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        size=170_052_171,
        sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        md5={
            "data_batch_1": "5dd7e06a14cb22eb9f671a540d1b7c25",
            "data_batch_2": "5ea93a67294ea407fff1d09f752e9692",
            "data_batch_3": "942cd6a4bcdd0dd3c604fbe906cb4421",
            "data_batch_4": "ae636b3ba5c66a11e91e8cb52e771fcb",
            "data_batch_5": "53f37980c15c3d472c316c40844f3f0d",
            "test_batch": "803d5f7f4d78ea53de84dbe85f74fb6d",
        },
        record_bytes=(1 + PIXELS, 1 + PIXELS),
        slack=0,
        read=_read_binary,
    ),
    "python": Layout(
        name="python",
        folder="cifar-10-batches-py",
        suffix="",
        url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        size=170_498_071,
        sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
        md5={
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
            "test_batch": "40351d587109b95175f43aff81a1287e",
        },
        # Official files hold 3,104 a record: the pixels, the label and a name of about 25 bytes.
        record_bytes=(PIXELS, PIXELS + 256),
        slack=4096,  # the pickle's own words
        read=_read_python,
    ),
}


@dataclass(frozen=True)
class Cifar10:
    """CIFAR-10 as it lies on the disk: a folder or an archive, in either official layout.

    Five batches of 10,000 images are for development, the sixth is the test. The class names are
    the well-known ones: the file of names is not read.
    """

    path: Path
    layout: Layout

    name: ClassVar[str] = "cifar10"
    files: ClassVar[None] = None
    split_kind: ClassVar[SplitKind] = "last"
    default_val_size: ClassVar[int] = 1_000
    has_test: ClassVar[bool] = True

    @property
    def kind(self) -> str:
        """Its layout."""
        return f"CIFAR-10 in the {self.layout.name} layout"

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.path.parent

    @property
    def location(self) -> str:
        """The folder or archive, and its layout."""
        return f"{self.path} ({self.layout.name} layout)"

    @cached_property
    def official(self) -> tuple[bool, str]:
        """Whether the published check sums match, or which one does not; reads every file once."""
        if self.path.is_dir():
            for batch, md5 in self.layout.md5.items():
                file = batch + self.layout.suffix
                if not has_hash(self.path / file, "md5", md5):
                    return False, f"the MD5 of {file} is not the published one"
        elif not has_hash(self.path, "sha256", self.layout.sha256):
            return False, f"the SHA-256 of {self.path.name} is not the published one"
        return True, "the published check sums match"

    def development(self) -> Dataset:
        """The rows of the five data batches, in the official order."""
        return self._dataset(DEVELOPMENT)

    def test(self) -> Dataset:
        """The rows of the test batch."""
        return self._dataset(TEST)

    def _dataset(self, batches: tuple[str, ...]) -> Dataset:
        check_memory(f"{self.path}", len(batches) * RECORDS, PIXELS, bytes_each=1)
        rows = np.empty((len(batches), RECORDS, PIXELS), np.uint8)
        labels = np.empty((len(batches), RECORDS), np.int64)
        for file, content in self._contents(batches):
            i = batches.index(file.removesuffix(self.layout.suffix))
            try:
                rows[i], labels[i] = self.layout.read(content)
            except (ValueError, OverflowError) as error:
                raise SweepError(
                    f"{self.path}: {file}: is no CIFAR-10 batch: {error}; {_ANEW}"
                ) from error
            _check_labels(labels[i], f"{self.path}: {file}")
        return Dataset(
            name=self.name,
            rows=rows.reshape(-1, PIXELS),
            labels=labels.reshape(-1),
            class_names=CLASS_NAMES,
            image_shape=(3, 32, 32),
        )

    def _contents(self, batches: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
        """Yield the file name and content of each batch, in any order."""
        files = [batch + self.layout.suffix for batch in batches]
        if not self.path.is_dir():
            yield from self._members(files)
            return
        for file in files:
            path = self.path / file
            with reading(path):
                if not path.is_file():
                    raise SweepError(f"{path}: is missing; {_ANEW}")
                _check_size(str(path), path.stat().st_size, self.layout.sizes)
                content = path.read_bytes()
            yield file, content

    def _members(self, files: list[str]) -> Iterator[tuple[str, bytes]]:
        """Stream files out of the archive to its end, where the check sum is."""
        missing = {batch + self.layout.suffix for batch in DEVELOPMENT + TEST}
        try:
            with gzip.open(self.path) as unzipped, tarfile.open(fileobj=unzipped, mode="r|") as tar:
                for member in tar:
                    folder, _, file = member.name.removeprefix("./").rpartition("/")
                    if folder != self.layout.folder or file not in missing:
                        continue
                    if not member.isreg():
                        raise SweepError(f"{self.path}: {file} is no regular file; {_ANEW}")
                    _check_size(f"{self.path}: {file}", member.size, self.layout.sizes)
                    missing.remove(file)
                    if file in files:
                        yield file, tar.extractfile(member).read()  # type: ignore[union-attr]
                while unzipped.read(1 << 20):
                    pass
        # What gzip and tarfile raise at damaged bytes; RecursionError: name upon long name.
        except (
            tarfile.TarError,
            zlib.error,
            EOFError,
            OSError,
            ValueError,
            RecursionError,
        ) as error:
            raise SweepError(
                f"{self.path}: is no whole .tar.gz archive: "
                f"{str(error) or type(error).__name__:.200}; {_ANEW}"
            ) from error
        if missing:
            raise SweepError(f"{self.path}: lacks {', '.join(sorted(missing))}; {_ANEW}")


_ANEW = "fetch it anew with `sweep data download`, or name another folder with --data-dir"


def find_cifar10(folder: Path) -> Cifar10 | None:
    """Find CIFAR-10 in a folder, or two folders further in where they are named after it.

    What is whole goes before what is not, folders before archives, and binary before Python.
    """
    with reading(folder):
        folders = list(_folders(folder))
        sources = [
            Cifar10(path, layout)
            for in_archives in (False, True)
            for layout in LAYOUTS.values()
            for inner in folders
            for path in [inner / layout.archive if in_archives else inner]
            if (path.is_file() if in_archives else any(_sizes(inner, layout)))
        ]
        return min(sources, key=lambda source: not _is_whole(source), default=None)


def _folders(folder: Path) -> Iterator[Path]:
    """Yield the folders to look in: unpackers and Keras 3 put a data set further in."""
    level = [folder]
    for _ in range(3):
        yield from level
        level = [
            inner
            for outer in level
            if outer.is_dir()
            for inner in sorted(outer.iterdir())
            if "cifar-10-" in inner.name and inner.is_dir()
        ]


def _sizes(folder: Path, layout: Layout) -> list[int | None]:
    """The lengths of the six files of a folder; None for one that is not there."""
    paths = [folder / (batch + layout.suffix) for batch in DEVELOPMENT + TEST]
    return [path.stat().st_size if path.is_file() else None for path in paths]


def _is_whole(source: Cifar10) -> bool:
    """Whether all of the data set seems to be there, by its length."""
    if source.path.is_file():
        return source.path.stat().st_size == source.layout.size
    return all(size in source.layout.sizes for size in _sizes(source.path, source.layout))


def without_cifar10(folder: Path) -> str:
    """Say what a folder holds that holds no CIFAR-10."""
    with reading(folder):
        if not folder.is_dir():
            return "there is no such folder"
        names = sorted(path.name for path in folder.iterdir())
    half = [name for name in names if name.startswith("cifar-10-") and name.endswith(".tar")]
    if half:
        return f"it holds {half[0]}, which must be unpacked first: tar xf {half[0]}"
    if any("cifar-100" in name for name in names):
        return "it holds CIFAR-100, which is another data set"
    looked = " or ".join(f"{layout.folder}/, {layout.archive}" for layout in LAYOUTS.values())
    return f"looked for {looked}, saw {listed(names)}"


def _check_size(name: str, size: int, sizes: range) -> None:
    if size not in sizes:
        least, most = sizes.start, sizes.stop - 1
        allowed = f"{least:,}" if least == most else f"{least:,} to {most:,}"
        raise SweepError(f"{name}: must have {allowed} bytes: got {size:,}; {_ANEW}")


def _check_labels(labels: npt.NDArray[np.int64], name: str) -> None:
    strange = (labels < 0) | (labels >= len(CLASS_NAMES))
    if strange.any():
        record = int(strange.argmax())
        raise SweepError(
            f"{name}: labels must be 0 to {len(CLASS_NAMES) - 1}: record {record} (counted from "
            f"0) has {labels[record]}; {_ANEW}"
        )


def has_hash(path: Path, algorithm: str, expected: str) -> bool:
    """Whether a file is there and has that hash, in hexadecimal."""
    with reading(path):
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, algorithm).hexdigest() == expected


# Fetching: checked, retried, whole or not at all

RETRIES = 2  # after the first try, with pauses of one and two seconds
CHUNK = 1 << 18  # bytes
TIMEOUT = 30.0  # seconds without a byte


class _Bar:
    """What pooch asks of a progress bar, drawn by rich on stderr; nothing where nobody watches."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

        console = Console(stderr=True)
        columns = BarColumn(), DownloadColumn(), TransferSpeedColumn()
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._progress.add_task("", total=total)
        self.total = total  # pooch sets it to what the server announces

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def update(self, size: int) -> None:
        self._progress.update(self._task, advance=size)

    def reset(self) -> None:
        self._progress.reset(self._task)

    def close(self) -> None:
        """Leave it to the context, which outlives a try that fails."""


def already_there(layout: Layout, folder: Path) -> bool:
    """Whether the folder holds the archive of a layout; another file of its name is refused."""
    path = folder / layout.archive
    with reading(path):
        if not path.exists():
            return False
    if has_hash(path, "sha256", layout.sha256):
        return True
    raise SweepError(
        f"{path}: is there already but is not the published file; move it away to download, "
        "or use it as it is with --data-dir"
    )


@contextmanager
def _quiet(logger: Logger) -> Iterator[None]:
    """Keep pooch from telling a second time what we tell."""
    level = logger.level
    logger.setLevel("WARNING")
    try:
        yield
    finally:
        logger.setLevel(level)


def fetch(layout: Layout, folder: Path) -> Path:
    """Fetch the archive of a layout into a folder: the whole and right file appears, or nothing."""
    import pooch

    archives = pooch.create(
        folder,
        layout.url.removesuffix(layout.archive),
        registry={layout.archive: f"sha256:{layout.sha256}"},
        retry_if_failed=RETRIES,
    )
    path = folder / layout.archive
    by_hand = (
        f"try again later, or fetch it by hand ({layout.size:,} bytes, SHA-256 {layout.sha256}) "
        f"and put it at {path}"
    )
    try:
        with _quiet(pooch.get_logger()), _Bar(layout.size) as bar:
            load = pooch.HTTPDownloader(progressbar=bar, chunk_size=CHUNK, timeout=TIMEOUT)
            archives.fetch(layout.archive, downloader=load)
    except ValueError as error:
        raise SweepError(
            f"{layout.url}: the server sent other bytes than the published ones; {by_hand}"
        ) from error
    except OSError as error:  # a failed request is one, too, and has no number
        if error.errno is not None or isinstance(error, PermissionError):  # pooch's has none
            reason = with_room(error.strerror or "Permission denied", folder)
            raise SweepError(
                f"{folder}: cannot be written to: {reason}; make room or mend the permissions, "
                "or name another folder with --data-dir"
            ) from error
        raise SweepError(f"{layout.url}: {error!s:.200}; {by_hand}") from error
    return path

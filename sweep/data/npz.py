"""Your own data: an .npz file, headers first, within bounds, no pickle; or arrays in memory."""

from __future__ import annotations

import io
import math
import re
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from sweep.data.dataset import Dataset, check_memory, listed
from sweep.errors import SweepError
from sweep.io import check_file, reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt
    from numpy.typing import ArrayLike

    from sweep.data.dataset import SplitKind
    from sweep_model import ImageShape, Labels

KNOWN = ("X", "y", "X_val", "y_val", "X_test", "y_test", "class_names")
MAX_HEADER = 10_000  # NumPy's own bound
MAX_NAME = 80  # characters
CHUNK = 1 << 24  # values looked at together: a 16 MB mask
CHANNELS = (1, 3)  # what can be drawn
NUMBERS = "biuf"  # NumPy's kinds: bool, int, unsigned, float

# What zipfile and NumPy's array reader raise at damaged or hostile bytes.
_BROKEN = (
    *(ValueError, TypeError, KeyError, OSError, EOFError, RuntimeError, SyntaxError),
    *(OverflowError, struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)


@dataclass(frozen=True)
class Header:
    """What an array in the file says of itself."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        return f"{self.dtype!s:.80} of shape {self.shape}"


@dataclass(frozen=True)
class Npz:
    """Somebody's own features or images: X and y, perhaps validation and test rows."""

    path: Path
    headers: dict[str, Header]
    ignored: tuple[str, ...] = ()

    official: ClassVar[tuple[None, str]] = None, "your own file"

    @property
    def name(self) -> str:
        """The file's own name, in letters that a path and a URL can hold."""
        return re.sub(r"[^A-Za-z0-9._-]+", "-", self.path.stem)[:MAX_NAME].strip(".-") or "npz"

    @property
    def folder(self) -> Path | None:
        """Where it lies."""
        return self.path.parent

    @property
    def location(self) -> str:
        """The file."""
        return str(self.path)

    @property
    def split_kind(self) -> SplitKind:
        """Given where the file has validation rows, else stratified."""
        return "given" if "X_val" in self.headers else "stratified"

    @property
    def default_val_size(self) -> int:
        """The file's own validation rows, or a fifth of X up to 1,000."""
        if "X_val" in self.headers:
            return self.headers["X_val"].shape[0]
        return min(1_000, self.headers["X"].shape[0] // 5)

    @property
    def has_test(self) -> bool:
        """Whether the file holds X_test and y_test."""
        return "X_test" in self.headers

    def read(self, name: str) -> npt.NDArray[Any]:
        """Return one array whose header has been read and found good."""
        return read_array(self.path, name)

    def development(self) -> Dataset:
        """The rows of X, then those of X_val."""
        class_names, parts = self._classes()
        labels = np.concatenate([part for name, part in parts.items() if name != "y_test"])
        return self._dataset(("X", "X_val"), labels, class_names, list(self._notices(parts)))

    def test(self) -> Dataset:
        """The rows of X_test; SweepError where there are none."""
        if not self.has_test:
            raise SweepError(f"{self.path}: holds no test rows; add X_test and y_test")
        class_names, parts = self._classes()
        self._refuse_unknown("y_test", parts["y_test"], class_names)
        return self._dataset(("X_test",), parts["y_test"], class_names, [])

    def _labels(self, name: str) -> npt.NDArray[Any]:
        return whole_labels(self.read(name), f"{self.path}: {name}", name)

    def _classes(self) -> tuple[tuple[str, ...], dict[str, Labels]]:
        """The class names, and for each array of labels the index of each row's class.

        The classes are `class_names`, to which whole numbers point, or the distinct labels of y.
        A label of y_test that is none of them is -1.
        """
        given: list[str] = [name for name in ("y", "y_val", "y_test") if name in self.headers]
        labels = {name: self._labels(name) for name in given}
        if len({part.dtype.kind == "U" for part in labels.values()}) > 1:
            raise SweepError(
                f"{self.path}: {', '.join(labels)} must all be text, or all numbers: got "
                f"{', '.join(str(self.headers[name].dtype) for name in labels)}; save them alike"
            )
        classes, class_names = np.unique(labels["y"]), None
        if "class_names" in self.headers:
            class_names = self._text(self.read("class_names"), "class_names")
            is_text = labels["y"].dtype.kind == "U"
            classes = np.array(class_names) if is_text else np.arange(len(class_names))
        elif classes.dtype.kind == "U":
            class_names = self._text(classes, "y")
        class_names = class_names or tuple(str(label) for label in classes.tolist())
        indices = {name: _indices(part, classes) for name, part in labels.items()}
        for name in set(labels) - {"y_test"}:
            self._refuse_unknown(name, indices[name], class_names)
        if len(np.unique(indices["y"])) == 1:
            raise SweepError(
                f"{self.path}: y: there must be two classes or more: all {len(labels['y']):,} rows "
                f"are of class {labels['y'][0].item()!r}; add rows of another"
            )
        return class_names, indices

    def _refuse_unknown(self, name: str, indices: Labels, class_names: tuple[str, ...]) -> None:
        unknown = indices < 0
        if not unknown.any():
            return
        row, label = int(unknown.argmax()), self._labels(name)[unknown][0].item()
        rule, mend = "such as y has", "add such rows to X"
        if "class_names" in self.headers:
            last = len(class_names) - 1
            is_text = isinstance(label, str)
            rule = "in class_names" if is_text else f"0 to {last}, the positions in class_names"
            mend = "correct class_names, or leave them out"
        raise SweepError(
            f"{self.path}: {name}: labels must be {rule}: {int(unknown.sum()):,} of "
            f"{len(indices):,} are not, the first in row {row}: {label!r}; drop those rows, or "
            f"{mend}"
        )

    def _text(self, names: npt.NDArray[Any], name: str) -> tuple[str, ...]:
        """Return names of classes that a line and a table can show."""
        texts = tuple(text_of(names, f"{self.path}: {name}").tolist())
        bad = [text for text in texts if not text.isprintable() or not 0 < len(text) <= MAX_NAME]
        if bad or len(set(texts)) < len(texts):
            wrong = f"got {bad[0][:100]!r}" if bad else "one stands there twice"
            raise SweepError(
                f"{self.path}: {name} must be 1 to {MAX_NAME} printable characters each"
                f"{', all different' if name == 'class_names' else ''}: {wrong}; rename it"
            )
        return texts

    def _notices(self, labels: Mapping[str, Labels]) -> Iterator[str]:
        """Yield what was taken for what, a line each."""
        if self.ignored:
            yield f"{self.path}: ignored, as sweep knows no such arrays: {listed(self.ignored)}."
        rows, *sides = self.headers["X"].shape
        if len(sides) == 2 and 1 not in sides:  # noqa: PLR2004 - height and width
            yield (
                f"{self.path}: X is taken for {rows:,} grey images of {sides[0]} x {sides[1]}; "
                "save features as X.reshape(len(X), -1)."
            )
        unknown = int((labels.get("y_test", np.zeros(0)) < 0).sum())
        if unknown:
            yield (
                f"{self.path}: {unknown:,} of {len(labels['y_test']):,} rows of X_test are of "
                "classes that y lacks, so `sweep test` will refuse them; add such rows to X, or "
                "drop them from X_test."
            )

    def _dataset(
        self,
        parts: tuple[str, ...],
        labels: Labels,
        class_names: tuple[str, ...],
        notices: list[str],
    ) -> Dataset:
        headers = [self.headers[name] for name in parts if name in self.headers]
        check_memory(
            str(self.path),
            sum(header.shape[0] for header in headers),
            math.prod(headers[0].shape[1:]),
            bytes_each=max(headers[0].dtype.itemsize, _kept(headers[0].dtype).itemsize),
            copies=1 if self.split_kind == "given" else 2,
        )
        shape = _image_shape(self.headers["X"].shape)
        rows = []
        for name in parts:
            if name in self.headers:
                array = self.read(name)
                if shape is not None and array.ndim == 4:  # noqa: PLR2004 - (n, h, w, c)
                    array = array.transpose(0, 3, 1, 2)
                array = array.reshape(len(array), -1)
                rows.append(finite_features(array, f"{self.path}: {name}"))
                merged = _merged(array, rows[-1])
                if merged:
                    notices.append(
                        f"{self.path}: {merged:,} features of {name} vary by less than float64 "
                        "holds, and are taken for constant; subtract their mean beforehand."
                    )
        return Dataset(
            name=self.name,
            rows=rows[0] if len(rows) == 1 else np.concatenate(rows),
            labels=labels,
            class_names=class_names,
            image_shape=shape,
            notices=tuple(notices),
        )


def open_npz(path: Path) -> Npz:
    """Open a .npz; what its headers alone show to be wrong is refused at once."""
    npz = Npz(path, *read_headers(path))
    check_headers(npz)
    return npz


@dataclass(frozen=True, eq=False)
class Arrays(Npz):
    """The same arrays in the memory of whoever calls, which nothing but they can find again."""

    arrays: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    name: ClassVar[str] = "arrays"
    folder: ClassVar[None] = None
    location: ClassVar[str] = "in memory"
    official: ClassVar[tuple[None, str]] = None, "your own arrays"

    def read(self, name: str) -> npt.NDArray[Any]:
        """Return one array."""
        return self.arrays[name]


def open_arrays(data: Sequence[ArrayLike] | Mapping[str, ArrayLike]) -> Arrays:
    """Take `(X, y)`, or arrays by the names that they would have in an .npz file."""
    if not isinstance(data, Mapping):
        if len(data) != 2:  # noqa: PLR2004 - X and y
            raise SweepError(f"data: arrays are (X, y), or a dict of them: got {len(data)} of them")
        data = dict(zip(("X", "y"), data, strict=True))
    arrays = {name: _plain(name, data[name]) for name in KNOWN if name in data}
    headers = {name: Header(array.shape, array.dtype) for name, array in arrays.items()}
    ignored = tuple(sorted(set(map(str, data)) - set(KNOWN)))
    opened = Arrays(Path("data"), headers, ignored, arrays)
    check_headers(opened)
    return opened


def _plain(name: str, values: ArrayLike) -> npt.NDArray[Any]:
    """Return what NumPy makes of it; text in a table of objects is text."""
    array = np.asarray(values)
    if array.dtype.hasobject and all(isinstance(value, str) for value in array.flat):
        array = array.astype(str)
    if array.dtype.hasobject:
        raise SweepError(f"data: {name} must be numbers or text: got Python objects")
    return array


def read_headers(path: Path) -> tuple[dict[str, Header], tuple[str, ...]]:
    """Return the headers of the arrays that we know, and the names of the others.

    Nothing larger than a header is read.
    """
    with _opened(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        twice = [name for name in KNOWN if names.count(name) > 1]
        if twice:
            raise SweepError(f"{path}: holds {twice[0]} twice; write it anew with np.savez")
        headers = {
            name: _read_header(path, archive, archive.getinfo(f"{name}.npy"))
            for name in KNOWN
            if name in names
        }
        return headers, tuple(sorted(set(names) - set(KNOWN)))


def read_array(path: Path, name: str) -> npt.NDArray[Any]:
    """Return one array whose header has been read and found good."""
    try:
        with _opened(path) as archive, archive.open(f"{name}.npy") as file:
            array: npt.NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
            return array
    except MemoryError as error:
        raise SweepError(
            f"{path}: memory does not suffice to read {name}; end other programs, or save fewer "
            "rows or features"
        ) from error


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    with reading(path):
        check_file(path, "name an .npz file, e.g. one inside it")
        with path.open("rb") as file:  # zipfile would say that it is damaged
            start = file.read(np.lib.format.MAGIC_LEN)
        if start.startswith(np.lib.format.MAGIC_PREFIX) and len(start) == np.lib.format.MAGIC_LEN:
            raise SweepError(
                f"{path}: is a .npy file, which holds one array; save X and y together: "
                "np.savez(file, X=features, y=labels)"
            )
    try:
        with zipfile.ZipFile(path) as archive, warnings.catch_warnings(action="ignore"):
            yield archive  # an old spelling in a header is nothing to warn of
    except _BROKEN as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise SweepError(
            f"{path}: is no whole .npz file: {reason:.200}; copy it anew, or write it anew with "
            "np.savez"
        ) from error


def _read_header(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Header:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise SweepError(
            f"{path}: {member.filename} is packed in a way that NumPy does not write; "
            "save it with np.savez or np.savez_compressed"
        )
    with archive.open(member) as file:
        start = io.BytesIO(file.read(MAX_HEADER))
    read = (
        np.lib.format.read_array_header_1_0
        if np.lib.format.read_magic(start) == (1, 0)
        else np.lib.format.read_array_header_2_0  # and 3.0, which differs in field names only
    )
    shape, _, dtype = read(start)
    if dtype.hasobject:
        name = member.filename.removesuffix(".npy")
        mend = f"{name}={name}.astype({'np.float32' if name.startswith('X') else 'str'})"
        raise SweepError(
            f"{path}: {member.filename} holds Python objects, which are never unpickled; "
            f"save numbers or text: {mend}"
        )
    size = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or start.tell() + size != member.file_size:
        raise ValueError(f"{member.filename} is not as long as its header says")
    return Header(shape, dtype)


def check_headers(npz: Npz) -> None:
    """Refuse arrays that are missing, of the wrong kind or shape, or do not match."""
    path, headers, ignored = npz.path, npz.headers, npz.ignored
    if not {"X", "y"} <= set(headers):
        held = ignored + tuple(headers)
        if {"indices", "indptr"} <= set(held):
            raise SweepError(
                f"{path}: holds a SciPy matrix: must hold X and y; "
                "np.savez(file, X=matrix.toarray(), y=labels) writes them"
            )
        raise SweepError(
            f"{path}: must hold X and y: got {listed(held)}; "
            "np.savez(file, X=features, y=labels) writes them"
        )
    for part in ("", "_val", "_test"):
        X, y = f"X{part}", f"y{part}"  # noqa: N806 - as they are called in the file
        if (X in headers) != (y in headers):
            missing = y if X in headers else X
            raise SweepError(f"{path}: must hold both of {X} and {y}, or neither; add {missing}")
        if X in headers:
            _check_features(path, X, headers)
            _check_labels(npz, y, rows=headers[X].shape[0])
    names = headers.get("class_names")
    if names and (names.dtype.kind not in "US" or len(names.shape) != 1 or 0 in names.shape):
        raise SweepError(
            f"{path}: class_names must be a list of strings: got {names}; "
            "save e.g. class_names=['cat', 'dog']"
        )


def _check_features(path: Path, name: str, headers: Mapping[str, Header]) -> None:
    header, training = headers[name], headers["X"]
    if header.dtype.kind not in NUMBERS or len(header.shape) not in (2, 3, 4):
        many = len(header.shape) > 4 and header.dtype.kind in NUMBERS  # noqa: PLR2004 - (n, h, w, c)
        mend = f"{name}={name}.reshape(len({name}), -1)" if many else f"{name} as such an array"
        raise SweepError(
            f"{path}: {name} must be numbers of shape (n, d), (n, h, w) or (n, h, w, c): "
            f"got {header}; save {mend}"
        )
    if 0 in header.shape:
        raise SweepError(f"{path}: {name} must not be empty: got {header}; add rows and features")
    if len(header.shape) == 4 and header.shape[2] != 1:  # noqa: PLR2004 - (n, h, w, c)
        _check_channels(path, name, header)
    if header.shape[1:] != training.shape[1:] or header.dtype != training.dtype:
        raise SweepError(
            f"{path}: {name} must have the features and the dtype of X: got {header}, "
            f"X is {training}; make it as X was made"
        )


def _check_channels(path: Path, name: str, header: Header) -> None:
    if header.shape[3] in CHANNELS:
        return
    if header.shape[1] in CHANNELS:
        mend = f"move them to the end: {name}={name}.transpose(0, 2, 3, 1)"
    elif header.shape[3] == 4:  # noqa: PLR2004 - red, green, blue and opacity
        mend = f"leave out the opacity: {name}={name}[..., :3]"
    else:
        mend = f"save features as {name}={name}.reshape(len({name}), -1)"
    raise SweepError(
        f"{path}: images (n, h, w, c) have 1 or 3 channels: {name} is {header}; {mend}"
    )


def _check_labels(npz: Npz, name: str, *, rows: int) -> None:
    path, header = npz.path, npz.headers[name]
    if header.dtype.kind not in NUMBERS + "US":
        raise SweepError(
            f"{path}: {name} must be whole numbers or text: got {header}; "
            f"save {name}={name}.astype(str)"
        )
    if header.shape in {(rows,), (rows, 1)}:
        return
    if len(header.shape) == 2 and header.shape[0] == rows:  # noqa: PLR2004 - a row of numbers each
        raise SweepError(_several_labels(npz, name))
    raise SweepError(
        f"{path}: {name} must be {rows:,} labels, one for each row, of shape ({rows},): "
        f"got {header}; save as many labels as rows"
    )


def _several_labels(npz: Npz, name: str) -> str:
    """Say how to mend labels (n, k): one-hot, or several a row."""
    header = npz.headers[name]
    must = f"{npz.path}: {name} must be one label a row: got"
    if header.dtype.kind in NUMBERS:
        table = npz.read(name)
        if ((table != 0).sum(axis=1) == 1).all() and np.isin(table, (0, 1)).all():
            return f"{must} one-hot {header}; save {name}={name}.argmax(axis=1)"
    return (
        f"{must} {header.shape[1]} a row; choose the one to learn, e.g. {name}={name}[:, 0], "
        "in a file of its own"
    )


def _kept(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype that features are kept in until they are standardised."""
    if dtype in (np.uint8, np.bool_):
        return np.dtype(np.uint8)
    return np.dtype(np.float32 if np.can_cast(dtype, np.float32, "safe") else np.float64)


def finite_features(array: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """Return features (n, d) as uint8, float32 or float64, whichever holds them; all finite."""
    with np.errstate(over="ignore"):  # beyond float64: infinite, and refused below
        features = np.ascontiguousarray(array, dtype=_kept(array.dtype))
    if features.dtype == np.uint8:
        return features
    nan = infinite = 0
    values = features.reshape(-1)
    for start in range(0, len(values), CHUNK):
        chunk = values[start : start + CHUNK]
        if not np.isfinite(chunk).all():
            nan += int(np.isnan(chunk).sum())
            infinite += int(np.isinf(chunk).sum())
    if nan or infinite:
        raise SweepError(
            f"{name}: features must be finite numbers: {nan:,} of {features.size:,} are NaN and "
            f"{infinite:,} infinite; drop or fill those rows"
        )
    return features


def _merged(array: npt.NDArray[Any], features: npt.NDArray[Any]) -> int:
    """How many features vary in the file, and no longer where they are narrowed to float64."""
    if array.dtype.itemsize < 8 or array.dtype == np.float64:  # noqa: PLR2004 - 53 bits are kept
        return 0
    varied, vary = (rows.max(axis=0) != rows.min(axis=0) for rows in (array, features))
    return int((varied & ~vary).sum())


def whole_labels(array: npt.NDArray[Any], where: str, name: str) -> npt.NDArray[Any]:
    """Return labels (n,) as text, bool or whole numbers; floats are taken where they are whole."""
    labels = array.reshape(len(array))
    if labels.dtype.kind in "US":
        return text_of(labels, where)
    if labels.dtype.kind != "f":
        return labels
    wrong = ~(np.isfinite(labels) & (labels == np.floor(labels)) & (np.abs(labels) < 2**53))
    if wrong.any():
        row = int(wrong.argmax())
        raise SweepError(
            f"{where}: labels must be whole numbers or text: {int(wrong.sum()):,} of "
            f"{len(labels):,} are not, the first in row {row}: {labels[row].item()!r}; drop those "
            f"rows, or save classes, e.g. {name}=np.digitize({name}, bins)"
        )
    return labels.astype(np.int64)


def text_of(array: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """Return text, or bytes as UTF-8."""
    try:
        text = np.char.decode(array, "utf-8", "replace") if array.dtype.kind == "S" else array
        text.tolist()
    except (ValueError, SystemError) as error:  # four bytes that are no character
        raise SweepError(f"{name} must be text: {error}; write it anew with np.savez") from error
    return text


def _indices(labels: npt.NDArray[Any], classes: npt.NDArray[Any]) -> Labels:
    """Return the index of each label's class; -1 for a label that is of none."""
    order = np.argsort(classes)
    positions = np.searchsorted(classes, labels, sorter=order).clip(max=len(classes) - 1)
    indices: Labels = order[positions].astype(np.int64)
    indices[classes[indices] != labels] = -1
    return indices


def _image_shape(shape: tuple[int, ...]) -> ImageShape | None:
    match shape[1:]:
        case (1, *_) | (_, 1, *_):  # features that a model gave another axis
            return None
        case (height, width):
            return 1, height, width
        case (height, width, channels):
            return channels, height, width
        case _:
            return None

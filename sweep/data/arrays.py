"""Features and labels by name, wherever the arrays lie: checked by their headers, then read."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sweep.config import ARRAY_NAMES
from sweep.data.dataset import ARRAYS, Dataset, check_memory, listed, meaning_dtype
from sweep.errors import SweepError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt
    from numpy.typing import ArrayLike

    from sweep.config import DataFiles
    from sweep.data.dataset import SplitKind
    from sweep_model import ImageShape, Labels

MAX_NAME = 80  # characters
CHUNK = 1 << 24  # values looked at together: a 16 MB mask
CHANNELS = (1, 3)  # what can be drawn
SPARSE = ({"indices", "indptr"}, {"row", "col", "data", "format", "shape"})  # SciPy's names
NUMBERS = "biuf"  # NumPy's kinds: bool, int, unsigned, float


@dataclass(frozen=True, eq=False)
class Array:
    """An array before it is read.

    Attributes
    ----------
    where : it lies, for messages: the file and its name there.
    shape, dtype : as the file says.
    read : returns it, or raises SweepError where the file is damaged.
    columns : of a table that it is made of.
    """

    where: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[], npt.NDArray[Any]]
    columns: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.dtype!s:.80} of shape {self.shape}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Features:
    """Somebody's own features or images: X and y, perhaps validation and test rows.

    Attributes
    ----------
    arrays : by the names of `ARRAY_NAMES`.
    kind : what the file was taken for, a phrase.
    files : where they lie; None in memory.
    notices : what the user should know of how they were taken, a line each.
    """

    arrays: Mapping[str, Array]
    kind: str
    files: DataFiles | None = None
    notices: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The file's own name, in letters that a path and a URL can hold."""
        if self.files is None:
            return ARRAYS
        path = Path(self.files.data)
        return re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem)[:MAX_NAME].strip(".-") or "features"

    @property
    def folder(self) -> Path | None:
        """Where it lies."""
        return None if self.files is None else Path(self.files.data).parent

    @property
    def location(self) -> str:
        """The file."""
        return "in memory" if self.files is None else self.files.data

    @property
    def _file(self) -> str:
        """What messages call it."""
        return "data" if self.files is None else self.files.data

    @property
    def official(self) -> tuple[None, str]:
        """Nobody has published them."""
        return None, "your own arrays" if self.files is None else "your own file"

    @property
    def split_kind(self) -> SplitKind:
        """Given where there are validation rows, else stratified."""
        return "given" if "X_val" in self.arrays else "stratified"

    @property
    def default_val_size(self) -> int:
        """The validation rows that are given, or a fifth of X up to 1,000."""
        if "X_val" in self.arrays:
            return self.arrays["X_val"].shape[0]
        return min(1_000, self.arrays["X"].shape[0] // 5)

    @property
    def has_test(self) -> bool:
        """Whether there are X_test and y_test."""
        return "X_test" in self.arrays

    def development(self) -> Dataset:
        """The rows of X, then those of X_val."""
        class_names, parts = self._classes()
        labels = np.concatenate([part for name, part in parts.items() if name != "y_test"])
        return self._dataset(("X", "X_val"), labels, class_names, list(self._notices(parts)))

    def test(self) -> Dataset:
        """The rows of X_test; SweepError where there are none."""
        if not self.has_test:
            raise SweepError(
                f"{self.location}: holds no test rows; add X_test and y_test, or name a file of "
                "them with --test"
            )
        class_names, parts = self._classes()
        self._refuse_unknown("y_test", parts["y_test"], class_names)
        return self._dataset(("X_test",), parts["y_test"], class_names, [])

    def _labels(self, name: str) -> npt.NDArray[Any]:
        return whole_labels(self.arrays[name].read(), self.arrays[name].where, name)

    def _classes(self) -> tuple[tuple[str, ...], dict[str, Labels]]:
        """The class names, and for each array of labels the index of each row's class.

        The classes are `class_names`, to which whole numbers point, or the distinct labels of y.
        A label of y_test that is none of them is -1.
        """
        given: list[str] = [name for name in ("y", "y_val", "y_test") if name in self.arrays]
        labels = {name: self._labels(name) for name in given}
        if len({part.dtype.kind == "U" for part in labels.values()}) > 1:
            raise SweepError(
                f"{self._file}: {', '.join(labels)} must all be text, or all numbers: got "
                f"{', '.join(str(self.arrays[name].dtype) for name in labels)}; save them alike"
            )
        classes, class_names = np.unique(labels["y"]), None
        if "class_names" in self.arrays:
            class_names = self._text(self.arrays["class_names"].read(), "class_names")
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
                f"{self.arrays['y'].where}: there must be two classes or more: all "
                f"{len(labels['y']):,} rows are of class {labels['y'][0].item()!r}; add rows of "
                "another"
            )
        return class_names, indices

    def _refuse_unknown(self, name: str, indices: Labels, class_names: tuple[str, ...]) -> None:
        unknown = indices < 0
        if not unknown.any():
            return
        row, label = int(unknown.argmax()), self._labels(name)[unknown][0].item()
        rule, mend = "such as y has", "add such rows to X"
        if "class_names" in self.arrays:
            last = len(class_names) - 1
            is_text = isinstance(label, str)
            rule = "in class_names" if is_text else f"0 to {last}, the positions in class_names"
            mend = "correct class_names, or leave them out"
        raise SweepError(
            f"{self.arrays[name].where}: labels must be {rule}: {int(unknown.sum()):,} of "
            f"{len(indices):,} are not, the first in row {row}: {label!r}; drop those rows, or "
            f"{mend}"
        )

    def _text(self, names: npt.NDArray[Any], name: str) -> tuple[str, ...]:
        """Return names of classes that a line and a table can show."""
        where = self.arrays[name].where
        texts = tuple(text_of(names, where).tolist())
        bad = [text for text in texts if not text.isprintable() or not 0 < len(text) <= MAX_NAME]
        if bad or len(set(texts)) < len(texts):
            wrong = f"got {bad[0][:100]!r}" if bad else "one stands there twice"
            raise SweepError(
                f"{where} must be 1 to {MAX_NAME} printable characters each"
                f"{', all different' if name == 'class_names' else ''}: {wrong}; rename it"
            )
        return texts

    def _notices(self, labels: Mapping[str, Labels]) -> Iterator[str]:
        """Yield what was taken for what, a line each."""
        yield from self.notices
        rows, *sides = self.arrays["X"].shape
        if len(sides) == 2 and 1 not in sides:  # noqa: PLR2004 - height and width
            yield (
                f"{self._file}: X is taken for {rows:,} grey images of {sides[0]} x {sides[1]}; "
                "save features as X.reshape(len(X), -1)."
            )
        unknown = int((labels.get("y_test", np.zeros(0)) < 0).sum())
        if unknown:
            yield (
                f"{self._file}: {unknown:,} of {len(labels['y_test']):,} rows of X_test are of "
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
        arrays = {name: self.arrays[name] for name in parts if name in self.arrays}
        first = arrays[parts[0]]
        check_memory(
            self._file,
            sum(array.shape[0] for array in arrays.values()),
            math.prod(first.shape[1:]),
            bytes_each=_bytes_each(first.dtype, len(arrays)),
        )
        rows = []
        for name, array in arrays.items():
            given = _flattened(array)
            rows.append(finite_features(given, array.where))
            merged = _merged(given, rows[-1])
            if merged:
                notices.append(
                    f"{self._file}: {merged:,} features of {name} vary by less than float64 "
                    "holds, and are taken for constant; subtract their mean beforehand."
                )
        return Dataset(
            name=self.name,
            rows=rows[0] if len(rows) == 1 else np.concatenate(rows),
            labels=labels,
            class_names=class_names,
            image_shape=_image_shape(self.arrays["X"].shape),
            notices=tuple(notices),
        )


def features_of(file: str, array: Array | None, others: Sequence[str]) -> npt.NDArray[Any]:
    """Return X of a file as a study takes it, rows (n, d); all finite."""
    if array is None:
        raise SweepError(f"{file}: must hold X: got {listed(others)}; --map X=NAME names it")
    _check_features("X", array, array)
    features, dtype = math.prod(array.shape[1:]), array.dtype
    check_memory(file, array.shape[0], features, bytes_each=_bytes_each(dtype, 1))
    return finite_features(_flattened(array), array.where)


def _bytes_each(dtype: np.dtype[Any], copies: int) -> int:
    """Return how many bytes a feature takes while so many copies are made of it."""
    held = _held(dtype)
    return held.itemsize * copies + (0 if held == dtype else dtype.itemsize)


def _flattened(array: Array) -> npt.NDArray[Any]:
    """Read features as rows (n, d), images flattened in channel, row, column order."""
    given = array.read()
    if given.ndim == 4 and _image_shape(given.shape) is not None:  # noqa: PLR2004 - (n, h, w, c)
        given = given.transpose(0, 3, 1, 2)
    return given.reshape(len(given), -1)


def open_arrays(data: Sequence[ArrayLike] | Mapping[str, ArrayLike]) -> Features:
    """Take `(X, y)`, or arrays by the names of `ARRAY_NAMES`, as they are in memory."""
    if not isinstance(data, Mapping):
        if len(data) != 2:  # noqa: PLR2004 - X and y
            raise SweepError(f"data: arrays are (X, y), or a dict of them: got {len(data)} of them")
        data = dict(zip(("X", "y"), data, strict=True))
    arrays = {}
    for name in ARRAY_NAMES:
        if name in data:
            given = _plain(name, data[name])
            arrays[name] = Array(f"data: {name}", given.shape, given.dtype, partial(_itself, given))
    others = tuple(sorted(set(map(str, data)) - set(ARRAY_NAMES)))
    check_arrays("data", arrays, others)
    return Features(arrays=arrays, kind="arrays in memory", notices=ignored("data", others))


def _itself(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return array


def ignored(file: str, others: Sequence[str]) -> tuple[str, ...]:
    """Name the arrays that are not used, if there are any, in a line."""
    if not others:
        return ()
    return (f"{file}: ignored, as sweep knows no such arrays: {listed(others)}.",)


def _plain(name: str, values: ArrayLike) -> npt.NDArray[Any]:
    """Return what NumPy makes of it; text in a table of objects is text."""
    array = np.asarray(values)
    if array.dtype.hasobject and all(isinstance(value, str) for value in array.flat):
        array = array.astype(str)
    if array.dtype.hasobject:
        raise SweepError(f"data: {name} must be numbers or text: got Python objects")
    return array


def check_arrays(file: str, arrays: Mapping[str, Array], others: Sequence[str] = ()) -> None:
    """Refuse arrays that are missing, of the wrong kind or shape, or do not match."""
    if not {"X", "y"} <= set(arrays):
        held = (*others, *arrays)
        if any(keys <= set(held) for keys in SPARSE):
            raise SweepError(
                f"{file}: holds a SciPy matrix: must hold X and y; "
                "np.savez(file, X=matrix.toarray(), y=labels) writes them"
            )
        known = f", --map X={listed(others[:1])},y=NAME names others" if others else ""
        raise SweepError(
            f"{file}: must hold X and y: got {listed(held)}; "
            f"np.savez(file, X=features, y=labels) writes them{known}"
        )
    for part in ("", "_val", "_test"):
        X, y = f"X{part}", f"y{part}"  # noqa: N806 - as they are called in the file
        if (X in arrays) != (y in arrays):
            missing = y if X in arrays else X
            raise SweepError(f"{file}: must hold both of {X} and {y}, or neither; add {missing}")
        if X in arrays:
            _check_features(X, arrays[X], arrays["X"])
            _check_labels(y, arrays[y], rows=arrays[X].shape[0])
    names = arrays.get("class_names")
    if names and (names.dtype.kind not in "US" or len(names.shape) != 1 or 0 in names.shape):
        raise SweepError(
            f"{names.where} must be a list of strings: got {names}; "
            "save e.g. class_names=['cat', 'dog']"
        )


def _check_features(name: str, array: Array, training: Array) -> None:
    where = array.where
    if array.dtype.kind not in NUMBERS or len(array.shape) not in (2, 3, 4):
        many = len(array.shape) > 4 and array.dtype.kind in NUMBERS  # noqa: PLR2004 - (n, h, w, c)
        mend = f"{name}={name}.reshape(len({name}), -1)" if many else f"{name} as such an array"
        raise SweepError(
            f"{where} must be numbers of shape (n, d), (n, h, w) or (n, h, w, c): "
            f"got {array}; save {mend}"
        )
    if 0 in array.shape:
        raise SweepError(f"{where} must not be empty: got {array}; add rows and features")
    if len(array.shape) == 4 and array.shape[2] != 1:  # noqa: PLR2004 - (n, h, w, c)
        _check_channels(name, array)
    if array.shape[1:] != training.shape[1:] or array.dtype != training.dtype:
        raise SweepError(
            f"{where} must have the features and the dtype of X: got {array}, "
            f"X is {training}; make it as X was made"
        )
    if array.columns != training.columns:
        pairs = zip_longest(array.columns, training.columns)  # lists of numbers have no columns
        mine, other = next(pair for pair in pairs if pair[0] != pair[1])
        lists = "one column of lists"
        raise SweepError(
            f"{where} must have the columns of X in their order: got {mine or lists!r} where X has "
            f"{other or lists!r}; write it with the same columns"
        )


def _check_channels(name: str, array: Array) -> None:
    shape = array.shape
    if shape[3] in CHANNELS:
        return
    if shape[1] in CHANNELS:
        mend = f"move them to the end: {name}={name}.transpose(0, 2, 3, 1)"
    elif shape[3] == 4:  # noqa: PLR2004 - red, green, blue and opacity
        mend = f"leave out the opacity: {name}={name}[..., :3]"
    else:
        mend = f"save features as {name}={name}.reshape(len({name}), -1)"
    raise SweepError(
        f"{array.where}: images (n, h, w, c) have 1 or 3 channels: got {array}; {mend}"
    )


def _check_labels(name: str, array: Array, *, rows: int) -> None:
    if array.dtype.kind not in NUMBERS + "US":
        raise SweepError(
            f"{array.where} must be whole numbers or text: got {array}; "
            f"save {name}={name}.astype(str)"
        )
    if array.shape in {(rows,), (rows, 1)}:
        return
    if len(array.shape) == 2 and array.shape[0] == rows:  # noqa: PLR2004 - a row of numbers each
        raise SweepError(_several_labels(name, array))
    raise SweepError(
        f"{array.where} must be {rows:,} labels, one for each row, of shape ({rows},): "
        f"got {array}; save as many labels as rows"
    )


def _several_labels(name: str, array: Array) -> str:
    """Say how to mend labels (n, k): one-hot, or several a row."""
    must = f"{array.where} must be one label a row: got"
    if array.dtype.kind in NUMBERS:
        table = array.read()
        if ((table != 0).sum(axis=1) == 1).all() and np.isin(table, (0, 1)).all():
            return f"{must} one-hot {array}; save {name}={name}.argmax(axis=1)"
    return (
        f"{must} {array.shape[1]} a row; choose the one to learn, e.g. {name}={name}[:, 0], "
        "in a file of its own"
    )


def _held(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype that features are held in: their own where float32 or float64 holds it all."""
    meaning = meaning_dtype(dtype)
    narrow = meaning == np.float32 and dtype.isnative
    return dtype if narrow else meaning


def finite_features(array: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """Return features (n, d) in a type that holds them; all finite."""
    with np.errstate(over="ignore"):  # beyond float64: infinite, and refused below
        features = np.ascontiguousarray(array, dtype=_held(array.dtype))
    if features.dtype.kind != "f":
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

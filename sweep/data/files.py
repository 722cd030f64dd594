"""The one place that knows which files hold data, and what each is opened with."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sweep.config import ARRAY_NAMES
from sweep.data.arrays import Array, Features, check_arrays, features_of, ignored
from sweep.data.dataset import listed, reopen_source
from sweep.data.numpy_files import open_folder, open_npy, open_npz
from sweep.data.safetensors import open_safetensors
from sweep.data.tables import open_table
from sweep.errors import SweepError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from sweep.config import DataConfig, DataFiles

NAMED = {
    ".npz": ("arrays in an .npz file", open_npz),
    ".safetensors": ("arrays in a .safetensors file", open_safetensors),
    "": ("a folder of .npy files", open_folder),
}
"""What holds arrays by names."""
TABLES = (".parquet", ".csv")
TORCH = (".pt", ".pth")
PICKLES = (*TORCH, ".pkl", ".pickle", ".joblib")
RULE = (
    "data must be auto, cifar10, digits or a file: .npz, .npy, .safetensors, .parquet, .csv, or a "
    "folder of .npy files"
)


class _Opened(NamedTuple):
    """What one file holds, by the names of `ARRAY_NAMES`."""

    arrays: dict[str, Array]
    kind: str
    notices: tuple[str, ...]
    others: tuple[str, ...] = ()


def open_files(files: DataFiles) -> Features:
    """Open a file and what goes with it; what its headers show to be wrong is refused at once."""
    main = _open(files.data, files.labels, files)
    arrays = dict(main.arrays)
    for ours, theirs in files.names.items():
        if ours not in arrays:
            raise SweepError(
                f"{files.data}: --map must name arrays that are there: got {theirs!r} beside "
                f"{_names(main)}; correct it"
            )
    for part, path, labels in (
        ("val", files.val, files.val_labels),
        ("test", files.test, files.test_labels),
    ):
        if path is None:
            if labels is not None:
                raise SweepError(
                    f"{labels}: --{part}-labels goes with --{part} FILE; give both, or neither"
                )
            continue
        if {f"X_{part}", f"y_{part}"} & arrays.keys():
            raise SweepError(
                f"{files.data}: holds {part} rows itself, and --{part} names {path}; leave it out"
            )
        other = _open(path, labels, files)
        for name in ("X", "y"):
            if name not in other.arrays:
                mend = f"--{part}-labels names a file of them" if name == "y" else "add it"
                raise SweepError(f"{path}: must hold {name}: got {_names(other)}; {mend}")
            arrays[f"{name}_{part}"] = other.arrays[name]
    check_arrays(files.data, arrays, main.others)
    return Features(arrays=arrays, kind=main.kind, files=files, notices=main.notices)


def read_features(files: DataFiles, trained: DataConfig) -> npt.NDArray[Any]:
    """Return the features of a file as a study takes them, rows (n, d); labels are ignored.

    The column of a table that is called `label` is no feature. `names` may say what X is called;
    a file without such an array has it as X. Where the study was `trained` on a table that is still
    there as it was, columns are taken by its names, and otherwise as they stand.

    Raises
    ------
    SweepError
        The file cannot be read, or its features are refused.

    """
    opened = _open(files.data, None, files, labelled=False)
    if "X" not in opened.arrays and files.names:
        opened = _open(files.data, None, replace(files, names={}), labelled=False)
    array = opened.arrays.get("X")
    order = None if array is None else _order(array, trained)
    features = features_of(files.data, array, [*opened.others, *opened.arrays])
    return features if order is None else features.take(order, axis=1)


def _order(array: Array, trained: DataConfig) -> list[int] | None:
    """Return which columns of a table the study's columns are; None where they are as they stand.

    SweepError names the first that is missing, or that is too many.
    """
    if not array.columns or trained.files is None:
        return None
    parts = {name: part for name, part in trained.parts.items() if not name.startswith("test")}
    try:
        own = reopen_source(replace(trained, parts=parts))
        columns = own.arrays["X"].columns if isinstance(own, Features) else ()
        if columns in ((), array.columns) or own.development().digest != trained.data_digest:
            return None
    except SweepError:  # it is not there any more
        return None
    for wrong, others, rule in (
        (columns, array.columns, "must have the columns that the study was trained on: got none"),
        (array.columns, columns, "must have no columns but those of the study: got one"),
    ):
        name = next((name for name in wrong if name not in others), None)
        if name is not None:
            mend = "leave it out" if wrong is array.columns else "add it, in numbers"
            raise SweepError(f"{array.where}: {rule} called {listed([name])}; {mend}")
    return [array.columns.index(name) for name in columns]


def _open(named: str, labels: str | None, files: DataFiles, *, labelled: bool = True) -> _Opened:
    path = Path(named).expanduser()
    is_folder = bool(named) and os.path.isdir(path)  # noqa: PTH112 - False where the name is none
    suffix = "" if is_folder else f".{path.name.rpartition('.')[2].lower()}"
    if suffix in PICKLES:
        raise SweepError(_pickled(path))
    if suffix not in (*NAMED, *TABLES, ".npy"):
        raise SweepError(f"{RULE}: got {named!r}; np.savez(FILE, X=features, y=labels) writes one")
    if suffix in TABLES:
        opened = _table(path, suffix, files, labelled=labelled)
    elif suffix == ".npy":
        opened = _Opened({"X": open_npy(path, "X")}, "an array in an .npy file", ())
    else:
        opened = _named(path, suffix, files.names)
    if not labelled:
        return opened
    if suffix not in TABLES and files.label is not None:
        raise SweepError(
            f"{path}: --label names a column of a table: got --label {files.label}; "
            "--labels FILE.npy names the labels of arrays"
        )
    if labels is None:
        if suffix == ".npy":
            raise SweepError(f"{path}: holds features alone; --labels FILE.npy names their labels")
        return opened
    if "y" in opened.arrays:
        raise SweepError(f"{path}: holds labels itself: got --labels {labels}; leave it out")
    return opened._replace(arrays=opened.arrays | {"y": open_npy(Path(labels).expanduser(), "y")})


def _table(path: Path, suffix: str, files: DataFiles, *, labelled: bool) -> _Opened:
    arrays, others = open_table(path, files.label, labelled=labelled)
    rows, features = arrays["X"].shape
    kind = f"a {suffix} table of {rows:,} rows: labels in {files.label!r}, {features:,} features"
    left = (f"{path}: left out, as they are no numbers: {listed(others)}.",) if others else ()
    return _Opened(arrays, kind, left)


def _named(path: Path, suffix: str, names: Mapping[str, str]) -> _Opened:
    """Open arrays by the names that they have, or that --map says."""
    theirs = {names.get(name, name): name for name in ARRAY_NAMES}
    kind, opener = NAMED[suffix]
    held, others = opener(path, tuple(theirs))
    arrays = {theirs[name]: array for name, array in held.items()}
    return _Opened(arrays, kind, ignored(str(path), others), tuple(others))


def _names(opened: _Opened) -> str:
    return listed([*opened.others, *opened.arrays])


def _pickled(path: Path) -> str:
    """Say how to make arrays of a pickle, which may hold code."""
    if path.suffix.lower() in TORCH:
        line = f"torch.load('{path.name}', weights_only=True).numpy()"
        mend = f"np.save('{path.stem}.npy', {line}) makes an array of a tensor"
    else:
        mend = "np.savez(FILE, X=features, y=labels) writes what you trust it to hold"
    return f"{path}: is a pickle, which may hold code and is never opened; {mend}"

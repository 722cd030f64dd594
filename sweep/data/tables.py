"""Tables in .parquet and .csv files: a column of labels, and features in the others.

pyarrow comes with MLflow. https://arrow.apache.org/docs/python/parquet.html
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from sweep.data.arrays import Array
from sweep.data.dataset import check_memory, listed
from sweep.errors import SweepError
from sweep.io import check_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    Batches = Callable[[Sequence[str]], Iterator[Any]]

HEAD = 1 << 16  # bytes of a .csv file that tell how long its lines are


@dataclass(frozen=True, eq=False)
class _Table:
    """A table: pyarrow's schema, so many rows, and the batches of some columns."""

    path: Path
    schema: Any
    rows: int
    batches: Batches


def open_table(
    path: Path, label: str | None, *, labelled: bool = True
) -> tuple[dict[str, Array], list[str]]:
    """Return X and y of a table, and the names of the columns that are left out.

    The features are all columns of numbers, or the one column of lists of numbers, but for the
    label. Unless it must be `labelled` there is no y, and there need be no such column.
    """
    check_file(path, f"name a {path.suffix} file inside it")
    with _damaged(path):
        table = (_csv if path.suffix.lower() == ".csv" else _parquet)(path)
        if not table.rows:
            raise SweepError(f"{path}: a table must have rows: got no rows; add rows")
        return _arrays(table, label, labelled=labelled)


def _parquet(path: Path) -> _Table:
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path) as file:
        schema, rows = file.schema_arrow, file.metadata.num_rows

    def batches(names: Sequence[str]) -> Iterator[Any]:
        with ParquetFile(path) as file:
            yield from file.iter_batches(columns=list(names))

    return _Table(path, schema, rows, batches)


def _csv(path: Path) -> _Table:
    from pyarrow.csv import read_csv

    with path.open("rb") as file:
        head = file.read(HEAD)
    lines = max(1, head.count(b"\n"))
    rows = path.stat().st_size * lines // max(1, len(head))
    check_memory(str(path), rows, head.partition(b"\n")[0].count(b",") + 1, bytes_each=16)
    table = read_csv(path)

    def batches(names: Sequence[str]) -> Iterator[Any]:
        yield from table.select(names).to_batches()

    return _Table(path, table.schema, len(table), batches)


def _arrays(
    table: _Table, label: str | None, *, labelled: bool
) -> tuple[dict[str, Array], list[str]]:
    from pyarrow import types

    path, names = table.path, table.schema.names
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise SweepError(f"{path}: has two columns {twice!r:.80}; rename one of them")
    if labelled and label not in names:
        got = "no --label" if label is None else f"--label {label}"
        raise SweepError(
            f"{path}: --label must name the column of labels: got {got}; the columns are "
            f"{listed(names)}"
        )
    kinds = {name: table.schema.field(name).type for name in names if name != label}
    lists = [name for name, kind in kinds.items() if _is_list(kind)]
    numbers = [
        name
        for name, kind in kinds.items()
        if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
    ]
    if len(lists) > 1 or not lists + numbers:
        held = f"{len(lists)} columns of lists" if lists else "no column of numbers"
        raise SweepError(
            f"{path}: features are one column of lists, or all columns of numbers: got {held} "
            f"beside {label!r}: {listed(kinds)}; write a table with one kind of features"
        )
    taken = lists or numbers
    others = [name for name in kinds if name not in taken]
    features = _lists(table, taken[0]) if lists else _numbers(table, taken, kinds)
    if not labelled or label is None:
        return {"X": features}, others
    values = _labels(table, label)
    y = Array(f"{path}: {listed([label])}", values.shape, values.dtype, lambda: values)
    return {"X": features, "y": y}, others


def _is_list(kind: Any) -> bool:
    from pyarrow import types

    nested = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return bool(
        nested and (types.is_integer(kind.value_type) or types.is_floating(kind.value_type))
    )


def _numbers(table: _Table, names: Sequence[str], kinds: dict[str, Any]) -> Array:
    dtype = np.result_type(*(kinds[name].to_pandas_dtype() for name in names))
    if table.path.suffix.lower() == ".csv":
        dtype = np.dtype(np.float64)  # whether a file has whole numbers only is chance
    shape = (table.rows, len(names))
    read = partial(_read, table, names, shape, dtype)
    return Array(f"{table.path}: X", shape, dtype, read, tuple(names))


def _lists(table: _Table, name: str) -> Array:
    dtype = np.dtype(table.schema.field(name).type.value_type.to_pandas_dtype())
    first = next((batch for batch in table.batches([name]) if len(batch)), None)
    length = 0 if first is None else len(first.column(0)[0].as_py() or ())
    shape = (table.rows, length)
    read = partial(_read, table, [name], shape, dtype)
    return Array(f"{table.path}: {listed([name])}", shape, dtype, read)


def _read(
    table: _Table, names: Sequence[str], shape: tuple[int, int], dtype: np.dtype[Any]
) -> npt.NDArray[Any]:
    """Return features (n, d), read batch by batch."""
    rows, start = np.empty(shape, dtype), 0
    with _damaged(table.path):
        for batch in table.batches(names):
            part = rows[start : start + len(batch)]
            for j, name in enumerate(names):
                column = batch.column(j)
                _refuse_empty(table.path, name, column.null_count)
                if _is_list(column.type):
                    part[:] = _flat(table.path, name, column, shape[1])
                else:
                    part[:, j] = column.to_numpy(zero_copy_only=False)
            start += len(batch)
    return rows


def _flat(path: Path, name: str, column: Any, length: int) -> npt.NDArray[Any]:
    """Return the lists of a column as rows (n, length)."""
    from pyarrow import compute

    lengths = compute.list_value_length(column).to_numpy(zero_copy_only=False)
    if (lengths != length).any():
        raise SweepError(
            f"{path}: {listed([name])}: rows must have as many numbers each: got {lengths.min()} "
            f"to {max(length, lengths.max())}; drop those rows, or fill them up"
        )
    values = column.flatten()
    _refuse_empty(path, name, values.null_count)
    rows: npt.NDArray[Any] = values.to_numpy(zero_copy_only=False).reshape(-1, length)
    return rows


def _labels(table: _Table, name: str) -> npt.NDArray[Any]:
    """Return the column of labels: numbers as they are, anything else as text."""
    import pyarrow as pa

    column = pa.Table.from_batches(list(table.batches([name]))).column(0)
    _refuse_empty(table.path, name, column.null_count)
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
        column = column.cast(kind)
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    if not is_number:
        column = column.cast(pa.string())
    values: npt.NDArray[Any] = column.to_numpy()
    return values if is_number else values.astype(str)


def _refuse_empty(path: Path, name: str, empty: int) -> None:
    if empty:
        raise SweepError(
            f"{path}: {listed([name])}: must not be empty: {empty:,} rows are; drop or fill those "
            "rows"
        )


@contextmanager
def _damaged(path: Path) -> Iterator[None]:
    """Say in one line what pyarrow finds wrong with a file."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, UnicodeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        if isinstance(error, OSError) and error.strerror:
            raise SweepError(f"{path}: cannot be read: {error.strerror}") from error
        raise SweepError(
            f"{path}: is no whole {path.suffix.lower()} table: {reason:.200}; copy it anew, or "
            "write it anew with pandas"
        ) from error

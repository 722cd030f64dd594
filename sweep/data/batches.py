"""One CIFAR-10 batch: the content of a file turned into rows and labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from sweep.data.unpickle import recorded_array, unpickle
from sweep.errors import SweepError

if TYPE_CHECKING:
    import numpy.typing as npt

    from sweep_model.arrays import Labels

PIXELS = 3 * 32 * 32
CLASSES = 10

Batch: TypeAlias = "tuple[npt.NDArray[np.uint8], npt.NDArray[Any]]"


def read_binary(content: bytes, name: str, records: int) -> Batch:
    """Rows (records, 3072) and labels (records,) of records of one label and its pixels."""
    if len(content) != records * (1 + PIXELS):
        raise SweepError(
            f"{name}: must hold {records:,} records of {1 + PIXELS:,} bytes: "
            f"got {len(content):,} bytes"
        )
    table = np.frombuffer(content, np.uint8).reshape(records, 1 + PIXELS)
    return table[:, 1:], _checked(table[:, 0], name)


def read_python(content: bytes, name: str, records: int) -> Batch:
    """The same of a pickled dictionary of `data` and `labels`."""
    try:
        batch = unpickle(content)
        rows = recorded_array(batch["data"], (records, PIXELS))
        labels = _whole_numbers(batch["labels"], records)
    except KeyError as error:
        raise SweepError(f"{name}: is no CIFAR-10 batch: it has no {error}") from error
    except ValueError as error:
        raise SweepError(f"{name}: is no CIFAR-10 batch: {error}") from error
    return rows, _checked(labels, name)


def _whole_numbers(entry: object, records: int) -> Labels:
    if not isinstance(entry, list) or len(entry) != records:
        raise ValueError(f"its labels must be a list of {records:,}")
    strange = next((i for i, label in enumerate(entry) if type(label) is not int), None)
    if strange is not None:
        raise ValueError(f"its label of record {strange} is no whole number")
    return np.array(entry, np.int64)


def _checked(labels: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    strange = (labels < 0) | (labels >= CLASSES)
    if strange.any():
        record = int(strange.argmax())
        raise SweepError(
            f"{name}: labels must be 0 to {CLASSES - 1}: record {record} (counted from 0) has "
            f"{int(labels[record])}"
        )
    return labels

"""What the headers of a .npz say before any array is read: do its arrays fit together?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.errors import SweepError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sweep.data.arrays import Header

CHANNELS = (1, 3)  # what can be drawn
NUMBERS = "biuf"  # NumPy's kinds: bool, int, unsigned, float


def check_headers(path: Path, headers: Mapping[str, Header]) -> None:
    """Refuse arrays that are missing, of the wrong kind or shape, or do not match."""
    for name in ("X", "y"):
        if name not in headers:
            raise SweepError(f"{path}: must hold X and y: got {', '.join(headers) or 'nothing'}")
    for part in ("", "_val", "_test"):
        X, y = f"X{part}", f"y{part}"  # noqa: N806 - as they are called in the file
        if (X in headers) != (y in headers):
            raise SweepError(f"{path}: must hold both of {X} and {y}, or neither")
        if X in headers:
            _check_features(path, X, headers)
            _check_labels(path, y, headers[y], rows=headers[X].shape[0])
    names = headers.get("class_names")
    if names and (names.dtype.kind not in "US" or len(names.shape) != 1):
        raise SweepError(f"{path}: class_names must be a list of strings: got {_described(names)}")


def _check_features(path: Path, name: str, headers: Mapping[str, Header]) -> None:
    header, training = headers[name], headers["X"]
    if header.dtype.kind not in NUMBERS or len(header.shape) not in (2, 3, 4):
        raise SweepError(
            f"{path}: {name} must be numbers of shape (n, d), (n, h, w) or (n, h, w, c): "
            f"got {_described(header)}"
        )
    if 0 in header.shape:
        raise SweepError(f"{path}: {name} must not be empty: got {_described(header)}")
    if len(header.shape) == 4 and header.shape[3] not in CHANNELS:  # noqa: PLR2004 - (n, h, w, c)
        raise SweepError(
            f"{path}: images (n, h, w, c) have 1 or 3 channels: {name} is {_described(header)}; "
            "features without an image shape are given as (n, d)"
        )
    if header.shape[1:] != training.shape[1:] or header.dtype != training.dtype:
        raise SweepError(
            f"{path}: {name} must have the features and the dtype of X: "
            f"got {_described(header)}, X is {_described(training)}"
        )


def _check_labels(path: Path, name: str, header: Header, *, rows: int) -> None:
    if header.dtype.kind not in NUMBERS or header.shape != (rows,):
        raise SweepError(
            f"{path}: {name} must be {rows:,} labels, one for each row, of shape ({rows},): "
            f"got {_described(header)}"
        )


def _described(header: Header) -> str:
    return f"{header.dtype!s:.80} of shape {header.shape}"

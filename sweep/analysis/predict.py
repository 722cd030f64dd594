"""Labels and probabilities of new rows, from a study's model, in a file."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from sweep.errors import SweepError
from sweep.io import with_room, write_whole

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from sweep_model.classifier import LinearClassifier

SUFFIXES = (".csv", ".npz")
BLOCK = 1 << 16
"""Rows that are standardised at a time."""


def check_out(out: Path, file: Path) -> None:
    """Refuse a file of another kind, or that of the rows, before anything is read."""
    if out.suffix.lower() not in SUFFIXES:
        raise SweepError(f"--out must end in .csv or .npz: got {out}; name it so")
    try:
        same = out.samefile(file)
    except (OSError, ValueError):  # one of them is not there
        same = False
    if same:
        raise SweepError(
            f"--out must not be the file of the rows: got {out}; name another, to keep the rows"
        )


def write_predictions(classifier: LinearClassifier, rows: npt.NDArray[Any], out: Path) -> None:
    """Write for each row the label and the probability of each class, whole or not at all.

    A .csv has a line for each row, an .npz the arrays `labels`, `probabilities` and `class_names`.
    Sigmoids of the bce loss stand as they are: they do not add up to 1.

    Raises
    ------
    SweepError
        The rows are not of the model's features or too large for it, or the file cannot be written.

    """
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # not finite: refused below
            blocks = [
                classifier.probabilities(rows[i : i + BLOCK]) for i in range(0, len(rows), BLOCK)
            ]
    except ValueError as error:
        raise SweepError(f"the model does not take these rows: {error}") from error
    probabilities, names = np.concatenate(blocks), np.array(classifier.class_names)
    bad = ~np.isfinite(probabilities).all(axis=1)
    if bad.any():
        row = int(bad.argmax())
        raise SweepError(
            f"the model's probabilities must be finite: those of {int(bad.sum()):,} of "
            f"{len(rows):,} rows are not, the first in row {row}: {rows[row].max():g} is its "
            f"largest feature, {rows[row].min():g} its least; correct or drop those rows"
        )
    labels, buffer = names[probabilities.argmax(axis=1)], io.BytesIO()
    if out.suffix.lower() == ".npz":
        np.savez(buffer, labels=labels, probabilities=probabilities, class_names=names)
    else:
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["label", *names])
        table.writerows([label, *row] for label, row in zip(labels, probabilities, strict=True))
        buffer.write(text.getvalue().encode())
    try:
        write_whole(out, buffer.getvalue())
    except OSError as error:
        raise SweepError(
            f"{out}: cannot be written: {with_room(str(error.strerror), out)}; choose another "
            "place with --out"
        ) from error

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


def read_rows(path: Path) -> npt.NDArray[Any]:
    """Return the rows of a .npy file, or X of an .npz: (n, d), images as a study takes them.

    Raises
    ------
    SweepError
        It cannot be read, or holds no such array.

    """
    rows: npt.NDArray[Any]
    try:
        read = np.load(path, allow_pickle=False)
        if isinstance(read, np.ndarray):
            rows = read
        else:
            with read:
                rows = read["X"]
    except FileNotFoundError as error:
        raise SweepError(f"{path}: there is no such file; name one with rows") from error
    except KeyError as error:
        raise SweepError(f"{path}: must hold X; np.savez(FILE, X=features) writes it") from error
    except (OSError, ValueError, EOFError) as error:
        raise SweepError(
            f"{path}: is no .npy or .npz file of numbers: {str(error).splitlines()[0]:.200}; "
            "np.savez(FILE, X=features) writes one"
        ) from error
    if rows.ndim == 4:  # noqa: PLR2004 - (n, height, width, channels)
        rows = rows.transpose(0, 3, 1, 2)
    return rows.reshape(len(rows), -1) if rows.ndim > 1 else rows


def check_out(out: Path) -> None:
    """Refuse a file of another kind, before anything is read."""
    if out.suffix.lower() not in SUFFIXES:
        raise SweepError(f"--out must end in .csv or .npz: got {out}; name it so")


def write_predictions(classifier: LinearClassifier, rows: npt.NDArray[Any], out: Path) -> None:
    """Write for each row the label and the probability of each class, whole or not at all.

    A .csv has a line for each row, an .npz the arrays `labels`, `probabilities` and `class_names`.
    Sigmoids of the bce loss stand as they are: they do not add up to 1.

    Raises
    ------
    SweepError
        The rows are not of the model's features, or the file cannot be written.

    """
    try:
        probabilities = classifier.probabilities(rows)
    except ValueError as error:
        raise SweepError(f"the model does not take these rows: {error}") from error
    names = np.array(classifier.class_names)
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

"""The trained classifier: it predicts, and keeps itself in a file."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sweep_model.losses import LOSSES, Loss
from sweep_model.npz import read_arrays, write_arrays
from sweep_model.preprocessing import Standardiser

if TYPE_CHECKING:
    import numpy.typing as npt

    from sweep_model import Floats, ImageShape, Labels

_MEMBERS = ("weights", "bias", "mean", "factor", "loss", "image_shape", "class_names")


@dataclass(frozen=True, eq=False)
class LinearClassifier:
    """A trained classifier of raw rows: scores s = W x + b of the standardised row x.

    Attributes
    ----------
    weights, bias : W (k, d) and b (k,), float32 and finite.
    standardiser : from raw rows (n, d) to x.
    loss : what it was trained with; it turns scores into probabilities.
    image_shape : (channels, height, width) of a row, or None where rows are no images.
    class_names : k of them.

    Raises
    ------
    ValueError
        The parts do not fit together.
    """

    weights: Floats
    bias: Floats
    standardiser: Standardiser
    loss: Loss
    image_shape: ImageShape | None
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.weights.ndim != 2:  # noqa: PLR2004 - (k, d)
            raise ValueError(f"weights must be (k, d), got shape {self.weights.shape}")
        classes, features = self.weights.shape
        _check_floats("weights", self.weights, (classes, features))
        _check_floats("bias", self.bias, (classes,))
        for name in ("mean", "factor"):
            _check_floats(name, getattr(self.standardiser, name), (features,), np.float64)
        if len(self.class_names) != classes:
            raise ValueError(f"class_names must be {classes} names, got {self.class_names!r}")
        _check_image_shape(self.image_shape, features)

    def scores(self, rows: npt.ArrayLike) -> Floats:
        """Scores (n, k) of raw rows (n, d), images flattened in channel, row, column order.

        Raises
        ------
        ValueError
            The rows have another shape, or are not all finite.
        """
        rows = np.asarray(rows)
        if rows.ndim != 2 or rows.shape[1] != self.weights.shape[1]:  # noqa: PLR2004 - (n, d)
            raise ValueError(self._other_shape(rows.shape))
        bad = rows.size - np.count_nonzero(np.isfinite(rows))
        if bad:
            raise ValueError(
                f"rows must be finite: {bad:,} of {rows.size:,} values are NaN or infinite; "
                "drop or fill those rows"
            )
        return self.standardiser.apply(rows) @ self.weights.T + self.bias

    def _other_shape(self, shape: tuple[int, ...]) -> str:
        """Say which shape is wanted, and how what is given gets it, if it can."""
        message, features = f"rows must be (n, {self.weights.shape[1]})", self.weights.shape[1]
        channels, height, width = self.image_shape or (0, 0, 0)
        mend = ""
        if shape == (features,):
            mend = "; give a single row as row[None]"
        elif self.image_shape is not None and shape[1:] == (height, width, channels):
            mend = "; flatten images: images.transpose(0, 3, 1, 2).reshape(len(images), -1)"
        elif len(shape) > 1 and math.prod(shape[1:]) == features:
            mend = "; flatten them: rows.reshape(len(rows), -1)"
        return f"{message}, got shape {shape}{mend}"

    def probabilities(self, rows: npt.ArrayLike) -> Floats:
        """Probabilities (n, k) of raw rows (n, d); with bce each class stands alone."""
        return self.loss.probabilities(self.scores(rows))

    def predict(self, rows: npt.ArrayLike) -> Labels:
        """The class with the highest score of each raw row, (n,)."""
        labels: Labels = self.scores(rows).argmax(axis=1)
        return labels

    @property
    def digest(self) -> str:
        """SHA-256 of the shapes and bytes of the weights and the bias, in hex."""
        digest = hashlib.sha256()
        for array in (self.weights, self.bias):
            digest.update(repr(array.shape).encode())
            digest.update(array.astype("<f4").tobytes())
        return digest.hexdigest()

    def save(self, path: Path | str) -> None:
        """Write a .npz file, whole or not at all.

        Raises
        ------
        OSError
            The file cannot be written; what `path` held before is still there.
        """
        arrays = {
            "weights": self.weights,
            "bias": self.bias,
            "mean": self.standardiser.mean,
            "factor": self.standardiser.factor,
            "loss": np.array(self.loss.name),
            "image_shape": np.array(self.image_shape or (), dtype=np.int64),
            "class_names": np.array(self.class_names, dtype=np.str_),
        }
        if self.standardiser.unit:
            arrays["unit"] = np.array(True)
        write_arrays(Path(path), arrays)

    @classmethod
    def load(cls, path: Path | str) -> LinearClassifier:
        """Read what `save` wrote, bit for bit.

        Raises
        ------
        OSError
            The file cannot be opened.
        ValueError
            The file is not a classifier; the message says why.
        """
        arrays = read_arrays(Path(path), _MEMBERS, optional="unit")
        try:
            return cls(
                weights=arrays["weights"],
                bias=arrays["bias"],
                standardiser=_read_standardiser(arrays["mean"], arrays["factor"], "unit" in arrays),
                loss=_named_loss(arrays["loss"]),
                image_shape=_read_image_shape(arrays["image_shape"]),
                class_names=_read_names(arrays["class_names"]),
            )
        except ValueError as error:
            raise ValueError(f"{path} is not a classifier: {error}") from error


def _check_floats(
    name: str, array: Floats, shape: tuple[int, ...], dtype: type[np.floating[Any]] = np.float32
) -> None:
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(
            f"{name} must be {dtype.__name__} of shape {shape}, "
            f"got {array.dtype} of shape {array.shape}"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite")


def _check_image_shape(image_shape: ImageShape | None, features: int) -> None:
    if image_shape is None:
        return
    channels, height, width = image_shape
    if min(image_shape) < 1 or channels * height * width != features:
        raise ValueError(f"image_shape must hold {features} features, got {image_shape!r}")


def _read_standardiser(mean: Floats, factor: Floats, unit: bool) -> Standardiser:  # noqa: FBT001
    if not {mean.dtype, factor.dtype} <= {np.dtype("f4"), np.dtype("f8")}:
        raise ValueError(f"mean and factor must be floats, got {mean.dtype} and {factor.dtype}")
    return Standardiser(mean, factor, unit)


def _named_loss(name: npt.NDArray[Any]) -> Loss:
    if name.shape != () or str(name) not in LOSSES:
        raise ValueError(f"loss must be one of {sorted(LOSSES)}, got {name!r}")
    return LOSSES[str(name)]


def _read_image_shape(sizes: npt.NDArray[Any]) -> ImageShape | None:
    if sizes.dtype != np.int64 or sizes.shape not in {(0,), (3,)}:
        raise ValueError(f"image_shape must be 3 whole numbers or none, got {sizes!r}")
    if len(sizes) == 0:
        return None
    channels, height, width = sizes.tolist()
    return channels, height, width


def _read_names(names: npt.NDArray[Any]) -> tuple[str, ...]:
    if names.ndim != 1 or names.dtype.kind != "U":
        raise ValueError(f"class_names must be a list of text, got {names!r}")
    return tuple(names.tolist())

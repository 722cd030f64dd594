"""Rows made ready to train on: standardised by feature, and turned into the mirror basis.

Images are rows laid flat in channel, row, column order; what is said of rows of images holds for
weights (k, d) too. In the mirror basis a pair of pixels (left, right) that change places when an
image is mirrored becomes ((left + right) / sqrt 2, (left - right) / sqrt 2). Mirroring leaves the
first, even, number as it is and changes the sign of the second, odd, one. So the scores of a
mirrored image are

    s = W_even x_even - W_odd x_odd + b

and mirroring costs a change of sign in a few scores, where it would have cost a copy of the image.
The basis is orthonormal: scores and sum(W^2) are what they are among the pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from sweep_model import Floats, ImageShape, Labels
    from sweep_model.training import Rows

CHUNK = 1_000  # rows turned at a time: beside the rows themselves it takes 25 MB for CIFAR-10
POWER_STEPS = 30
_SCALE = math.sqrt(0.5)  # a Python float: a NumPy one would turn float32 into float64


def check_images(features: int, flip_probability: float, image_shape: ImageShape | None) -> None:
    """Refuse flips of rows that are no images, and images of another size: a ValueError."""
    if image_shape is None and flip_probability > 0:
        raise ValueError(
            f"flip_probability must be 0 where rows have no image_shape, got {flip_probability!r}"
        )
    if image_shape is not None and math.prod(image_shape) != features:
        raise ValueError(f"image_shape must hold {features} features, got {image_shape!r}")


@dataclass(frozen=True, eq=False)
class ChosenRows:
    """Some rows (n, d) of an array, in an order; they are copied where they are indexed."""

    given: npt.NDArray[Any]
    numbers: Labels

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d)."""
        return len(self.numbers), self.given.shape[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the array."""
        return self.given.dtype

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, at: slice | Labels) -> npt.NDArray[Any]:
        return self.given[self.numbers[at]]


@dataclass(frozen=True, eq=False)
class Standardiser:
    """x -> (x - mean) * factor, per feature, or of a row x / ||x||.

    Attributes
    ----------
    mean : (d,) of the rows it was fitted to, in float64.
    factor : (d,) 1 / standard deviation, in float64; 0 for a feature that never varied, which
        therefore is 0 in every row.
    unit : whether a row is first divided by its length; a row of zeros stays as it is.
    """

    mean: Floats
    factor: Floats
    unit: bool = False

    def __post_init__(self) -> None:
        for name in ("mean", "factor"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), np.float64))

    @classmethod
    def fit(cls, rows: npt.NDArray[Any] | ChosenRows) -> Standardiser:
        """Learn from rows (n, d) of any number type; the statistics are made in float64.

        Raises
        ------
        ValueError
            There are no rows, or a feature's mean or 1 / deviation is not finite.
        """
        if len(rows.shape) != 2 or len(rows) == 0:  # noqa: PLR2004 - (n, d)
            raise ValueError(f"rows must be (n, d) with n at least 1, got shape {rows.shape}")
        with np.errstate(all="ignore"):  # what is not finite is refused below, by feature
            mean = _mean(rows, lambda chunk: chunk)
            low, high = extremes(rows)
            # Squares of very large or small numbers leave float64. A power of two rounds nothing.
            farthest = np.maximum(high - mean, mean - low)
            unit = np.ldexp(1.0, np.frexp(farthest)[1].clip(-1021, 1021))
            deviation = unit * np.sqrt(_mean(rows, lambda chunk: np.square((chunk - mean) / unit)))
            # Not `deviation > 0`: a mean of equal numbers may differ from them by a rounding.
            factor = np.divide(1, deviation, out=np.zeros_like(deviation), where=high != low)
        broken = ~(np.isfinite(mean) & np.isfinite(factor))
        if broken.any():
            j = int(broken.argmax())
            raise ValueError(
                f"feature {j} cannot be standardised: "
                f"its mean is {mean[j]!s}, its standard deviation {deviation[j]!s}"
            )
        return cls(mean, factor)

    @classmethod
    def unfitted(cls, features: int, *, unit: bool) -> Standardiser:
        """Take rows as they are or, `unit`, with the length sqrt(d) of standardised rows.

        With it the learning rates that suit standardised rows suit them, too.
        """
        scale = math.sqrt(features) if unit else 1.0
        return cls(np.zeros(features), np.full(features, scale), unit)

    @property
    def fits_float32(self) -> bool:
        """Whether raw rows may be narrowed to float32 beforehand, and what varies is kept."""
        if self.unit:
            return False
        varies = self.factor != 0
        mean, deviation = np.abs(self.mean[varies]), 1 / self.factor[varies]
        within = (deviation > 1e-30) & (deviation < 1e30)  # noqa: PLR2004 - float32: 1e-38 to 3e38
        return bool((within & (mean < 2**14 * deviation)).all())  # 10 of 24 bits are left

    def apply(self, rows: npt.NDArray[Any] | ChosenRows) -> Floats:
        """Standardise rows (n, d) into a new float32 array."""
        # Bytes are whole in float32. What varies in other rows may be lost beside their mean there.
        dtype = np.float32 if rows.dtype == np.uint8 and not self.unit else np.float64
        mean, factor = self.mean.astype(dtype), self.factor.astype(dtype)
        standardised: Floats = np.empty(rows.shape, dtype=np.float32)
        for start in range(0, len(rows), CHUNK):
            chunk = slice(start, start + CHUNK)
            part = rows[chunk]
            if self.unit:
                part = part.astype(np.float64)
                length = np.sqrt(np.square(part).sum(axis=1, keepdims=True))
                part /= np.where(length > 0, length, 1)
            standardised[chunk] = np.subtract(part, mean, dtype=dtype) * factor
        return standardised


def extremes(rows: npt.NDArray[Any] | ChosenRows) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The least and the greatest value of each feature, (d,) each."""
    low = high = rows[:1][0]
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        if chunk.dtype == np.float16:  # of which NumPy compares one at a time
            chunk = chunk.astype(np.float32)
        low, high = np.minimum(low, chunk.min(axis=0)), np.maximum(high, chunk.max(axis=0))
    return low, high


def _mean(rows: npt.NDArray[Any] | ChosenRows, of: Callable[[Floats], Floats]) -> Floats:
    """The mean over the rows of a function of them, chunk by chunk in float64."""
    total = np.zeros(rows.shape[1])
    for start in range(0, len(rows), CHUNK):
        total += of(rows[start : start + CHUNK].astype(np.float64)).sum(axis=0)
    return total / len(rows)


def mirror(rows: Floats, image_shape: ImageShape) -> Floats:
    """Every image (a row of (n, c * h * w)) mirrored left to right, as a new array.

    Raises
    ------
    ValueError
        The rows are not as long as the images.
    """
    return _lines(rows, image_shape)[:, :, ::-1].copy().reshape(rows.shape)


def to_mirror_basis(rows: Floats, image_shape: ImageShape) -> tuple[Floats, Floats]:
    """Turn every pair (left, right) into (left + right) / sqrt 2 and (left - right) / sqrt 2.

    The change of basis is orthonormal, so products of rows and sums of squares stay as they
    are, and mirroring an image only changes the sign of its odd part.

    Returns
    -------
    even : (n, c * h * ceil(w / 2)); the middle column of an odd width is in it, unscaled.
    odd : (n, c * h * floor(w / 2)).

    Raises
    ------
    ValueError
        The rows are not as long as the images.
    """
    lines = _lines(rows, image_shape)
    width = image_shape[2]
    half = width // 2
    left, right = lines[:, :, :half], lines[:, :, : -half - 1 : -1]
    even = np.empty((*lines.shape[:2], width - half), dtype=lines.dtype)
    even[:, :, half:] = lines[:, :, half : width - half]
    # In place: the whole of CIFAR-10 goes through here, 600 MB in float32.
    pairs = even[:, :, :half]
    np.add(left, right, out=pairs)
    pairs *= _SCALE
    odd = left - right
    odd *= _SCALE
    return _flat(even), _flat(odd)


def from_mirror_basis(even: Floats, odd: Floats, image_shape: ImageShape) -> Floats:
    """Undo `to_mirror_basis`: rows (n, c * h * w) in pixel order.

    Raises
    ------
    ValueError
        The two parts are not as long as the halves of the images.
    """
    channels, height, width = image_shape
    half = width // 2
    evens = _lines(even, (channels, height, width - half))
    odds = _lines(odd, (channels, height, half))
    pairs = evens[:, :, :half]
    lines = np.empty((*evens.shape[:2], width), dtype=even.dtype)
    lines[:, :, :half] = (pairs + odds) * _SCALE
    lines[:, :, half : width - half] = evens[:, :, half:]
    lines[:, :, width - half :] = ((pairs - odds) * _SCALE)[:, :, ::-1]
    return _flat(lines)


def _lines(rows: Floats, image_shape: ImageShape) -> Floats:
    """The rows as (n, c * h, w): a view that keeps the lines of pixels apart."""
    channels, height, width = image_shape
    if rows.shape[1:] != (channels * height * width,):
        raise ValueError(f"rows of shape {rows.shape} are not images of shape {image_shape}")
    return rows.reshape(len(rows), channels * height, width)


def _flat(lines: Floats) -> Floats:
    """Undo `_lines`; a size of -1 would be ambiguous where there are no rows or no columns."""
    return lines.reshape(len(lines), lines.shape[1] * lines.shape[2])


@dataclass(frozen=True)
class MirrorBasis:
    """The mirror basis of rows of d features, the even part and the odd part side by side.

    Where rows are no images everything is even, and nothing changes.

    Raises
    ------
    ValueError
        The images are not as large as the rows.
    """

    features: int
    image_shape: ImageShape | None = None

    def __post_init__(self) -> None:
        check_images(self.features, 0, self.image_shape)

    @property
    def evens(self) -> int:
        """How many of the features are even; they come first."""
        if self.image_shape is None:
            return self.features
        channels, height, width = self.image_shape
        return channels * height * (width - width // 2)

    def turn(self, rows: Floats) -> Floats:
        """Pixels (n, d) to (n, d), even features first, as a new array."""
        if self.image_shape is None:
            return rows.copy()
        turned = np.empty_like(rows)
        for start in range(0, len(rows), CHUNK):
            chunk = slice(start, start + CHUNK)
            even, odd = to_mirror_basis(rows[chunk], self.image_shape)
            turned[chunk, : self.evens], turned[chunk, self.evens :] = even, odd
        return turned

    def turn_back(self, turned: Floats) -> Floats:
        """Undo `turn`, as a new array."""
        if self.image_shape is None:
            return turned.copy()
        return from_mirror_basis(turned[:, : self.evens], turned[:, self.evens :], self.image_shape)


@dataclass(frozen=True, eq=False)
class UnwidenedRows:
    """Rows (n, d) held as they were given; indexed they are float32 in the mirror basis.

    The numbers have the same bits as those of rows that were standardised beforehand, and take a
    half or a quarter of the memory.
    """

    given: ChosenRows
    standardiser: Standardiser
    basis: MirrorBasis

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d)."""
        return self.given.shape

    def __getitem__(self, at: slice | Labels) -> Floats:
        return self.basis.turn(self.standardiser.apply(self.given[at]))

    def part(self, which: slice) -> UnwidenedRows:
        """Return some of the rows; nothing is copied."""
        few = ChosenRows(self.given.given, self.given.numbers[which])
        return UnwidenedRows(few, self.standardiser, self.basis)

    def widened(self) -> Floats:
        """Return all rows as an array, standardised and turned some at a time."""
        rows = np.empty(self.shape, dtype=np.float32)
        for start in range(0, len(rows), CHUNK):
            rows[start : start + CHUNK] = self[start : start + CHUNK]
        return rows


@dataclass(frozen=True, eq=False)
class MirrorRows:
    """Rows (n, d) in the mirror basis with their labels (n,); trainers only read them.

    As an array they are a copy as large as the rows it was made of, 600 MB for CIFAR-10: make it
    once and hand it to every trainer.
    """

    rows: Floats | UnwidenedRows
    labels: Labels
    basis: MirrorBasis

    def part(self, which: slice) -> MirrorRows:
        """Return some of the rows; nothing is copied."""
        rows = self.rows[which] if isinstance(self.rows, np.ndarray) else self.rows.part(which)
        return MirrorRows(rows, self.labels[which], self.basis)

    def first(self, n: int) -> MirrorRows:
        """Return the first n rows; nothing is copied."""
        return self.part(slice(n))

    @classmethod
    def of(cls, rows: Rows, image_shape: ImageShape | None) -> MirrorRows:
        """Turn rows of pixels; see `MirrorBasis` for what is refused."""
        basis = MirrorBasis(rows.rows.shape[1], image_shape)
        return cls(basis.turn(rows.rows), rows.labels, basis)


def largest_eigenvalue(rows: Floats) -> float:
    """Return the largest eigenvalue of the covariance of standardised rows (n, d), to a percent.

    It is the same in the mirror basis. Found by power iteration from a fixed vector.
    """
    start: Floats = np.random.default_rng(0).standard_normal((rows.shape[1],))
    vector, value = start.astype(rows.dtype), 0.0
    for _ in range(POWER_STEPS):
        product: Floats = rows.T @ (rows @ vector) / len(rows)
        value = float(np.linalg.norm(product))
        if value == 0:
            break
        vector = product / value
    return value

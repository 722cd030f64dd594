"""Your own data from an .npz file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from sweep.data.arrays import read_array, read_headers
from sweep.data.checks import finite_features, known_labels, trainable, whole_labels
from sweep.data.dataset import Dataset
from sweep.data.headers import check_headers
from sweep.errors import SweepError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from sweep.data.arrays import Header
    from sweep.data.source import SplitKind
    from sweep_model.arrays import ImageShape, Labels

KNOWN = ("X", "y", "X_val", "y_val", "X_test", "y_test", "class_names")
MAX_NAME = 80  # characters


@dataclass(frozen=True)
class Npz:
    """Somebody's own features or images: X and y, perhaps validation and test rows."""

    path: Path
    headers: dict[str, Header]

    official: ClassVar[None] = None
    official_note: ClassVar[str] = "your own file"

    @property
    def name(self) -> str:
        """The file's own name, in letters that a path and a URL can hold."""
        return re.sub(r"[^A-Za-z0-9._-]+", "-", self.path.stem)[:MAX_NAME].strip(".-") or "npz"

    @property
    def folder(self) -> Path:
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

    def development(self) -> Dataset:
        """The rows of X, then those of X_val."""
        labels, class_names = self._classes()
        return self._dataset(("X", "X_val"), labels, class_names)

    def test(self) -> Dataset:
        """The rows of X_test; SweepError where there are none."""
        if not self.has_test:
            raise SweepError(f"{self.path}: holds no test rows; add X_test and y_test")
        class_names = self._classes()[1]
        labels = whole_labels(read_array(self.path, "y_test"), f"{self.path}: y_test")
        known_labels(labels, len(class_names), f"{self.path}: y_test")
        return self._dataset(("X_test",), labels, class_names)

    def _classes(self) -> tuple[Labels, tuple[str, ...]]:
        """The development labels, and the names of the classes that they point to."""
        parts = {
            name: whole_labels(read_array(self.path, name), f"{self.path}: {name}")
            for name in ("y", "y_val")
            if name in self.headers
        }
        labels = np.concatenate(list(parts.values()))
        named = "class_names" in self.headers
        classes = self.headers["class_names"].shape[0] if named else int(labels.max()) + 1
        for name, part in parts.items():
            known_labels(part, classes, f"{self.path}: {name}")
        trainable(parts["y"], classes, f"{self.path}: y")
        return labels, self._class_names() if named else tuple(str(k) for k in range(classes))

    def _class_names(self) -> tuple[str, ...]:
        names = read_array(self.path, "class_names")
        if names.dtype.kind == "S":
            names = np.char.decode(names, "utf-8", "replace")
        try:
            class_names = tuple(names.tolist())
        except (ValueError, SystemError) as error:  # four bytes that are no character
            raise SweepError(f"{self.path}: class_names must be text: {error}") from error
        bad = [
            name for name in class_names if not name.isprintable() or not 0 < len(name) <= MAX_NAME
        ]
        if bad or len(set(class_names)) < len(class_names):
            wrong = f"got {bad[0][:100]!r}" if bad else "one stands there twice"
            raise SweepError(
                f"{self.path}: class_names must be 1 to {MAX_NAME} printable characters each, "
                f"all different: {wrong}"
            )
        return class_names

    def _dataset(
        self, parts: tuple[str, ...], labels: Labels, class_names: tuple[str, ...]
    ) -> Dataset:
        features = [self._features(name) for name in parts if name in self.headers]
        return Dataset(
            name=self.name,
            rows=features[0] if len(features) == 1 else np.concatenate(features),
            labels=labels,
            class_names=class_names,
            image_shape=_image_shape(self.headers["X"].shape),
        )

    def _features(self, name: str) -> npt.NDArray[Any]:
        """Rows (n, d); images (n, h, w, c) with their channels brought to the front."""
        features = finite_features(read_array(self.path, name), f"{self.path}: {name}")
        if features.ndim == 4:  # noqa: PLR2004 - (n, h, w, c)
            features = features.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(features.reshape(len(features), -1))


def open_npz(path: Path) -> Npz:
    """Open a .npz; what its headers alone show to be wrong is refused at once."""
    headers = read_headers(path, KNOWN)
    check_headers(path, headers)
    return Npz(path, headers)


def _image_shape(shape: tuple[int, ...]) -> ImageShape | None:
    match shape[1:]:
        case (height, width):
            return 1, height, width
        case (height, width, channels):
            return channels, height, width
        case _:
            return None

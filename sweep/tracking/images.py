"""Images as files, and the images of a training as MLflow's UI looks for them: by their names."""

from __future__ import annotations

import io
import uuid
from typing import TYPE_CHECKING, Final

from PIL.Image import Resampling

from sweep.tracking.undocumented import image_name

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure
    from PIL.Image import Image

    from sweep.plots import Pixels

PREVIEW: Final = 304
"""The longer side of the image that the UI shows before one asks for the large one, in pixels."""


def png(image: Image) -> bytes:
    """Return an image as a PNG file, to the pixel."""
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)  # two thirds of the time for a tenth more bytes
    return file.getvalue()


def write_image(folder: Path, image: Image, key: str, *steps: int) -> None:
    """Write below a folder what `MlflowClient.log_image(image, key=key, step=step)` would log.

    An image of the same step has the same name: it takes the place of an earlier one.

    Parameters
    ----------
    folder
        Of the run's artifacts.
    image
        In RGB, or with a palette.
    key
        Of letters, digits and `_`: what the UI calls the row of images. Only one may be used: any
        other file under `images/` makes the UI show none.
    steps
        Where the image stands on the UI's slider.

    """
    whole, preview = png(image), _preview(image)
    for step in steps:
        identity = uuid.uuid5(uuid.NAMESPACE_OID, f"{key} {step}")
        stem = folder / image_name(key, step, identity)
        stem.parent.mkdir(parents=True, exist_ok=True)
        stem.with_name(f"{stem.name}.png").write_bytes(whole)
        stem.with_name(f"{stem.name}+compressed.webp").write_bytes(preview)


def write_figure(path: Path, figure: Figure | Image | Pixels) -> None:
    """Write a figure, drawn or not, as a PNG file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(as_image(figure)))


def as_image(figure: Figure | Image | Pixels) -> Image:
    """Return a figure as an image."""
    import numpy as np
    from matplotlib.figure import Figure
    from PIL.Image import fromarray

    if isinstance(figure, Figure):
        figure.canvas.draw()
        return fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3])  # type: ignore[attr-defined]  # of Agg
    return fromarray(figure) if isinstance(figure, np.ndarray) else figure


def _preview(image: Image) -> bytes:
    longer = max(image.size)
    size = image.width * PREVIEW // longer, image.height * PREVIEW // longer
    small = image.convert("RGB").resize(size, Resampling.BOX, reducing_gap=1.0)
    file = io.BytesIO()
    small.save(file, "WEBP", method=0)  # a third of the default's time for a tenth more bytes
    return file.getvalue()

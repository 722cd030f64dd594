"""From what `--data` says to the source of the rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sweep.data.cifar10 import find_cifar10
from sweep.data.digits import Digits
from sweep.data.npz import open_npz
from sweep.errors import SweepError

if TYPE_CHECKING:
    from sweep.data.source import Source


def open_source(data: str, data_dir: Path | None = None) -> Source:
    """Open what `--data` names: auto, cifar10, digits or a FILE.npz. Nothing is downloaded.

    `auto` is CIFAR-10 where `data_dir` or the cache folder holds it, and digits elsewhere.

    Raises
    ------
    SweepError
        There is no such data set, or it is not where it should be.
    """
    if data == "digits":
        return Digits()
    if data == "auto":
        places = [data_dir, cache_folder()] if data_dir else [cache_folder()]
        found = (find_cifar10(place.expanduser()) for place in places)
        return next((source for source in found if source), None) or Digits()
    if data == "cifar10":
        place = (data_dir or cache_folder()).expanduser()
        source = find_cifar10(place)
        if source is None:
            option = f" --data-dir {data_dir}" if data_dir else ""
            raise SweepError(
                f"{place}: holds no CIFAR-10; `sweep data download{option}` fetches it (170 MB), "
                "--data-dir says where you have it"
            )
        return source
    if data.lower().endswith(".npz"):
        return open_npz(Path(data).expanduser())
    raise SweepError(f"--data must be auto, cifar10, digits or a FILE.npz: got {data!r}")


def auto_notice(source: Source, data_dir: Path | None = None) -> str:
    """One line for `auto`: what was taken, and how to get the other."""
    if source.name == Digits.name:
        where = f"{data_dir} holds no CIFAR-10" if data_dir else "no CIFAR-10 was found"
        return (
            f"Data: digits (1,797 images of 8 x 8), as {where}; "
            "`sweep data download` fetches it (170 MB), --data-dir says where you have it."
        )
    return f"Data: CIFAR-10 from {source.location}; --data digits takes the small embedded set."


def cache_folder() -> Path:
    """Where `sweep data download` puts files unless told otherwise."""
    import pooch

    return Path(pooch.os_cache("sweep"))

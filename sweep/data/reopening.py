"""The rows that a study works on: chosen once, found again later and checked to be the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sweep.config import DataConfig
from sweep.errors import SweepError

if TYPE_CHECKING:
    from sweep.data import Prepared, Source


class DataChangedError(SweepError):
    """The rows found now are not the ones that the study recorded."""


def choose_data(
    source: Source, *, val_size: int | None, split_seed: int, given: str, mirrored: bool = False
) -> tuple[DataConfig, Prepared]:
    """Load, split and standardise; return the record of the choice and the rows.

    `given` is what the user named, so that a file is found again from any folder; `mirrored` rows
    are for panels, see `sweep.data.prepare`.
    """
    from sweep.data import prepare, split_rows

    dataset = source.development()
    split = split_rows(source, dataset, val_size=val_size, split_seed=split_seed)
    data = prepare(dataset, split, mirrored=mirrored)
    is_file = given.lower().endswith(".npz")
    choice = DataConfig(
        source=str(Path(given).expanduser().resolve()) if is_file else source.name,
        directory=None if source.folder is None else str(source.folder.resolve()),
        name=source.name,
        val_size=len(data.validation.labels),
        split_seed=split_seed,
        data_digest=data.data_digest,
        split_digest=data.split_digest,
    )
    return choice, data


def reopen_source(choice: DataConfig, directory: Path | None = None) -> Source:
    """Open the source of a study again, where it was or where the user says it is now."""
    from sweep.data import open_source

    recorded = Path(choice.directory) if choice.directory is not None else None
    return open_source(choice.source, directory or recorded)


def reopen_data(choice: DataConfig, source: Source) -> Prepared:
    """Load a study's rows again, ready for panels.

    Raises
    ------
    DataChangedError
        They, or their split, are no longer the recorded ones.

    """
    again, data = choose_data(
        source,
        val_size=choice.val_size,
        split_seed=choice.split_seed,
        given=choice.source,
        mirrored=True,
    )
    for name in ("data_digest", "split_digest"):
        old, new = getattr(choice, name), getattr(again, name)
        if old != new:
            raise DataChangedError(
                f"{choice.source}: the {name.replace('_', ' ')} is not the recorded one: "
                f"{old[:12]} -> {new[:12]}; {_remedy(choice.source)}"
            )
    return data


def _remedy(source: str) -> str:
    if source == "cifar10":
        return "say with --data-dir where the study's own data lie"
    if source == "digits":
        return "install the scikit-learn that the study was begun with"
    return "put the file back as it was when the study was begun"

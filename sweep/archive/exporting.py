"""Write a study into one file, and only such a file as can be read back to the same study."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweep.archive.container import FORMAT, pack, unpack
from sweep.archive.contents import CARRIED, Contents, read_contents
from sweep.archive.plain import RefusedError
from sweep.archive.trial_record import differences, ended
from sweep.errors import SweepError
from sweep.outputs import check_replaceable, write_whole
from sweep.study.champion import fetch_classifier
from sweep.study.lock import study_lock
from sweep.study.results import find_chosen

if TYPE_CHECKING:
    from pathlib import Path

    from sweep.study.opening import OpenStudy
    from sweep.tracking.tracker import Tracker


@dataclass(frozen=True)
class Exported:
    """An archive that was written: what is in it, its size in bytes and its SHA-256."""

    contents: Contents
    size: int
    digest: str


def export_study(study: OpenStudy, tracker: Tracker, file: Path) -> Exported:
    """Write the study as it stands, whole or not at all; an earlier archive is replaced.

    Raises
    ------
    SweepError
        The study is being run, its model is gone, it holds what sweep did not record, or the
        file cannot be written, or is something else's.

    """
    check_replaceable(file, mark=FORMAT.encode(), kind="archive")
    with study_lock(study.name):
        contents = _contents(study, tracker)
    content = pack(contents.members())
    _read_back(study.name, content, contents)
    try:
        write_whole(file, content)
    except OSError as error:
        raise SweepError(
            f"{file}: cannot be written: {error.strerror}; choose another place with --out"
        ) from error
    return Exported(contents, len(content), hashlib.sha256(content).hexdigest())


def _contents(study: OpenStudy, tracker: Tracker) -> Contents:
    chosen = find_chosen(study)
    known = {key: study.attribute(key) for key in CARRIED}
    return Contents(
        settings=study.settings,
        trials=[ended(trial) for trial in study.trials()],
        known={key: value for key, value in known.items() if value is not None},
        model=None if chosen is None else fetch_classifier(study, chosen, tracker),
    )


def _read_back(name: str, content: bytes, contents: Contents) -> None:
    """Refuse to write what an import would refuse, or would not make the same study of."""
    try:
        again = read_contents(unpack(content))
    except (RefusedError, SweepError) as error:
        raise SweepError(f"study {name!r} cannot be exported: {error}") from error
    for trial, read in zip(contents.trials, again.trials, strict=True):
        lost = differences(trial, read)
        if lost:
            raise SweepError(
                f"study {name!r} cannot be exported: trial {trial.number} was not recorded as "
                f"sweep does it, {', '.join(lost)} would be lost"
            )

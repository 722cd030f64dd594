"""Put a report on the disk and beside its studies in MLflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.errors import SweepError
from sweep.outputs import write_whole
from sweep.tracking.run import Run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sweep.report.rendering import Rendered
    from sweep.study.opening import OpenStudy
    from sweep.tracking.tracker import Tracker

ARTIFACTS = "report"


def write(rendered: Rendered, path: Path) -> list[Path]:
    """Write the pictures and then the text, each whole or not at all; return their paths.

    Raises
    ------
    SweepError
        The folder cannot be written to, or holds pictures that no report of this name drew.

    """
    files = {path.parent / place: content for place, content in rendered.files.items()}
    taken = [place for place in files if place.exists() and not path.exists()]
    if taken:
        raise SweepError(
            f"{taken[0]}: is there already, and {path} is not; move it away, or name another "
            "with --out"
        )
    files[path] = rendered.text.encode()
    try:
        for place, content in files.items():
            place.parent.mkdir(exist_ok=True)
            write_whole(place, content)
    except OSError as error:
        raise SweepError(
            f"{path}: cannot be written: {error.strerror}; name a place that can with --out"
        ) from error
    return list(files)


def log_report(
    written: Sequence[Path],
    path: Path,
    studies: Sequence[OpenStudy],
    trackers: Mapping[str, Tracker],
) -> list[str]:
    """Log the files with each study's own run; return the studies that have one in this store."""
    logged = []
    for study in studies:
        tracker = trackers[study.name]
        for found in tracker.runs(role="study", **study.tags)[:1]:
            run = Run(tracker, found.info.run_id)
            for file in written:
                folder = file.parent.relative_to(path.parent).as_posix()
                run.file(file, f"{ARTIFACTS}/{folder}".removesuffix("/."))
            run.flush()
            logged.append(study.name)
    return logged

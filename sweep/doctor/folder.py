"""The folder of the stores: where it lies, who may write there, and what was left in it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.doctor.finding import fail, ok, warn
from sweep.study.storage import FOLDER

if TYPE_CHECKING:
    from sweep.doctor.finding import Finding

MOUNTS = Path("/proc/mounts")
OVER_A_NETWORK = frozenset(
    (
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "ceph", "afs"),
        *("glusterfs", "fuse.glusterfs", "fuse.sshfs", "orangefs"),
    )
)
ENOUGH_SPACE, LEAST_SPACE = 1e9, 5e7
"""Bytes. Fifty trials on CIFAR-10 take about 80 MB."""


def check_folder() -> list[Finding]:
    """Look at `mlruns/`; where there is none, at the folder in which it would be made."""
    place = FOLDER if FOLDER.is_dir() else Path.cwd()
    return [check_place(place), check_file_system(place), check_space(place), check_left_over()]


def check_place(place: Path) -> Finding:
    """Tell whether the folder is there and may be written to."""
    check = f"{FOLDER}/"
    if FOLDER.exists() and not FOLDER.is_dir():
        return fail(check, "is a file, not a folder", "move it away, or change the folder")
    if not os.access(place, os.W_OK | os.X_OK):
        return fail(
            check,
            f"{place.resolve()} cannot be written to",
            "work in a folder you may write to, e.g. a copy of this one",
        )
    if place != FOLDER:
        return ok(check, "not here yet: `sweep run` makes it, or change to the folder that has it")
    return ok(check, f"{place.resolve()}, writable")


def check_file_system(place: Path) -> Finding:
    """Tell whether the stores lie on this machine's own disk."""
    kind = file_system(place.resolve())
    if kind in OVER_A_NETWORK:
        return warn(
            "file system",
            f"{kind}, which is reached over a network: SQLite's locks and its write-ahead log "
            "are not safe there",
            f"work in a folder on a local disk, and copy {FOLDER}/ to keep it",
        )
    return ok("file system", kind or "not known on this system")


def file_system(place: Path) -> str | None:
    """Return the kind of file system that holds a path; None where the system does not say."""
    try:
        lines = MOUNTS.read_text().splitlines()
    except OSError:
        return None
    mounted = [line.split()[1:3] for line in lines]
    # A later mount hides an earlier one, and a blank in a path stands there as \040.
    points = {Path(point.replace("\\040", " ")): kind for point, kind in mounted}
    return next((points[at] for at in (place, *place.parents) if at in points), None)


def check_space(place: Path) -> Finding:
    """Tell how much of the disk is free."""
    free = shutil.disk_usage(place).free
    said = f"{free / 1e9:.1f} GB free"
    if free < LEAST_SPACE:
        return fail("disk", said, "free some: a study of fifty trials takes about 0.1 GB")
    if free < ENOUGH_SPACE:
        return warn("disk", said, "free some: a study of fifty trials takes about 0.1 GB")
    return ok("disk", said)


def check_left_over() -> Finding:
    """Tell which half-written files of ours are left of a process that died."""
    hidden = [path for path in Path.cwd().glob(".*.partial") if not _is_being_written(path)]
    left = sorted(hidden) + sorted(FOLDER.glob("*.db.partial*"))
    if not left:
        return ok("left over", "no half-written file")
    names = [os.path.relpath(path) for path in left]
    return warn(
        "left over",
        f"half-written, by a process that died or is just writing: {', '.join(names)}",
        "delete them when nothing of sweep runs here",
    )


def _is_being_written(path: Path) -> bool:
    """Whether the process lives whose number is in the name, see `sweep.outputs.write_whole`."""
    number = path.name.split(".")[-2]
    try:
        os.kill(int(number), 0)
    except PermissionError:
        return True
    except (ValueError, OverflowError, OSError):
        return False
    return True

"""The .zip around a study: known members, uncompressed, each with its digest."""

from __future__ import annotations

import hashlib
import io
import re
import struct
import zipfile
from typing import TYPE_CHECKING

from sweep.archive.plain import RefusedError, entries, items, read_json, text, whole, write_json
from sweep.space.axes import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT, VERSION = "sweep study", 1
MANIFEST = "manifest.json"
README = "README.txt"
STUDY = "study.json"
TRIALS = "trials.json"
TRIALS_TABLE = "trials.csv"
CURVES_TABLE = "curves.csv"
MODEL = "model.npz"
REQUIRED = (README, STUDY, TRIALS, TRIALS_TABLE, CURVES_TABLE)
KNOWN = (*REQUIRED, MODEL)

MAX_BYTES = 256 << 20
"""Of a whole archive. Members are not compressed, so they hold no more than that either."""
MAX_MEMBERS = 32
MAX_DIRECTORY_BYTES = MAX_MANIFEST_BYTES = 64 << 10
DIGEST = re.compile(r"[0-9a-f]{64}")

_DIRECTORY_END = struct.Struct("<4s4H2IH")
_ZIP64_LOCATOR = struct.Struct("<4sIQI")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that the format has: bytes must not tell the hour
_PLAIN_FILE = 0o100644 << 16


def pack(members: Mapping[str, bytes]) -> bytes:
    """Return the archive of these members, the same bytes for the same members."""
    listed = [
        {"name": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in members.items()
    ]
    manifest = {"format": FORMAT, "version": VERSION, "members": listed}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in {MANIFEST: write_json(manifest).encode(), **members}.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system, entry.external_attr = 3, _PLAIN_FILE  # the same on any system
            archive.writestr(entry, content)
    return packed.getvalue()


def unpack(content: bytes) -> dict[str, bytes]:
    """Return the members of an archive, without its manifest, which vouches for them.

    Nothing is extracted. Sizes and counts are checked before anything is read.

    Raises
    ------
    RefusedError
        It is damaged, hostile, or of another kind or version.

    """
    _check_directory(content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            _check_members(members, len(content))
            # `filename` would end at a null character.
            read = {member.orig_filename: archive.read(member) for member in members}
    except RefusedError:
        raise
    except Exception as error:
        # As in `sweep_model.npz`: no list of what hostile bytes raise in zipfile would be complete.
        reason = str(error) or type(error).__name__
        raise RefusedError(f"it is no whole .zip file: {shown(reason)}") from error
    expected = _read_manifest(read.pop(MANIFEST), set(read))
    for name, (size, digest) in expected.items():
        if len(read[name]) != size or hashlib.sha256(read[name]).hexdigest() != digest:
            raise RefusedError(f"{name} is not what the manifest says: it was changed or damaged")
    return read


def _check_directory(content: bytes) -> None:
    """Refuse a list of members that is long, hidden or elsewhere, before zipfile believes it."""
    if len(content) > MAX_BYTES:
        raise RefusedError(f"it may have {MAX_BYTES:,} bytes: it has more")
    if len(content) < _DIRECTORY_END.size:
        raise RefusedError("it is no .zip file: it is too short")
    end = len(content) - _DIRECTORY_END.size
    magic, *_, count, size, offset, comment = _DIRECTORY_END.unpack_from(content, end)
    if magic != b"PK\5\6" or comment:
        raise RefusedError("it is no .zip file that ends with its list of members")
    # Both: zipfile reads the list to its end, whatever the count says.
    if count > MAX_MEMBERS or size > MAX_DIRECTORY_BYTES:
        raise RefusedError(f"it may hold {MAX_MEMBERS} members: its list is longer")
    locator = content[max(0, end - _ZIP64_LOCATOR.size) : end]
    if locator.startswith(b"PK\6\7") or offset + size != end:
        raise RefusedError("its list of members is not where it should be")


def _check_members(members: list[zipfile.ZipInfo], size: int) -> None:
    names = [member.orig_filename for member in members]
    if MANIFEST not in names:
        raise RefusedError(f"it is no study: it holds no {MANIFEST}")
    if len(set(names)) < len(names):
        raise RefusedError("it holds a member twice")
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
            raise RefusedError(
                f"{shown(member.orig_filename)} is compressed or encrypted: "
                "sweep writes members as they are"
            )
        if member.orig_filename == MANIFEST and member.file_size > MAX_MANIFEST_BYTES:
            raise RefusedError(f"{MANIFEST} may have {MAX_MANIFEST_BYTES:,} bytes: it has more")
    if sum(member.file_size for member in members) > size:
        raise RefusedError("its members are larger than it is")


def _read_manifest(content: bytes, found: set[str]) -> dict[str, tuple[int, str]]:
    """Return size and digest per member; the version is looked at before all else."""
    manifest = read_json(content, MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise RefusedError(f"{MANIFEST} must begin with the format {FORMAT!r}")
    version = whole(manifest.get("version"), "the format's version", 1, 1_000_000)
    if version > VERSION:
        raise RefusedError(
            f"its format is {version}, of a newer sweep, and this one reads up to {VERSION}: "
            "update sweep"
        )
    entries(manifest, MANIFEST, ("format", "version", "members"))
    expected = {}
    for entry in items(manifest["members"], "the manifest's members", MAX_MEMBERS):
        entries(entry, "a member in the manifest", ("name", "bytes", "sha256"))
        size = whole(entry["bytes"], "a member's size", 0, MAX_BYTES)
        digest = text(entry["sha256"], "a member's digest", DIGEST, "64 hexadecimal digits")
        expected[str(entry["name"])] = size, digest
    _check_names(found, expected.keys())
    return expected


def _check_names(found: set[str], listed: object) -> None:
    strange, missing = sorted(found - set(KNOWN)), sorted(set(REQUIRED) - found)
    if strange:
        raise RefusedError(f"it may hold {', '.join(KNOWN)}: got {shown(strange[0])} too")
    if missing:
        raise RefusedError(f"it lacks {missing[0]}")
    if listed != found:
        raise RefusedError(f"{MANIFEST} lists other members than there are")

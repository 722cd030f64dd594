import hashlib
import io
import json
import struct
import warnings
import zipfile

import pytest

from sweep.archive import container
from sweep.archive.container import KNOWN, MANIFEST, MODEL, README, REQUIRED, pack, unpack
from sweep.archive.plain import RefusedError

SMALL = {name: name.encode() for name in KNOWN}


def zipped(members, **options):
    """Return a .zip of (name, content) pairs, as somebody else's program would write it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", **options) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zipfile, of names that are there twice
        for name, content in members:
            archive.writestr(name, content)
    return packed.getvalue()


def manifest(members, **changes):
    listed = [
        {"name": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in members
    ]
    value = {"format": "sweep study", "version": 1, "members": listed} | changes
    return MANIFEST, json.dumps(value).encode()


def whole(members, **changes):
    """Return a .zip whose manifest is right about its members, whatever they are."""
    return zipped([manifest(members, **changes), *members])


def refusal(content):
    with pytest.raises(RefusedError) as refused:
        unpack(content)
    return str(refused.value)


def test_members_come_back_as_they_were():
    assert unpack(pack(SMALL)) == SMALL
    assert unpack(whole([*SMALL.items()])) == SMALL


def test_a_study_without_a_model_needs_none():
    without = {name: SMALL[name] for name in REQUIRED}
    assert unpack(pack(without)) == without


def test_the_same_members_are_the_same_bytes_on_any_day_and_system(monkeypatch):
    before = pack(SMALL)
    monkeypatch.setattr("time.time", lambda: 2e9)
    monkeypatch.setattr("sys.platform", "win32")
    assert pack(SMALL) == before


def test_a_plain_unzip_finds_the_manifest_first_and_every_member_as_it_is():
    with zipfile.ZipFile(io.BytesIO(pack(SMALL))) as archive:
        assert archive.namelist() == [MANIFEST, *KNOWN]
        assert archive.testzip() is None
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
        assert archive.read(README) == SMALL[README]


def test_every_truncation_is_refused():
    content = pack(SMALL)
    for length in range(0, len(content), 7):
        refusal(content[:length])


def test_a_damaged_byte_is_refused_or_harmless():
    content = pack(SMALL)
    for position in range(len(content)):
        for damage in (0x01, 0x80, 0xFF):
            damaged = bytearray(content)
            damaged[position] ^= damage
            try:
                members = unpack(bytes(damaged))
            except RefusedError:
                continue
            assert members == SMALL  # what is let through, such as another date, is no content


OTHERS = {
    "another member": ([*SMALL.items(), ("evil.py", b"")], "it may hold README.txt, study.json"),
    "a member above": ([*SMALL.items(), ("../x", b"")], "got '../x' too"),
    "an absolute one": ([*SMALL.items(), ("/etc/passwd", b"")], "got '/etc/passwd' too"),
    "a folder": ([*SMALL.items(), ("models/", b"")], "got 'models/' too"),
    "one with a line break": ([*SMALL.items(), ("a\nb", b"")], "got 'a\\nb' too"),
    "one in capitals": ([*SMALL.items(), ("Study.json", b"")], "got 'Study.json' too"),
    "a member that is missing": ([*SMALL.items()][1:], "it lacks README.txt"),
    "a member twice": ([*SMALL.items(), (README, b"2")], "it holds a member twice"),
    "too many": ([(f"{n}", b"") for n in range(40)], "it may hold 32 members: its list is longer"),
}


@pytest.mark.parametrize(("members", "said"), OTHERS.values(), ids=OTHERS)
def test_other_members_are_refused(members, said):
    assert said in refusal(whole(members))


def test_a_name_that_goes_on_after_a_null_character_is_no_known_one():
    renamed = [(name.replace(".json", ".json_.exe"), content) for name, content in SMALL.items()]
    content = zipped([manifest(SMALL.items()), *renamed])
    said = refusal(content.replace(b".json_.exe", b".json\0.exe"))
    assert said.endswith(r"got 'study.json\x00.exe' too")


def test_compressed_members_are_refused_before_they_can_swell():
    bomb = [*(SMALL | {MODEL: bytes(50_000_000)}).items()]
    content = zipped([manifest(bomb), *bomb], compression=zipfile.ZIP_DEFLATED)
    assert len(content) < 100_000
    assert refusal(content) == (
        "'manifest.json' is compressed or encrypted: sweep writes members as they are"
    )


def test_an_encrypted_member_is_refused():
    content = bytearray(pack(SMALL))
    for signature, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(signature) + flags] |= 1
    assert "is compressed or encrypted" in refusal(bytes(content))


def test_a_list_that_is_longer_than_it_says_is_refused_before_zipfile_reads_it(monkeypatch):
    content = bytearray(zipped([(f"{n}", b"") for n in range(2_000)]))
    struct.pack_into("<2H", content, len(content) - 14, 3, 3)
    monkeypatch.setattr(container.zipfile, "ZipFile", None)
    assert refusal(bytes(content)) == "it may hold 32 members: its list is longer"


def with_sizes(content, size):
    """Let the list of members say that the last one has another size than it has."""
    changed = bytearray(content)
    struct.pack_into("<II", changed, content.rindex(b"PK\1\2") + 20, size, size)
    return bytes(changed)


def test_members_that_claim_more_than_the_file_holds_are_refused():
    assert refusal(with_sizes(pack(SMALL), 2**32 - 2)) == "its members are larger than it is"


def test_members_that_overlap_are_refused():
    content = bytearray(pack(SMALL))
    first, last = content.index(b"PK\1\2"), content.rindex(b"PK\1\2")
    content[last + 42 : last + 46] = content[first + 42 : first + 46]  # where the member begins
    assert "is no whole .zip file" in refusal(bytes(content))


def test_a_large_file_is_refused_before_it_is_looked_at(monkeypatch):
    monkeypatch.setattr(container, "MAX_BYTES", 100)
    assert refusal(pack(SMALL)) == "it may have 100 bytes: it has more"


def test_a_large_manifest_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setattr(container, "MAX_MANIFEST_BYTES", 10)
    assert refusal(pack(SMALL)) == "manifest.json may have 10 bytes: it has more"


HIDDEN = {
    "empty": (b"", "it is no .zip file: it is too short"),
    "text": (b"no archive" * 10, "it is no .zip file that ends with its list of members"),
    "a comment": (lambda c: c[:-2] + b"\1\0#", "it is no .zip file that ends with its list"),
    "something before": (lambda c: b"#!/bin/sh\n" + c, "its list of members is not where"),
    "something after": (lambda c: c + b"\0", "it is no .zip file that ends with its list"),
    "a second list": (
        lambda c: c[:-22] + b"PK\6\7" + bytes(16) + c[-22:],
        "its list of members is not where it should be",
    ),
    "an archive only": (zipped([("a.txt", b"")]), "it is no study: it holds no manifest.json"),
    "no members": (zipped([]), "it is no study: it holds no manifest.json"),
}


@pytest.mark.parametrize(("make", "said"), HIDDEN.values(), ids=HIDDEN)
def test_a_file_of_another_kind_is_refused(make, said):
    assert refusal(make(pack(SMALL)) if callable(make) else make).startswith(said)


MANIFESTS = {
    "no JSON": (b"{", "manifest.json is no JSON"),
    "a list": (b"[]", "manifest.json must begin with the format 'sweep study'"),
    "another format": (b'{"format": "x"}', "manifest.json must begin with the format"),
    "no version": (b'{"format": "sweep study"}', "the format's version must be a whole number"),
    "no list": (
        b'{"format": "sweep study", "version": 1, "members": {}}',
        "the manifest's members must be a list",
    ),
    "too little of a member": (
        b'{"format": "sweep study", "version": 1, "members": [{"name": "a"}]}',
        "a member in the manifest lacks 'bytes'",
    ),
    "no digest": (
        manifest([])[1].replace(b"[]", b'[{"name": "a", "bytes": 1, "sha256": "A"}]'),
        "a member's digest must be 64 hexadecimal digits",
    ),
    "nothing of the members": (
        b'{"format": "sweep study", "version": 1, "members": []}',
        "manifest.json lists other members than there are",
    ),
    "more than it should": (
        b'{"format": "sweep study", "version": 1, "members": [], "x": 1}',
        "manifest.json has an unknown entry, 'x'",
    ),
}


@pytest.mark.parametrize(("content", "said"), MANIFESTS.values(), ids=MANIFESTS)
def test_a_manifest_that_vouches_for_nothing_is_refused(content, said):
    assert refusal(zipped([(MANIFEST, content), *SMALL.items()])).startswith(said)


def test_a_member_that_is_not_what_the_manifest_says_is_refused():
    content = zipped([manifest(SMALL.items()), *(SMALL | {README: b"README.tXt"}).items()])
    assert refusal(content) == (
        "README.txt is not what the manifest says: it was changed or damaged"
    )


@pytest.mark.parametrize("version", [0, -1, True, 1.0, "1", None, 10**9])
def test_a_version_that_is_none_is_refused(version):
    assert "the format's version must be a whole number" in refusal(
        whole([*SMALL.items()], version=version)
    )


def test_a_newer_format_is_refused_whatever_else_it_holds():
    content = whole([("new.parquet", b"")], version=2, more="fields")
    assert refusal(content) == (
        "its format is 2, of a newer sweep, and this one reads up to 1: update sweep"
    )

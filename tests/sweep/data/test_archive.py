from __future__ import annotations

import gzip
import io
import tarfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweep.data import archive
from sweep.data.archive import MAX_MEMBERS, stream_members
from sweep.errors import SweepError

SIZES = {"set/a": range(5, 6), "set/b": range(2, 9)}
WHOLE = [("set/a", b"alpha"), ("set/b", b"beta")]


def packed(members, *, changes=()):
    """A .tar.gz of (name, content) and ready-made TarInfo members."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for member in (*members, *changes):
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return file.getvalue()


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.fixture
def read(tmp_path):
    def read(content, wanted=tuple(SIZES)):
        path = tmp_path / "set.tar.gz"
        path.write_bytes(content)
        try:
            return dict(stream_members(path, SIZES, wanted))
        finally:
            assert list(tmp_path.iterdir()) == [path], "something was written beside the archive"

    return read


def test_the_wanted_members_are_yielded(read):
    assert read(packed(WHOLE)) == dict(WHOLE)
    assert read(packed(WHOLE), wanted=["set/b"]) == {"set/b": b"beta"}


def test_the_order_of_the_members_does_not_matter(read):
    assert read(packed(WHOLE[::-1])) == dict(WHOLE)


@pytest.mark.parametrize(
    "other",
    [("set/readme.html", b"hello"), ("../outside", b"x"), ("/etc/passwd", b"x")],
)
def test_other_files_are_passed_over(read, other):
    assert read(packed([other, *WHOLE])) == dict(WHOLE)


def test_the_folder_itself_and_a_leading_dot_are_harmless(read):
    members = [special("./set", tarfile.DIRTYPE), *((f"./{name}", body) for name, body in WHOLE)]
    assert read(packed(members)) == dict(WHOLE)


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE],
)
@pytest.mark.parametrize("name", ["set/a", "elsewhere"])
def test_links_and_devices_are_refused(read, name, kind):
    with pytest.raises(SweepError, match=f"'{name}' is no regular file"):
        read(packed([special(name, kind, "/etc/passwd"), *WHOLE[1:]]))


def test_a_folder_in_the_place_of_a_file_is_refused(read):
    with pytest.raises(SweepError, match="'set/a' is no regular file"):
        read(packed([special("set/a", tarfile.DIRTYPE), *WHOLE[1:]]))


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([], r"lacks set/a, set/b"),
        (WHOLE[:1], r"lacks set/b"),
        ([*WHOLE, WHOLE[0]], r"holds set/a twice"),
        ([("set/a", b"four"), WHOLE[1]], r"set/a: must have 5 bytes: got 4"),
        ([("set/b", b"too long a one"), WHOLE[0]], r"set/b: must have 2 to 8 bytes: got 14"),
        ([("../set/a", b"alpha"), WHOLE[1]], r"lacks set/a"),
        ([("/set/a", b"alpha"), WHOLE[1]], r"lacks set/a"),
        ([(f"set/{i}", b"") for i in range(MAX_MEMBERS + 1)], r"more than 64 members"),
    ],
)
def test_members_that_are_missing_repeated_or_of_another_length_are_refused(read, members, reason):
    with pytest.raises(SweepError, match=reason):
        read(packed(members))


def test_a_sparse_file_is_refused(read):
    sparse = special("set/a", tarfile.GNUTYPE_SPARSE)
    with pytest.raises(SweepError, match=r"no regular file|no whole .tar.gz|must have"):
        read(packed([sparse, WHOLE[1]]))


@pytest.mark.parametrize("place", ["before", "after"])
def test_an_archive_that_unpacks_to_too_much_is_refused(read, monkeypatch, place):
    monkeypatch.setattr(archive, "SLACK", 1 << 16)
    bomb = ("set/zeros", bytes(1 << 22))
    members = [bomb, *WHOLE] if place == "before" else [*WHOLE, bomb]
    with pytest.raises(SweepError, match=r"unpacks to more than the 65,\d\d\d bytes"):
        read(packed(members))


def test_a_member_name_that_fills_the_memory_is_refused(read, monkeypatch):
    monkeypatch.setattr(archive, "SLACK", 1 << 16)
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 30
    header = info.tobuf(tarfile.GNU_FORMAT)
    with pytest.raises(SweepError, match="unpacks to more than"):
        read(gzip.compress(header + bytes(1 << 20)))


def test_name_upon_long_name_is_refused(read):
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1
    block = info.tobuf(tarfile.GNU_FORMAT) + b"a".ljust(512, b"\0")
    with pytest.raises(SweepError, match=r"no whole .tar.gz archive"):
        read(gzip.compress(block * 2_000))


def test_an_archive_cut_off_anywhere_is_refused(read):
    content = packed(WHOLE)
    for length in range(0, len(content), 7):
        with pytest.raises(SweepError, match=r"no whole .tar.gz archive|lacks"):
            read(content[:length])


@pytest.mark.parametrize("content", [b"", b"<html>moved</html>", b"PK\3\4", bytes(1024)])
def test_a_file_that_is_no_archive_is_refused(read, content):
    with pytest.raises(SweepError, match=r"no whole .tar.gz archive|lacks"):
        read(content)


def test_an_archive_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SweepError, match="No such file"):
        dict(stream_members(tmp_path / "none.tar.gz", SIZES, SIZES))


def test_a_wrong_byte_in_a_passed_over_file_is_found_by_the_check_sum(read):
    file = io.BytesIO()
    with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=0) as zipped:
        plain = gzip.decompress(packed([*WHOLE, ("set/readme", b"hello")]))
        zipped.write(plain)
    content = bytearray(file.getvalue())
    content[content.index(b"hello")] ^= 1
    with pytest.raises(SweepError, match="CRC check failed"):
        read(bytes(content))


@given(data=st.data())
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # the file is written anew
)
def test_any_wrong_bytes_give_the_members_or_one_clear_error(read, data):
    plain = bytearray(gzip.decompress(packed(WHOLE)))
    for _ in range(data.draw(st.integers(1, 4))):
        plain[data.draw(st.integers(0, 2_047))] = data.draw(st.integers(0, 255))
    said = ""
    try:
        members = read(gzip.compress(bytes(plain), compresslevel=1))
    except SweepError as error:
        said = str(error)
    assert "set.tar.gz: " in said if said else set(members) == set(SIZES)
    assert "\n" not in said


@given(content=st.binary(max_size=200))
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # the file is written anew
)
def test_any_bytes_in_place_of_an_archive_give_one_clear_error(read, content):
    with pytest.raises(SweepError, match=r"no whole .tar.gz archive|lacks"):
        read(content)

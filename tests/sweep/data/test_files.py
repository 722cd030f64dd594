from __future__ import annotations

import hashlib
import os

import pytest

from sweep.data.files import check_size, has_hash, read_file, reading
from sweep.errors import SweepError


def test_a_file_of_an_allowed_length_is_read(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert read_file(tmp_path / "a", range(3, 4)) == b"abc"


@pytest.mark.parametrize(
    ("sizes", "allowed"), [(range(4, 5), "4 bytes: got 3"), (range(4, 1_002), "4 to 1,001 bytes")]
)
def test_a_file_of_another_length_is_refused(tmp_path, sizes, allowed):
    (tmp_path / "a").write_bytes(b"abc")
    with pytest.raises(SweepError, match=f"a: must have {allowed}"):
        read_file(tmp_path / "a", sizes)


def test_a_missing_file_a_folder_and_a_pipe_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # to open it would wait for ever
    for name in ("none", "", "pipe"):
        with pytest.raises(SweepError, match="is missing; put it there, or move the folder away"):
            read_file(tmp_path / name, range(10))
        assert not has_hash(tmp_path / name, "sha256", hashlib.sha256(b"").hexdigest())


def test_what_the_system_forbids_is_said_in_one_line(tmp_path):
    with (
        pytest.raises(SweepError, match=r"x: cannot be read: Permission denied$"),
        reading(tmp_path / "x"),
    ):
        raise PermissionError(13, "Permission denied")


def test_a_path_too_long_for_the_system_is_refused(tmp_path):
    with pytest.raises(SweepError, match="cannot be read: File name too long"):
        read_file(tmp_path / ("x" * 300), range(1))


def test_a_hash_is_of_the_whole_content(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert has_hash(tmp_path / "a", "md5", "900150983cd24fb0d6963f7d28e17f72")  # RFC 1321
    assert not has_hash(tmp_path / "a", "md5", "0" * 32)


def test_every_allowed_length_passes():
    for size in range(3, 6):
        check_size("a", size, range(3, 6))

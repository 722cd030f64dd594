import errno
import os
import re
from pathlib import Path

import pytest

from sweep.disks import scratch_folder, with_room
from sweep.errors import StoreUnreachableError


@pytest.mark.parametrize(
    "said", [os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT), "database or disk is full"]
)
def test_a_full_disk_is_named_with_its_free_bytes(said, tmp_path):
    shown = with_room(said, tmp_path / "not" / "there")
    found = re.fullmatch(rf"{said} \(([\d,]+) B free on (/.*)\)", shown)
    assert os.path.ismount(found[2])
    assert tmp_path.is_relative_to(found[2])


def test_other_trouble_is_told_as_it_is():
    assert with_room(os.strerror(errno.EACCES), Path("a")) == os.strerror(errno.EACCES)


def test_a_scratch_folder_is_gone_after_its_block():
    with scratch_folder() as folder:
        (folder / "a").write_text("b")
    assert not folder.exists()


def test_a_temporary_disk_that_is_full_is_one_line_and_no_lost_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def write():
        with scratch_folder():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StoreUnreachableError) as failed:
        write()
    said = str(failed.value)
    assert said.startswith(f"{tmp_path}: a temporary file cannot be written: No space left on")
    assert said.endswith("; make room there, or name another folder with TMPDIR")
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_folder_that_is_gone_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(StoreUnreachableError, match=r"gone: .* No such file"), scratch_folder():
        pass

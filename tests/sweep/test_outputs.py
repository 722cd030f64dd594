import pytest

from sweep.errors import SweepError
from sweep.outputs import check_replaceable, write_whole


def check(path):
    check_replaceable(path, mark=b"<our mark>", kind="report")


def test_a_file_is_written_whole_and_nothing_stays_beside_it(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_what_stood_there_stays_where_the_new_one_cannot_be_written(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sweep.outputs.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"head <our mark> and more"])
def test_an_empty_file_and_one_of_ours_may_be_replaced(tmp_path, content):
    check(tmp_path / "a")
    (tmp_path / "a").write_bytes(content)
    check(tmp_path / "a")


def test_a_file_of_somebody_elses_may_not(tmp_path):
    (tmp_path / "a").write_bytes(b"notes")
    with pytest.raises(SweepError, match="a: is there already and is no report of sweep's; move"):
        check(tmp_path / "a")


def test_a_folder_or_a_link_may_not(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for path in (tmp_path, tmp_path / "link"):
        with pytest.raises(SweepError, match="is there already and is no file; name another"):
            check(path)


def test_a_name_that_the_system_does_not_take_is_refused_in_one_line(tmp_path):
    with pytest.raises(SweepError, match="cannot be used: File name too long; name another"):
        check(tmp_path / ("a" * 300))

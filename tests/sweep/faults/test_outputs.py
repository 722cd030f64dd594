"""Files that a command is asked to write or read, and that it must leave alone."""

import os
import shutil

import pytest
from click.testing import CliRunner

from sweep.cli import main

OUT = {
    "export": "export digits-softmax --out",
    "report": "report digits-softmax --out",
    "markdown": "report digits-softmax --format md --out",
}


@pytest.fixture(params=OUT.values(), ids=OUT)
def written(request, in_finished_study, tmp_path, refused, unchanged):
    """Return a check that a command refuses to write to a place, given within `tmp_path`."""
    del in_finished_study

    def check(place, code, *says):
        with unchanged(tmp_path):
            refused(f"{request.param} {tmp_path / place}", code, str(place)[-20:], *says, "--out")

    return check


@pytest.fixture
def thesis(tmp_path):
    """Return a file of somebody else's."""
    path = tmp_path / "thesis"
    path.write_text("three years of work")
    return path


def test_a_file_of_somebody_elses_is_not_replaced(thesis, written):
    written(thesis, 1, "is there already and is no ", " of sweep's; move it away, or name another")


def test_a_folder_is_no_file_to_write(tmp_path, written):
    (tmp_path / "place").mkdir()
    written("place", 2, "is a directory")


@pytest.mark.parametrize("target", ["gone", "thesis", "/dev/null"])
def test_a_link_is_not_written_through(thesis, written, target):
    (thesis.parent / "link").symlink_to(target)
    written("link", 1, "link: is there already and is no file; name another with --out")


@pytest.mark.parametrize("device", ["/dev/full", "/dev/null"])
def test_a_device_is_not_written_to(written, device):
    written(device, 1, f"{device}: is there already and is no file; name another with --out")


def test_a_pipe_is_not_waited_for(tmp_path, written):
    os.mkfifo(tmp_path / "pipe")
    written("pipe", 1, "pipe: is there already and is no file; name another with --out")


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("none/a", "none is no folder; name another with --out"),
        ("thesis/a", "thesis is no folder; name another with --out"),
        ("a" * 300, "cannot be used: File name too long; name another with --out"),
    ],
)
def test_a_place_that_cannot_be_is_named(thesis, written, place, says):
    del thesis
    written(place, 1, says)


def test_a_place_that_may_not_be_written_to_is_named(tmp_path, written, plain_user):
    (tmp_path / "sealed").mkdir(mode=0o500)
    with plain_user():
        written("sealed/a", 1, "sealed may not be written to; name another with --out")


def test_a_file_that_may_not_be_read_is_not_replaced(tmp_path, written, plain_user):
    (tmp_path / "sealed").touch(mode=0)
    with plain_user():
        written("sealed", 1, "sealed: cannot be used: Permission denied; name another with --out")


@pytest.fixture(scope="module")
def archive(finished_study, tmp_path_factory):
    """Return a folder with a finished study and its archive `a.zip`."""
    folder = tmp_path_factory.mktemp("exported")
    shutil.copytree(finished_study / "mlruns", folder / "mlruns")
    with pytest.MonkeyPatch.context() as moved:
        moved.chdir(folder)
        done = CliRunner().invoke(main, ["export", "digits-softmax", "--out", "a.zip"])
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def exported(archive, tmp_path, monkeypatch):
    """Enter a folder with the study's store, an archive `a.zip`, and some words."""
    (tmp_path / "mlruns").mkdir()
    for name in ("a.zip", "mlruns/optuna.db"):
        shutil.copy(archive / name, tmp_path / name)
    (tmp_path / "words").write_text("words")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        ("import a.zip", 1, "'digits-softmax'"),
        ("import a.zip --as digits-softmax", 1, "'digits-softmax'"),
        ("import a.zip --as ../x", 1, "got '../x'; choose another with --as NAME"),
        ("import a.zip --as ''", 1, "got ''; choose another with --as NAME"),
        ("import a.zip --as '<b>'", 1, "got '<b>'; choose another with --as NAME"),
        ("import a.zip --as 'a\nb'", 1, r"got 'a\nb'; choose another with --as NAME"),
        ("import a.zip --as b --data words", 1, "words: the study is on digits, not on a file"),
        ("import words", 1, "words: it is no .zip file: it is too short"),
        ("import none.zip", 1, "none.zip: there is no such file"),
        ("import mlruns", 1, "mlruns: there is no such file"),
        ("import mlruns/optuna.db", 1, "it is no .zip file that ends with its list of members"),
        ("import words/a.zip", 1, "words/a.zip: there is no such file"),
        ("import " + "a" * 300, 1, "cannot be read: File name too long"),
    ],
)
def test_what_cannot_be_taken_in_is_refused(exported, refused, command, code, says):
    del exported
    refused(command, code, says)


def test_an_archive_that_may_not_be_read_is_named(exported, refused, plain_user):
    (exported / "a.zip").chmod(0)
    with plain_user():
        refused("import a.zip --as b", 1, "a.zip: cannot be read: Permission denied")


def test_an_archive_cut_off_anywhere_is_refused(exported, refused):
    content = (exported / "a.zip").read_bytes()
    for length in (0, 1, 100, len(content) // 2, len(content) - 1):
        (exported / "a.zip").write_bytes(content[:length])
        refused("import a.zip --as b", 1, "a.zip: ", "nothing was taken in: have it exported")


def test_a_study_whose_data_are_gone_is_named_with_where_they_were(
    workspace, invoke, refused, tiny_npz
):
    shutil.copy(tiny_npz, workspace / "a.npz")
    done = invoke("run", "--data", "a.npz", "--trials", 1, "--epochs", 1)
    assert done.exit_code == 0, done.output
    (workspace / "a.npz").rename(workspace / "b.npz")
    for command in ("reproduce a-softmax", "test a-softmax", "confirm a-softmax"):
        refused(command, 1, f"{workspace}/a.npz: there is no such file")

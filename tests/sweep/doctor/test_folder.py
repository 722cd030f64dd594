import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from sweep.doctor import folder
from sweep.doctor.finding import Level
from sweep.doctor.folder import (
    check_file_system,
    check_folder,
    check_left_over,
    check_place,
    check_space,
    file_system,
)

NOBODY = 2**22 + 1
"""No process has this number: Linux gives none above 2**22."""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def mounts(tmp_path, monkeypatch):
    path = tmp_path / "mounts"
    path.write_text(
        "/dev/sda / ext4 rw 0 0\n"
        "server:/home /home nfs4 rw 0 0\n"
        "/dev/sdb /home/me ext4 rw 0 0\n"
        "//box/share /mnt/my\\040files cifs rw 0 0\n"
        "/dev/sdc /scratch xfs rw 0 0\n"
        "fs /scratch lustre rw 0 0\n"
    )
    monkeypatch.setattr(folder, "MOUNTS", path)


def test_an_empty_folder_is_fine_and_stays_empty(here):
    assert check_place(here).said.startswith("not here yet: `sweep run` makes it")
    assert {finding.level for finding in check_folder()} == {Level.OK}
    assert list(here.iterdir()) == []


def test_a_file_in_the_folders_place_is_an_error(here):
    Path("mlruns").touch()
    assert check_place(here).level == Level.FAIL


def test_a_folder_that_cannot_be_written_to_is_an_error(here, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)  # whom the tests run as may write anywhere
    assert check_place(here).said == f"{here} cannot be written to"


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("/", "ext4"),
        ("/home/you/work", "nfs4"),
        ("/home/me/work", "ext4"),
        ("/homely", "ext4"),
        ("/mnt/my files", "cifs"),
        ("/scratch/run", "lustre"),
    ],
)
@pytest.mark.usefixtures("mounts")
def test_the_innermost_and_latest_mount_holds_a_path(place, kind):
    assert file_system(Path(place)) == kind


@pytest.mark.usefixtures("mounts")
def test_a_file_system_over_a_network_is_said():
    found = check_file_system(Path("/scratch"))
    assert found.level == Level.WARN
    assert found.said.startswith("lustre, which is reached over a network")
    assert check_file_system(Path("/opt")).said == "ext4"


def test_where_the_system_does_not_say_nothing_is_claimed(here, monkeypatch):
    monkeypatch.setattr(folder, "MOUNTS", here / "no-such-file")
    assert check_file_system(here).said == "not known on this system"


@pytest.mark.parametrize(("free", "level"), [(5e9, Level.OK), (5e8, Level.WARN), (1e6, Level.FAIL)])
def test_a_full_disk_is_said(here, monkeypatch, free, level):
    usage = SimpleNamespace(free=free)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    assert check_space(here).level == level


def test_half_written_files_of_the_dead_are_named_and_those_of_the_living_are_not(here):
    (here / "mlruns").mkdir()
    for name in (
        f".report.html.{NOBODY}.partial",
        f".study.zip.{os.getpid()}.partial",
        "mlruns/optuna.db.partial",
        "mlruns/optuna.db.partial-journal",
        "notes.partial",
    ):
        Path(name).touch()
    found = check_left_over()
    assert found.level == Level.WARN
    assert found.said == (
        "half-written, by a process that died or is just writing: "
        f".report.html.{NOBODY}.partial, mlruns/optuna.db.partial, "
        "mlruns/optuna.db.partial-journal"
    )

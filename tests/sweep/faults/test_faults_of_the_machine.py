"""A disk that is full, a clock that was set back, and two commands at once."""

import shutil
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest

from sweep.errors import SweepError
from sweep.study.listener import Listener
from sweep.study.lock import study_lock
from sweep.study.passes import Budget

ROOM = 60 << 20


@pytest.fixture
def full_disk(workspace, finished_study):
    """Enter a folder whose `mlruns` is a full disk with a finished study on it; return that."""
    place = workspace / "mlruns"
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "none", place]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        shutil.copytree(finished_study / "mlruns", place, dirs_exist_ok=True)
        fill(place)
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def fill(place):
    """Leave no byte free on a disk."""
    with (place / "ballast").open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * 4096):
            pass


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("mount") is None, reason="there is no mount here")
@pytest.mark.parametrize(
    "command",
    [
        "run --data digits --trials 7 --epochs 2",
        "train --data digits --epochs 2",
        "report digits-softmax --out mlruns/a.html",
        "export digits-softmax --out mlruns/a.zip",
    ],
)
def test_a_full_disk_is_one_line_and_the_same_command_goes_on_when_there_is_room(
    full_disk, invoke, command
):
    before = {path: path.read_bytes() for path in full_disk.rglob("*.npz")}
    said = invoke(*command.split())
    # SQLite may need room even to read; else it is the file asked for that cannot be written.
    assert said.exit_code in (1, 75), said.output
    line = said.stderr.splitlines()[-1]
    assert line.startswith("sweep: error: ")
    assert "mlruns/" in line
    assert not list(full_disk.glob(".*partial"))
    assert {path: path.read_bytes() for path in before} == before
    (full_disk / "ballast").unlink()
    assert invoke(*command.split()).exit_code == 0


class Sealer(Listener):
    """Takes away the right to write into a folder at the end of the second pass."""

    def __init__(self, folder):
        self.folder, self.passes = folder, 0

    def pass_ended(self, training):
        del training
        self.passes += 1
        if self.passes == 2:
            seal(self.folder, 0o500)


def seal(folder, mode):
    for place in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        place.chmod(mode)


@pytest.mark.usefixtures("no_figures")
def test_a_folder_that_is_sealed_within_a_study_costs_nothing(
    tiny_study, outcome, in_both_stores, plain_user, monkeypatch
):
    monkeypatch.setattr("sweep.study.keeper.SECONDS", 0.0)
    sealed = tiny_study(study_name="sealed", epochs=4)
    sealed.listener = Sealer(Path("mlruns"))
    try:
        with plain_user(), pytest.raises(SweepError, match=r"mlruns/.*Permission denied; make"):
            sealed.run(Budget(3))
    finally:
        seal(Path("mlruns"), 0o700)
    again = tiny_study(study_name="sealed", epochs=4)
    assert again.run(Budget(3)) == "3 of 3 trials finished"
    in_both_stores(again.study, again.tracker)
    peaceful = tiny_study(study_name="peaceful", epochs=4)
    peaceful.run(Budget(3))
    assert outcome(again.study) == outcome(peaceful.study)


def test_a_study_from_the_future_is_shown_gone_on_with_and_reported(in_copied_study, invoke):
    with closing(sqlite3.connect(in_copied_study / "mlruns" / "optuna.db")) as database:
        for column in ("datetime_start", "datetime_complete"):
            database.execute(f"UPDATE trials SET {column} = '2099-01-01 00:00:00.000000'")  # noqa: S608 - our own words
        database.commit()
    for command in (
        "list",
        "show digits-softmax",
        "run --data digits --trials 8 --epochs 2",
        "report digits-softmax",
        "export digits-softmax",
        "import digits-softmax.zip --as again",
    ):
        done = invoke(*command.split())
        assert done.exit_code == 0, done.output


def test_a_clock_that_was_set_back_within_a_trial_hinders_nothing(in_copied_study, invoke):
    with closing(sqlite3.connect(in_copied_study / "mlruns" / "optuna.db")) as database:
        database.execute("UPDATE trials SET datetime_start = '2099-01-01 00:00:00.000000'")
        database.commit()
    for command in ("show digits-softmax", "report digits-softmax"):
        done = invoke(*command.split())
        assert done.exit_code == 0, done.output
    assert in_copied_study.exists()


@pytest.mark.slow
def test_a_second_run_of_a_study_is_told_who_runs_it(in_finished_study, refused):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    owner = in_finished_study / "mlruns" / "digits-softmax.owner"
    try:
        refused(
            "run --data digits --trials 6 --epochs 2",
            1,
            f"study 'digits-softmax' is being run by process {holder.pid} on "
            f"{socket.gethostname()}; wait for it, stop it, or choose another name with --study",
        )
    finally:
        holder.kill()
        holder.communicate()
    assert owner.exists()  # it was killed, and could not clear away
    with study_lock("digits-softmax"):
        assert f"process {holder.pid} " not in owner.read_text()


HOLD = """
from sweep.study.lock import study_lock
with study_lock("digits-softmax"):
    print("held", flush=True)
    input()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        (["rnu"], 2, "No such command 'rnu'"),
        (["run", "--trials", "0"], 2, "0 is not in the range"),
        (["show", "a"], 1, "no studies here"),
        (["run", "--data", "a.npz"], 1, "a.npz: there is no such file"),
        (["run", "--data", "digits", "--tracking-uri", "."], 1, "not a tracking address"),
        (["import", "a\x1b[31m.zip"], 1, r"a\x1b[31m.zip: there is no such file"),
        (["show", b"\xff"], 1, "no studies here"),
    ],
)
def test_the_program_itself_fails_in_words(folder, command, code, says):
    program = "from sweep.cli import main; main(prog_name='sweep')"
    done = subprocess.run(
        [sys.executable, "-c", program, *command], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (code, b"")
    assert b"Traceback" not in done.stderr
    assert says in done.stderr.decode().splitlines()[-1]
    assert list(Path(folder).iterdir()) == []

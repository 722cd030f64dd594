"""A disk that is full, a clock that was set back, and two commands at once."""

import json
import shutil
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress

import pytest

from sweep.errors import SweepError
from sweep.search import checkpoint
from sweep.search.lock import runner_of, study_lock
from sweep.search.trials import Listener

ROOM = 60 << 20


@pytest.fixture
def full_disk(in_workspace, finished_study):
    """Enter a folder whose `mlruns` is a full disk with a finished study on it; return that."""
    place = in_workspace.folder
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "none", place]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        shutil.copytree(finished_study.folder, place, dirs_exist_ok=True)
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
def test_a_full_disk_is_one_line_and_the_same_command_goes_on_when_there_is_room(full_disk, invoke):
    for command in (
        "report digits-softmax --out mlruns/a.html",
        "export digits-softmax --out mlruns/a.zip",
        "train --data digits --epochs 2",
        "run --data digits --trials 7 --epochs 2",
    ):
        fill(full_disk)
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
        done = invoke(*command.split())
        assert done.exit_code == 0, done.output


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


@pytest.mark.slow
def test_a_folder_that_is_sealed_within_a_study_costs_nothing(
    run_tiny, workspace, tracker, outcome, in_both_stores, plain_user, monkeypatch
):
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)

    def run(name, listener=None):
        return run_tiny(3, study=name, epochs=4, listener=listener)

    try:
        with plain_user(), pytest.raises(SweepError, match=r"mlruns/.*(denied|readonly|written)"):
            run("sealed", Sealer(workspace.folder))
    finally:
        seal(workspace.folder, 0o700)
    again = run("sealed")
    assert again.why == "3 of 3 trials finished"
    in_both_stores(again.study, tracker)
    assert outcome(again.study) == outcome(run("peaceful").study)


def test_a_study_whose_clock_was_set_back_is_shown_gone_on_with_and_reported(
    in_copied_study, invoke
):
    with closing(sqlite3.connect(in_copied_study.optuna_database)) as database, database:
        database.execute("UPDATE trials SET datetime_start = '2099-01-01 00:00:00.000000'")
        rows = database.execute(
            "SELECT trial_user_attribute_id, value_json FROM trial_user_attributes"
        )
        for row, text in rows.fetchall():
            trial = json.loads(text)
            trial["began"] += 10**12  # it began in 2057, and ended today
            change = (
                "UPDATE trial_user_attributes SET value_json = ? WHERE trial_user_attribute_id = ?"
            )
            database.execute(change, (json.dumps(trial), row))
    for command in (
        "list",
        "show digits-softmax",
        "run --data digits --trials 7 --epochs 2",
        "report digits-softmax",
        "export digits-softmax",
        "import digits-softmax.zip --as again",
    ):
        done = invoke(*command.split())
        assert done.exit_code == 0, done.output


@pytest.mark.slow
def test_a_second_run_of_a_study_is_told_who_runs_it(in_finished_study, refused):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    owner = in_finished_study.folder / "digits-softmax.owner"
    try:
        refused(
            "run --data digits --trials 6 --epochs 2",
            1,
            f"study 'digits-softmax' is being run by process {holder.pid} on "
            f"{socket.gethostname()}; wait for it, stop it, or choose another name",
        )
    finally:
        holder.kill()
        holder.communicate()
    assert owner.exists()  # it was killed, and could not clear away
    assert runner_of(in_finished_study, "digits-softmax") is None
    with study_lock(in_finished_study, "digits-softmax"):
        assert f"process {holder.pid} " not in owner.read_text()


HOLD = """
from sweep.search.lock import study_lock
from sweep.workspace import Workspace
with study_lock(Workspace(), "digits-softmax"):
    print("held", flush=True)
    input()
"""


@pytest.mark.slow
def test_the_program_itself_fails_in_words(folder):
    program = "from sweep.cli import main; main(prog_name='sweep')"
    for command, code, says in (
        (["rnu"], 2, "No such command 'rnu'"),
        (["run", "--trials", "0"], 2, "0 is not in the range"),
        (["show", "a"], 1, "no studies here"),
        (["run", "--data", "a.npz"], 1, "a.npz: there is no such file"),
        (["run", "--data", "digits", "--tracking-uri", "."], 1, "not a tracking address"),
        (["import", "a\x1b[31m.zip"], 1, r"a\x1b[31m.zip: there is no such file"),
        (["show", b"\xff"], 1, "no studies here"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", program, *command], capture_output=True, check=False
        )
        assert (done.returncode, done.stdout) == (code, b"")
        assert b"Traceback" not in done.stderr
        assert says in done.stderr.decode().splitlines()[-1]
        assert list(folder.iterdir()) == []

"""The Slurm template: checked by the shells' own tools, and run with a Slurm that only pretends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[2] / "templates" / "slurm.sh"


@pytest.fixture
def slurm(tmp_path):
    """Return a function that runs the script as a task whose worker does what is said."""
    commands = {
        "squeue": 'echo "$JOB_STATE"',
        "scontrol": 'echo "scontrol $*" >> "$LOG"',
        "sweep": 'echo "sweep $*" >> "$LOG"; eval "$WORKER"',
    }
    for name, does in commands.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{does}\n")
        (tmp_path / name).chmod(0o755)
    log = tmp_path / "log"

    def start(worker, *arguments, state="RUNNING", **changes):
        environment = {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "LOG": str(log),
            "WORKER": worker,
            "JOB_STATE": state,
            "SLURM_JOB_ID": "12",
            "SLURM_ARRAY_JOB_ID": "11",
            "SLURM_ARRAY_TASK_ID": "3",
            "SLURM_CPUS_PER_TASK": "2",
            "SWEEP_STORAGE": "postgresql+psycopg://sweep@db/sweep",
            "MLFLOW_TRACKING_URI": "http://mlflow:5000",
            **changes,
        }
        known = {name: value for name, value in environment.items() if value is not None}
        return subprocess.Popen(
            ["bash", SCRIPT, *arguments],
            env=known,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(worker, *arguments, **changes):
        process = start(worker, *(arguments or ("spread",)), **changes)
        output = process.communicate(timeout=30)[0].decode()
        calls = log.read_text().splitlines() if log.exists() else []
        return process.returncode, calls, output

    run.start, run.log = start, log
    return run


def test_bash_reads_it():
    subprocess.run(["bash", "-n", SCRIPT], check=True)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing():
    found = subprocess.run(["shellcheck", SCRIPT], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.skipif(
    shutil.which("sinfo") is None
    or subprocess.run(["sinfo"], capture_output=True, check=False).returncode != 0,
    reason="no Slurm runs here",
)
def test_slurm_would_take_it():
    subprocess.run(
        ["sbatch", "--test-only", "--array=0-1", "--cpus-per-task=1", SCRIPT, "spread"], check=True
    )


def test_a_task_is_one_worker_on_its_cores(slurm):
    code, calls, output = slurm("exit 0")
    assert (code, calls) == (0, ["sweep worker spread --workers 2"])
    assert output == "task 11_3: sweep worker ended with 0\n"


@pytest.mark.parametrize("code", [75, 143])
def test_what_may_go_well_later_is_requeued(slurm, code):
    assert slurm(f"exit {code}")[:2] == (
        code,
        ["sweep worker spread --workers 2", "scontrol requeue 11_3"],
    )


@pytest.mark.parametrize("code", [0, 1, 2, 130])
def test_what_is_done_or_wrong_is_not_requeued(slurm, code):
    assert slurm(f"exit {code}")[:2] == (code, ["sweep worker spread --workers 2"])


@pytest.mark.parametrize("state", ["COMPLETING", "CANCELLED", "PREEMPTED", ""])
def test_a_task_that_was_ended_from_outside_stays_so(slurm, state):
    assert slurm("exit 143", state=state)[:2] == (143, ["sweep worker spread --workers 2"])


def test_a_task_is_not_requeued_for_ever(slurm):
    code, calls, output = slurm("exit 75", SLURM_RESTART_COUNT="20")
    assert (code, calls) == (75, ["sweep worker spread --workers 2"])
    assert "requeued 20 times" in output


def test_a_signal_reaches_the_worker_which_has_its_time_to_end(slurm):
    worker = 'trap "sleep 1; echo given back >> $LOG; exit 143" TERM; echo up >> $LOG; '
    task = slurm.start(worker + "while :; do sleep 0.1; done", "spread")
    deadline = time.monotonic() + 30
    while not (slurm.log.exists() and "up" in slurm.log.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    task.send_signal(signal.SIGTERM)
    task.communicate(timeout=30)
    assert task.returncode == 143
    assert slurm.log.read_text().splitlines()[1:] == ["up", "given back", "scontrol requeue 11_3"]


@pytest.mark.parametrize("name", ["SWEEP_STORAGE", "MLFLOW_TRACKING_URI"])
def test_it_begins_nothing_without_the_addresses(slurm, name):
    code, calls, output = slurm("exit 0", **{name: None})
    assert (code != 0, calls) == (True, [])
    assert name in output


def test_it_holds_no_password():
    assert not [line for line in SCRIPT.read_text().splitlines() if "PGPASSWORD" in line]
    assert "://sweep@" in SCRIPT.read_text()

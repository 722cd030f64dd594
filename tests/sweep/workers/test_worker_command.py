"""`sweep worker` and `sweep run` on shared studies: refusals, signals and sudden deaths."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sweep.study import attributes
from sweep.study.reproduce import reproduce

pytestmark = pytest.mark.slow

PATIENCE = 120
# In place of large data: every epoch takes its time, and says that it is there. With a second
# argument, no letter is delivered once an epoch was trained.
SLOW = """
import sys, time
from sweep.engine import Engine
from sweep.tracking.delivery import Delivery
run_pass, pause, cut = Engine.run_pass, float(sys.argv.pop(1)), sys.argv.pop(1) == "cut"
deliver, trained = Delivery.deliver, []
def slow(engine):
    found = run_pass(engine)
    trained.append(found)
    with open("epochs", "a") as epochs:
        for slot in found:
            print(slot, file=epochs)
    time.sleep(pause)
    return found
def cut_off(self, letter, **more):
    if cut and trained:
        raise OSError(101, "Network is unreachable")
    deliver(self, letter, **more)
Engine.run_pass, Delivery.deliver = slow, cut_off
from sweep.cli import main
main()
"""


@pytest.fixture
def start(workspace):
    """Return a function that starts a worker and waits until so many epochs are trained."""
    started = []

    def start(*, pause, epochs, cut=False):
        command = ["worker", "shared", "--slots", "2", "--workers", "1"]
        process = subprocess.Popen(
            [sys.executable, "-c", SLOW, str(pause), "cut" if cut else "whole", *command],
            cwd=workspace,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        seen, deadline = Path("epochs"), time.monotonic() + PATIENCE
        while not seen.exists() or len(seen.read_text().splitlines()) < epochs:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def whole(one):
    return [
        reproduce(one.study, trial, one.data, one.tracker(), tolerance=0.0).matches
        for trial in one.study.trials()
    ] == ["bit for bit"] * len(one.study.trials())


def refused(invoke, *command):
    """Check that a command is refused with one line, and return that."""
    done = invoke(*command)
    assert (done.exit_code, done.stdout) == (1, ""), done.output
    *notices, line = done.stderr.removesuffix("\n").split("\n")
    assert notices in (
        [],
        ["tiny has no image shape: flip_probability is 0 and no weight images are drawn."],
    )
    assert line.startswith("sweep: error: ")
    assert line.isprintable()
    return line


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_gives_the_trials_back_and_the_next_worker_trains_them(
    begun, start, invoke, in_both_stores, number
):
    one = begun(trials=3)
    process = start(pause=0.2, epochs=3)
    process.send_signal(number)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + number
    assert said.splitlines()[-1] == (
        f"sweep: stopped: a worker of study 'shared' stopped by {number.name}: 2 trials went back "
        "to the study; another worker, or the same command, trains them"
    )
    assert one.leases("other").alive() == set()
    done = invoke("worker", "shared")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(
        "study shared: 3 trials finished (3 complete, 0 pruned, 0 failed)"
    )
    known = [trial.user_attrs[attributes.LEASE] for trial in one.study.trials()]
    assert [lease["attempt"] for lease in known] == [2, 2, 1]
    assert [lease["deaths"] for lease in known] == [0, 0, 0]
    in_both_stores(one.study, one.tracker())
    assert whole(one)


def test_what_a_killed_worker_had_to_say_is_sent_by_the_next_one_there(
    begun, start, invoke, in_both_stores
):
    one = begun(trials=4)
    process = start(pause=0.5, epochs=7, cut=True)  # three of each trial, and one of the next
    process.kill()
    process.communicate()
    assert one.states() == ["COMPLETE", "COMPLETE", "RUNNING", "RUNNING"]
    assert {run.info.status for run in one.tracker().runs(role="trial")} <= {"RUNNING"}
    one.silence(61)
    done = invoke("worker", "shared", "--slots", "2")
    assert done.exit_code == 0, done.output
    known = [trial.user_attrs[attributes.LEASE] for trial in one.study.trials()]
    assert [lease["attempt"] for lease in known] == [1, 1, 2, 2]
    assert [lease["deaths"] for lease in known] == [0, 0, 1, 1]
    in_both_stores(one.study, one.tracker())
    assert whole(one)
    for run in one.tracker().runs(role="trial"):  # which no record has, so letters brought it
        assert one.tracker().client.list_artifacts(run.info.run_id, "classifier")
    assert [path for path in Path("mlruns/outbox").rglob("*") if path.is_file()] == []


def test_a_worker_of_a_study_that_is_not_there_is_refused(begun, invoke):
    begun()
    said = refused(invoke, "worker", "other")
    assert said == "sweep: error: no study is named 'other' here; there are: shared"


def test_a_worker_of_a_study_that_is_not_shared_is_refused(tiny_study, invoke):
    tiny_study()
    assert refused(invoke, "worker", "tiny-softmax") == (
        "sweep: error: study 'tiny-softmax' is not shared: one `sweep run` at a time trains it; "
        "begin another with `sweep run --storage URL --study NAME`"
    )


def test_a_run_in_the_working_folder_of_a_study_that_is_shared_is_refused(begun, invoke, tiny_npz):
    one = begun()
    said = refused(
        invoke,
        *("run", "--data", tiny_npz, "--study", "shared", "--epochs", 3, "--pruner", "none"),
        *("--slots", 2, "--width", 2, "--workers", 1),
    )
    assert said.startswith("sweep: error: study 'shared' was begun with other settings")
    assert "(recorded -> now): shared True -> False;" in said
    assert one.states() == []


def test_a_worker_with_other_data_is_refused_before_it_asks_for_a_trial(
    begun, invoke, tiny_npz, workspace
):
    arrays = dict(np.load(tiny_npz))
    path = workspace / "mine.npz"
    np.savez(path, **arrays)
    one = begun(data=str(path))
    arrays["X"][0, 0] += 1
    np.savez(path, **arrays)
    said = refused(invoke, "worker", "shared")
    assert "data digest is not the recorded one" in said
    assert one.states() == []
    assert attributes.WORKERS not in one.study.optuna.user_attrs


def test_doctor_sees_where_a_shared_study_and_mlflow_part_and_a_worker_mends_it(
    begun, invoke, fresh_database
):
    one = begun(trials=2, address=fresh_database)
    one.worker().run()
    look = ("doctor", "--storage", fresh_database)
    assert "study shared: 2 complete, 0 pruned, 0 failed; both stores say" in invoke(*look).output
    run, *_ = one.tracker().runs(role="trial")
    one.tracker().client.delete_run(run.info.run_id)
    said = invoke(*look)
    assert said.exit_code == 3
    assert "has no run" in said.output
    assert "next: sweep worker shared" in said.output
    mended = invoke("worker", "shared", "--storage", fresh_database)
    assert "the runs of 1 trials are made from the record" in mended.stderr
    assert invoke(*look).exit_code == 0

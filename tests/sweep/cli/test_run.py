import hashlib
import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from sweep.analysis import find_selected
from sweep.data import open_source, reopen_data
from sweep.search import open_study
from sweep.tracking import Tracker
from sweep_model.classifier import LinearClassifier

COMMAND = ["run", "--data", "digits", "--trials", "6", "--epochs", "2"]


def test_the_recorded_accuracy_is_that_of_the_classifier_kept(in_finished_study):
    study = open_study("digits-softmax", in_finished_study)
    selected = find_selected(study)
    data = reopen_data(study.config.data, open_source("digits"))
    tracker = Tracker("digits", in_finished_study)
    (run,) = tracker.runs(role="trial", trial=selected.number)
    folder = Path(urlsplit(run.info.artifact_uri).path)
    kept = LinearClassifier.load(folder / "classifier" / "classifier.npz")
    assert kept.digest == run.data.tags["sweep.weights_digest"] == selected.weights_digest
    scores = data.validation.rows @ kept.weights.T + kept.bias
    accuracy = np.mean(scores.argmax(axis=1) == data.validation.labels)
    assert selected.last("val/accuracy") == accuracy
    (parent,) = tracker.runs(role="study")
    assert "\nsweep reproduce digits-softmax\n" in parent.data.tags["mlflow.note.content"]
    for name in ("l2", "learning_rate"):
        assert 10 ** float(run.data.params[f"log10_{name}"]) == pytest.approx(selected.params[name])


def test_a_study_goes_on_by_its_name_alone_and_asks_for_nothing_that_is_done(
    in_copied_study, invoke
):
    before = open_study("digits-softmax", in_copied_study).trials()
    for command in (COMMAND, ["run", "digits-softmax"], ["run", "digits-softmax", *COMMAND[1:]]):
        again = invoke(*command)
        assert again.exit_code == 0
        assert again.stdout.startswith("study digits-softmax: 6 of 6 trials finished (")
    assert open_study("digits-softmax", in_copied_study).trials() == before
    more = invoke("run", "digits-softmax", "--trials", "7")
    assert more.stdout.startswith("study digits-softmax: 7 of 7 trials finished (")


def test_another_config_is_refused_with_what_differs(in_finished_study, invoke):
    before = hashlib.sha256(in_finished_study.optuna_database.read_bytes()).digest()
    changed = [*COMMAND[:-1], "3", "--seed", "1", "--set", "l2=0.1"]
    for dry in ([], ["--dry-run"]):
        refused = invoke(*changed, *dry)
        assert (refused.exit_code, refused.stdout) == (1, "")
        (line,) = refused.stderr.splitlines()
        for words in (
            "sweep: error: study 'digits-softmax' was begun with another config",
            "epochs 2 -> 3; seed 0 -> 1; l2 1e-05:1:log -> 0.1;",
        ):
            assert words in line
    like = invoke("run", "new", "--like", "digits-softmax", "--set", "l2=0.1", "--dry-run")
    assert "study new: 6 trials of 2 epochs, softmax loss" in like.stdout
    assert "l2                0.1\n" in like.stdout
    assert hashlib.sha256(in_finished_study.optuna_database.read_bytes()).digest() == before


def test_a_run_says_how_each_trial_ended_what_is_best_how_sure_and_what_next(
    in_workspace, tiny_npz, invoke
):
    done = invoke("run", "--data", tiny_npz, "--trials", "2", "--epochs", "2", "--pruner", "none")
    assert done.exit_code == 0, done.output
    folds, notice, *progress = done.stderr.splitlines()
    assert folds.startswith("5 folds, as there are at most 5,000 rows (--val-size N: one split): ")
    assert "tiny has no image shape" in notice
    assert len(progress) == 2
    for count, line in enumerate(progress, start=1):
        assert re.fullmatch(
            rf"trial [01] complete: val/accuracy 0\.\d{{4}} after 2 of 2 epochs; {count} of 2 done;"
            r" best 0\.\d{4} \(trial [01]\)",
            line,
        )
    patterns = (
        r"study tiny-softmax: 2 of 2 trials finished \(2 complete, 0 pruned, 0 failed\)",
        r"best: trial [01], validation accuracy \d+\.\d % \[\d+\.\d, \d+\.\d\]",
        r"      l2 .*, flip_probability 0",
        r"sure: 95 % interval on 90 rows in 5 folds; optimistic: the best of 2",
        r"also: balanced accuracy \d+\.\d % \[.*\]",
        r"      macro F1 \d+\.\d % \[.*\]",
        r"      log loss \d\.\d+ \[.*\]",
        r"time: \d+\.\d s \((\w+ \d+ %, )+other \d+ %\)",
        r"next: sweep confirm tiny-softmax",
    )
    lines = done.stdout.splitlines()
    assert len(lines) == len(patterns)
    for line, pattern in zip(lines, patterns, strict=True):
        assert re.fullmatch(pattern, line)
        assert len(line) < 100
    trials = open_study("tiny-softmax", in_workspace).trials()
    assert [trial.params["flip_probability"] for trial in trials] == [0, 0]


def test_a_run_that_ends_before_its_trials_are_done_says_why(in_workspace, tiny_npz, invoke):
    del in_workspace
    settings = ("learning_rate=0.01", "decay_period=10", "batch_size=25,50", "l2=0.1")
    grid = [word for setting in settings for word in ("--set", setting)]
    for options, why in (
        (
            ["grid", "--sampler", "grid", *grid],
            "study grid: the grid has no point left (2 complete, 0 pruned, 0 failed)",
        ),
        (
            ["late", "--timeout", "1e-6"],
            "study late: the time of 1e-06 s is up (0 complete, 0 pruned, 0 failed)",
        ),
    ):
        done = invoke("run", "--data", tiny_npz, "--epochs", "1", *options)
        assert done.exit_code == 0, done.output
        assert done.stdout.splitlines()[0] == why
    assert done.stdout.endswith("next: sweep run late\n")


def test_with_val_loss_the_lowest_loss_is_best(in_workspace, tiny_npz, invoke):
    options = ["--epochs", "2", "--objective", "val-loss", "--sampler", "random"]
    done = invoke("run", "low", "--data", tiny_npz, "--trials", "4", "--pruner", "none", *options)
    assert done.exit_code == 0, done.output
    losses = [trial.last("val/loss") for trial in open_study("low", in_workspace).trials()]
    assert f"best: trial {np.argmin(losses)}, validation loss " in done.stdout


def test_trials_that_all_diverge_end_the_study_with_the_reason(in_workspace, tiny_npz, invoke):
    del in_workspace
    hot = ("learning_rate=1e6", "l2=1", "batch_size=2")
    sets = [word for setting in hot for word in ("--set", setting)]
    done = invoke("run", "--data", tiny_npz, "--epochs", "9", *sets)
    assert (done.exit_code, done.stdout) == (1, "")
    _, _, *trials, error = done.stderr.splitlines()
    assert len(trials) >= 10
    assert re.match(r"trial 0 failed: after \d of 9 epochs; diverged in epoch \d: the ", trials[0])
    assert "sweep: error: study 'tiny-softmax': 10 trials in a row failed" in error
    assert "--set" in error


def test_no_study_is_begun_where_no_tracking_store_answers(in_workspace, tiny_npz, invoke):
    in_workspace.optuna_database.unlink()
    for address, code in (
        ("mysql://u:pw@127.0.0.1:1/db", 1),  # its driver is not installed
        ("http://127.0.0.1:9", 75),
    ):
        refused = invoke("run", "--data", tiny_npz, "--tracking-uri", address)
        assert (refused.exit_code, refused.stdout) == (code, "")
        assert not in_workspace.optuna_database.exists()


def test_a_dry_run_tells_the_plan_and_leaves_no_trace(
    tmp_path, monkeypatch, tiny_npz, invoke, golden
):
    monkeypatch.chdir(tmp_path)
    shown = invoke("run", "--data", tiny_npz, "--dry-run", "--set", "l2=0.1", "--slots", 6)
    assert shown.exit_code == 0
    golden("dry-run", re.sub(r"\b[0-9a-f]{12}\b", "DIGEST", shown.stdout))
    assert list(tmp_path.iterdir()) == []


def test_normalisations_are_chosen_among_where_several_are_named(in_workspace, tiny_npz, invoke):
    del in_workspace
    several = ("run", "--data", tiny_npz, "--normalise", "none,standardise")
    plan = invoke(*several, "--dry-run")
    assert plan.stdout.splitlines()[-1] == "  normalise         standardise,none"
    done = invoke(*several, "--trials", "4", "--epochs", "1", "--sampler", "random")
    assert done.exit_code == 0, done.output
    assert re.search(r"^ {6}l2 .*, normalise (standardise|none)$", done.stdout, re.MULTILINE)
    lines = invoke("show", "tiny-softmax", "--sort", "normalise").stdout.splitlines()
    assert any("normalise" in line for line in lines[:4])
    best = json.loads(invoke("best", "tiny-softmax", "--json").stdout)
    assert best["normalise"] in ("standardise", "none")
    space = invoke("space", "--normalise", "unit,none")
    assert re.search(r"normalise +.*unit,none +.*unit\b", space.stdout)
    shown = json.loads(invoke("space", "--normalise", "unit,none", "--json").stdout)
    assert shown["space"]["normalise"] == ["unit", "none"]
    assert shown["trial_0"]["normalise"] == "unit"
    assert "normalise" not in invoke("space", "--normalise", "unit").stdout
    for bad in ("cosine", "unit,unit", ""):
        refused = invoke("run", "--data", tiny_npz, "--normalise", bad)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert "normalise must be one of standardise, unit, none: got" in refused.stderr
    train = invoke("train", "--data", tiny_npz, "--normalise", "unit,none")
    assert (train.exit_code, train.stdout) == (1, "")
    assert "a training has one normalisation: got 'unit,none'; name one of them" in train.stderr


# In place of large data: every pass takes its time, and says that it is there.
SLOW = """
import sys, time
from sweep.engine import LocalEngine
run_pass, pause = LocalEngine.run_pass, float(sys.argv.pop(1))
def slow(engine):
    results = run_pass(engine)
    with open("epochs", "a") as epochs:
        for result in results.values():
            print(result.epoch, file=epochs)
    time.sleep(pause)
    return results
LocalEngine.run_pass = slow
from sweep.cli import main
main()
"""


@pytest.fixture
def command(tiny_npz):
    options = ["--trials", "3", "--epochs", "4", "--slots", "1", "--pruner", "none"]
    return ["run", "--data", str(tiny_npz), "--val-size", "18", *options]


@pytest.fixture
def start(in_workspace, command):
    """Return a function that starts the command and waits until so many epochs are trained."""
    started = []

    def start(*, pause, epochs):
        process = subprocess.Popen(
            [sys.executable, "-c", SLOW, str(pause), *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        seen, deadline = in_workspace.root / "epochs", time.monotonic() + 60
        while not seen.exists() or len(seen.read_text().splitlines()) < epochs:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ends(process):
    """Return the exit code and stderr."""
    _, said = process.communicate(timeout=60)
    return process.returncode, said


def statuses(workspace):
    return [str(trial.status) for trial in open_study("tiny-softmax", workspace).trials()]


@pytest.fixture
def goes_on(in_workspace, invoke, command, outcome, in_both_stores):
    """Return a check that the same command leads to the study that was never broken."""

    def check():
        assert invoke(*command).exit_code == 0
        assert invoke(*command, "unbroken").exit_code == 0
        resumed = open_study("tiny-softmax", in_workspace)
        assert outcome(resumed) == outcome(open_study("unbroken", in_workspace))
        assert statuses(in_workspace) == ["complete"] * 3
        tracker = Tracker("tiny", in_workspace)
        in_both_stores(resumed, tracker)
        runs = tracker.runs(study="tiny-softmax")
        assert "RUNNING" not in {run.info.status for run in runs}

    return check


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_saves_the_state_and_the_same_command_goes_on(
    in_workspace, start, goes_on, number, code
):
    process = start(pause=0.2, epochs=6)
    process.send_signal(number)
    returned, said = ends(process)
    assert returned == code
    last = said.splitlines()[-1]
    for words in ("sweep: stopped:", number.name, "1 complete", "`sweep run tiny-softmax` goes on"):
        assert words in last
    assert statuses(in_workspace) == ["complete", "running"]
    goes_on()


@pytest.mark.slow
def test_a_stuck_run_keeps_a_second_one_out_until_a_second_signal_ends_it_at_once(
    in_workspace, start, invoke, command
):
    process = start(pause=600, epochs=1)
    refused = invoke(*command)
    assert refused.exit_code == 1
    assert (
        f"study 'tiny-softmax' is being run by process {process.pid} on {socket.gethostname()}; "
        "wait for it, stop it, or choose another name"
    ) in refused.stderr
    assert statuses(in_workspace) == ["running"]

    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    process.send_signal(signal.SIGTERM)
    returned, said = ends(process)
    assert returned == 143
    assert said.splitlines()[-1] == "sweep: stopped at once; the same command goes on from here"


@pytest.mark.slow
def test_after_kill_9_the_same_command_repairs_both_stores_and_goes_on(
    in_workspace, start, goes_on
):
    process = start(pause=0.2, epochs=6)
    process.kill()
    assert ends(process)[0] == -signal.SIGKILL
    assert statuses(in_workspace) == ["complete", "running"]
    goes_on()

"""What `sweep run` prints and refuses; what a study comes to is tested with its session."""

import hashlib
import re
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from sweep.analysis.selection import find_selected
from sweep.data import open_source
from sweep.data.reopening import reopen_data
from sweep.search.record import open_study
from sweep.tracking.tracker import Tracker
from sweep_model.classifier import LinearClassifier

COMMAND = ["run", "--data", "digits", "--trials", "6", "--epochs", "2"]


@pytest.fixture
def study(in_finished_study):
    """Return the finished study of the digits, in whose folder the test runs."""
    return open_study("digits-softmax", in_finished_study)


def test_the_recorded_accuracy_is_that_of_the_classifier_kept(study, in_finished_study):
    selected = find_selected(study)
    data = reopen_data(study.config.data, open_source("digits"))
    (run,) = Tracker("digits", in_finished_study).runs(role="trial", trial=selected.number)
    folder = Path(urlsplit(run.info.artifact_uri).path)
    kept = LinearClassifier.load(folder / "classifier" / "classifier.npz")
    assert kept.digest == run.data.tags["sweep.weights_digest"] == selected.weights_digest
    scores = data.validation.rows @ kept.weights.T + kept.bias
    accuracy = np.mean(scores.argmax(axis=1) == data.validation.labels)
    assert selected.last("val/accuracy") == accuracy
    assert run.data.metrics["best/val_accuracy"] == max(selected.curves["val/accuracy"])


def test_the_study_says_how_to_reproduce_it_and_a_trial_its_log10_setting(study, in_finished_study):
    tracker = Tracker("digits", in_finished_study)
    (parent,) = tracker.runs(role="study")
    assert "\nsweep reproduce digits-softmax\n" in parent.data.tags["mlflow.note.content"]
    for run in tracker.runs(role="trial"):
        trial = study.trial(int(run.data.tags["sweep.trial"]))
        for name in ("l2", "learning_rate"):
            logarithm = float(run.data.params[f"log10_{name}"])
            assert 10**logarithm == pytest.approx(trial.params[name])


def test_the_same_command_again_asks_for_nothing_and_says_so(in_copied_study, invoke):
    before = open_study("digits-softmax", in_copied_study).trials()
    again = invoke(*COMMAND)
    assert again.exit_code == 0
    assert again.stdout.startswith("study digits-softmax: 6 of 6 trials finished (")
    assert open_study("digits-softmax", in_copied_study).trials() == before


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
            "--study",
        ):
            assert words in line
    assert invoke(*COMMAND, "--dry-run").exit_code == 0
    assert hashlib.sha256(in_finished_study.optuna_database.read_bytes()).digest() == before


def test_a_run_says_how_each_trial_ended_what_is_best_and_what_to_do_next(
    in_workspace, tiny_npz, invoke
):
    done = invoke("run", "--data", tiny_npz, "--trials", "2", "--epochs", "2", "--pruner", "none")
    assert done.exit_code == 0, done.output
    notice, *progress = done.stderr.splitlines()
    assert "tiny has no image shape" in notice
    assert len(progress) == 2
    for count, line in enumerate(progress, start=1):
        assert re.fullmatch(
            rf"trial [01] complete: val/accuracy 0\.\d{{4}} after 2 of 2 epochs; {count} of 2 done;"
            r" best 0\.\d{4} \(trial [01]\)",
            line,
        )
    lines = done.stdout.splitlines()
    assert lines[0] == (
        "study tiny-softmax: 2 of 2 trials finished (2 complete, 0 pruned, 0 failed)"
    )
    assert re.match(r"best: trial [01], validation accuracy \d+\.\d % \[", lines[1])
    assert lines[2].endswith("flip_probability 0")
    assert re.match(r"time \d+\.\d s: .*training \d+ %.*other \d+ %", lines[3])
    assert re.match(r"arithmetic \d+\.\d GF/s while training and evaluating \(", lines[4])
    assert lines[5:] == ["next: sweep ui | sweep show tiny-softmax | sweep confirm tiny-softmax"]
    trials = open_study("tiny-softmax", in_workspace).trials()
    assert [trial.params["flip_probability"] for trial in trials] == [0, 0]


GRID = ["learning_rate=0.01", "decay_period=10", "batch_size=25,50", "l2=0.1"]


def test_a_run_that_ends_before_its_trials_are_done_says_why(in_workspace, tiny_npz, invoke):
    del in_workspace
    grid = [word for override in GRID for word in ("--set", override)]
    for options, why in (
        (
            ["--study", "grid", "--sampler", "grid", *grid],
            "study grid: the grid has no point left (2 complete, 0 pruned, 0 failed)",
        ),
        (
            ["--study", "late", "--timeout", "1e-6"],
            "study late: the time of 1e-06 s is up (0 complete, 0 pruned, 0 failed)",
        ),
    ):
        done = invoke("run", "--data", tiny_npz, "--epochs", "1", *options)
        assert done.exit_code == 0, done.output
        assert done.stdout.splitlines()[0] == why


def test_with_val_loss_the_lowest_loss_is_best(in_workspace, tiny_npz, invoke):
    options = ["--epochs", "2", "--objective", "val-loss", "--sampler", "random", "--study", "low"]
    done = invoke("run", "--data", tiny_npz, "--trials", "4", "--pruner", "none", *options)
    assert done.exit_code == 0, done.output
    losses = [trial.last("val/loss") for trial in open_study("low", in_workspace).trials()]
    assert f"best: trial {np.argmin(losses)}, " in done.stdout
    assert f"best: trial {np.argmin(losses)}, " in invoke("best", "low").stdout


def test_trials_that_all_diverge_end_the_study_with_the_reason(in_workspace, tiny_npz, invoke):
    del in_workspace
    hot = ["learning_rate=1e6", "l2=1", "batch_size=2"]
    sets = [word for override in hot for word in ("--set", override)]
    done = invoke("run", "--data", tiny_npz, "--epochs", "9", *sets)
    assert (done.exit_code, done.stdout) == (1, "")
    _, *trials, error = done.stderr.splitlines()
    assert len(trials) >= 10
    assert re.match(
        r"trial 0 failed: after \d of 9 epochs; diverged in epoch \d: the .*; 0 of 50 done",
        trials[0],
    )
    for words in (
        "sweep: error: study 'tiny-softmax': 10 trials in a row failed",
        "--set",
        "--stu",
    ):
        assert words in error


def test_no_study_is_begun_where_no_tracking_store_answers(in_workspace, tiny_npz, invoke):
    in_workspace.optuna_database.unlink()
    for address, code in (
        ("mysql://u:pw@127.0.0.1:1/db", 1),  # its driver is not installed
        ("http://127.0.0.1:9", 75),
    ):
        refused = invoke("run", "--data", tiny_npz, "--tracking-uri", address)
        assert (refused.exit_code, refused.stdout) == (code, "")
        assert not in_workspace.optuna_database.exists()


def test_a_dry_run_tells_the_plan_and_leaves_no_trace(tmp_path, monkeypatch, tiny_npz, invoke):
    monkeypatch.chdir(tmp_path)
    shown = invoke(
        "run", "--data", tiny_npz, "--dry-run", "--set", "l2=0.1", "--slots", 6, "--workers", 2
    )
    assert shown.exit_code == 0
    assert re.sub(r"\b[0-9a-f]{12}\b", "DIGEST", shown.stdout) == (
        "study tiny-softmax: 50 trials of 50 epochs, softmax loss, tpe sampler, halving pruner, "
        "seed 0, best by val-accuracy\n"
        "6 slots, panels of 4 lanes\n"
        "data tiny: 72 training rows, 18 validation rows, digest DIGEST, split DIGEST\n"
        "  l2                0.1\n"
        "  learning_rate     0.0001:0.1:log\n"
        "  decay_period      2:50:log\n"
        "  batch_size        50,100,200,400\n"
        "  flip_probability  0\n"
    )
    assert list(tmp_path.iterdir()) == []

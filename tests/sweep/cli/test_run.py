"""`sweep run` end to end, on the digits and on an .npz file without images."""

import hashlib
import re
from pathlib import Path
from urllib.parse import urlsplit

import mlflow
import numpy as np
import pytest
from mlflow.artifacts import list_artifacts

from sweep.data import open_source
from sweep.study import attributes
from sweep.study.material import reopen_data
from sweep.study.opening import load_study
from sweep.study.results import chosen_trial
from sweep.study.storage import open_storage
from sweep.tracking.tracker import Tracker
from sweep_model.linear import LinearClassifier

COMMAND = ["run", "--data", "digits", "--trials", "6", "--epochs", "2"]


@pytest.fixture
def study(in_finished_study):
    """Return the finished study of the digits, in whose folder the test runs."""
    del in_finished_study
    return load_study("digits-softmax", open_storage())


@pytest.fixture
def tracker(study):
    del study
    return Tracker("digits")


def runs_by_trial(tracker):
    return {int(run.data.tags["sweep.trial"]): run for run in tracker.runs(role="trial")}


def classifier_of(run):
    folder = Path(urlsplit(run.info.artifact_uri).path)
    return LinearClassifier.load(folder / "classifier" / "classifier.npz")


def artifacts(run, folder):
    return {item.path for item in list_artifacts(run_id=run.info.run_id, artifact_path=folder)}


def test_every_trial_has_one_run_that_says_the_same(study, tracker, in_both_stores):
    assert len(study.trials()) == 6
    in_both_stores(study, tracker)


def test_a_run_has_the_setting_with_log10_twins_and_the_best_epoch(study, tracker):
    for number, run in runs_by_trial(tracker).items():
        trial = study.trials()[number]
        curve = trial.user_attrs[attributes.CURVES]["val/accuracy"]
        assert run.data.params["loss"] == "softmax"
        assert run.data.params["epochs"] == "2"
        assert run.data.params["seed"] == str(trial.user_attrs[attributes.SEAT]["seed"])
        for name in ("l2", "learning_rate"):
            logarithm = float(run.data.params[f"log10_{name}"])
            assert 10**logarithm == pytest.approx(trial.params[name])
        assert run.data.metrics["best/val_accuracy"] == max(curve)
        assert run.data.metrics["best/epoch"] == 1 + int(np.argmax(curve))


def test_the_classifier_kept_is_the_one_whose_digest_both_stores_have(study, tracker):
    for number, run in runs_by_trial(tracker).items():
        digest = classifier_of(run).digest
        assert digest == run.data.tags["sweep.weights_digest"]
        assert digest == study.trials()[number].user_attrs[attributes.WEIGHTS_DIGEST]


def test_images_holds_the_weights_and_nothing_else_and_figures_lie_apart(tracker):
    for run in runs_by_trial(tracker).values():
        images = artifacts(run, "images")
        assert all(re.match(r"images/weights\+step\+\d+\+timestamp", name) for name in images)
        epochs = len(tracker.client.get_metric_history(run.info.run_id, "val/loss"))
        assert {int(name.split("+")[2]) for name in images} == set(range(epochs + 1))
        assert artifacts(run, "figures") == {"figures/curves.png", "figures/class_weights.png"}


def test_the_studys_own_run_has_the_history_the_figures_and_the_way_to_reproduce(study, tracker):
    (run,) = tracker.runs(role="study")
    assert run.info.status == "FINISHED"
    history = tracker.client.get_metric_history(run.info.run_id, "best/val_accuracy")
    best = [point.value for point in history]
    assert best == sorted(best)
    assert best[-1] == chosen_trial(study).value
    assert artifacts(run, "figures") == {
        f"figures/{name}.png" for name in ("history", "parallel_coordinates", "slice", "importance")
    }
    assert "\nsweep reproduce digits-softmax\n" in run.data.tags["mlflow.note.content"]


def test_the_champion_loads_by_its_alias_and_predicts_as_the_classifier(study, tracker):
    chosen = chosen_trial(study)
    run = runs_by_trial(tracker)[chosen.number]
    version = tracker.client.get_model_version_by_alias("digits-softmax", "champion")
    assert version.run_id == run.info.run_id
    assert run.info.status == "FINISHED"

    rows = open_source("digits").development().rows.astype(np.float32)
    mlflow.set_tracking_uri(tracker.uri)
    served = mlflow.pyfunc.load_model("models:/digits-softmax@champion")
    assert np.array_equal(served.predict(rows), classifier_of(run).probabilities(rows))


def test_the_recorded_accuracy_is_that_of_the_classifier_kept(study, tracker):
    chosen = chosen_trial(study)
    data = reopen_data(study.settings.data, open_source("digits"))
    kept = classifier_of(runs_by_trial(tracker)[chosen.number])
    scores = data.validation.rows @ kept.weights.T + kept.bias
    assert chosen.value == np.mean(scores.argmax(axis=1) == data.validation.labels)


def test_the_same_command_again_asks_for_nothing_and_says_so(in_copied_study, invoke):
    del in_copied_study
    before = load_study("digits-softmax", open_storage()).trials()
    said = invoke(*COMMAND)
    assert said.exit_code == 0
    assert said.stdout.startswith("study digits-softmax: 6 of 6 trials were finished already (")
    assert load_study("digits-softmax", open_storage()).trials() == before


def test_other_settings_for_a_study_are_refused_with_what_differs(in_finished_study, invoke):
    store = in_finished_study / "mlruns" / "optuna.db"
    before = hashlib.sha256(store.read_bytes()).digest()
    said = invoke(*COMMAND[:-1], "3", "--seed", "1", "--set", "l2=0.1")
    assert (said.exit_code, said.stdout) == (1, "")
    assert said.stderr == (
        "sweep: error: study 'digits-softmax' was begun with other settings (recorded -> now): "
        "epochs 2 -> 3; seed 0 -> 1; l2 1e-05:1:log -> 0.1; give the recorded ones to go on with "
        "it, or name a new one with --study\n"
    )
    assert hashlib.sha256(store.read_bytes()).digest() == before


@pytest.mark.usefixtures("no_figures")
def test_a_run_says_how_each_trial_ended_what_is_best_and_what_to_do_next(
    workspace, tiny_npz, invoke
):
    del workspace
    said = invoke("run", "--data", tiny_npz, "--trials", "2", "--epochs", "2")
    assert said.exit_code == 0
    notice, *progress = said.stderr.splitlines()
    assert (
        notice == "tiny has no image shape: flip_probability is 0 and no weight images are drawn."
    )
    assert len(progress) == 2
    assert re.fullmatch(
        r"trial 0 complete: val/accuracy 0\.\d{4} after 2 of 2 epochs; 1 of 2 done; "
        r"best 0\.\d{4} \(trial 0\)",
        progress[0],
    )
    assert re.fullmatch(
        r"trial 1 complete: val/accuracy 0\.\d{4} after 2 of 2 epochs; 2 of 2 done; "
        r"best 0\.\d{4} \(trial [01]\)",
        progress[1],
    )
    lines = said.stdout.splitlines()
    assert lines[0] == (
        "study tiny-softmax: 2 of 2 trials finished (2 complete, 0 pruned, 0 failed)"
    )
    assert re.match(r"best: trial [01], validation accuracy \d+\.\d % \[", lines[1])
    assert lines[2].endswith("flip_probability 0")
    assert re.match(r"time \d+\.\d s: .*training \d+ %.*other \d+ %", lines[3])
    assert re.match(r"arithmetic \d+\.\d GF/s while training and evaluating \(", lines[4])
    assert lines[5:] == ["next: sweep ui | sweep show tiny-softmax | sweep confirm tiny-softmax"]
    for trial in load_study("tiny-softmax", open_storage()).trials():
        assert trial.params["flip_probability"] == 0
    assert all(not artifacts(run, "images") for run in Tracker("tiny").runs(role="trial"))


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize(
    ("options", "why"),
    [
        (
            ["--sampler", "grid", "--set", "learning_rate=0.01", "--set", "decay_period=10",
             "--set", "batch_size=25,50", "--set", "l2=0.1"],
            "the grid has no point left (2 complete, 0 pruned, 0 failed)",
        ),
        (["--timeout", "1e-6"], "the time of 1e-06 s is up (0 complete, 0 pruned, 0 failed)"),
    ],
)  # fmt: skip
def test_a_run_that_ends_before_its_trials_are_done_says_why(
    workspace, tiny_npz, invoke, options, why
):
    del workspace
    said = invoke("run", "--data", tiny_npz, "--epochs", "1", *options)
    assert said.exit_code == 0
    assert said.stdout.splitlines()[0] == f"study tiny-softmax: {why}"


@pytest.mark.usefixtures("no_figures")
def test_with_val_loss_the_lowest_loss_is_best(workspace, tiny_npz, invoke):
    del workspace
    options = ["--epochs", "2", "--objective", "val-loss", "--sampler", "random", "--study", "low"]
    assert invoke("run", "--data", tiny_npz, "--trials", "4", *options).exit_code == 0
    study = load_study("low", open_storage())
    losses = [trial.user_attrs[attributes.CURVES]["val/loss"][-1] for trial in study.trials()]
    assert chosen_trial(study).number == int(np.argmin(losses))
    assert f"best: trial {np.argmin(losses)}, " in invoke("best", "low").stdout


@pytest.mark.usefixtures("no_figures")
def test_trials_that_all_diverge_end_the_study_with_the_reason(
    workspace, tiny_npz, invoke, monkeypatch
):
    del workspace
    monkeypatch.setattr("sweep.study.failures.FAILURES_IN_A_ROW", 3)
    hot = ["--set", "learning_rate=1e5:1e6:log", "--set", "l2=1", "--set", "batch_size=25"]
    said = invoke("run", "--data", tiny_npz, "--epochs", "9", "--set", "decay_period=50", *hot)
    assert (said.exit_code, said.stdout) == (1, "")
    *trials, error = said.stderr.splitlines()[1:]
    assert len(trials) == 3
    assert re.fullmatch(
        r"trial 0 diverged: .* after \d of 9 epochs; diverged in epoch \d: the .* cost is .*; "
        r"0 of 50 done(; leading .*)?",
        trials[0],
    )
    assert re.fullmatch(
        r"sweep: error: study 'tiny-softmax': 3 trials in a row failed, the last because: "
        r"diverged in epoch \d: .*; narrow the space, e\.g\. --set learning_rate=1e-4:1e-2:log",
        error,
    )


def test_a_dry_run_refuses_what_the_run_would(in_finished_study, invoke):
    del in_finished_study
    same = ("run", "--data", "digits", "--dry-run", "--trials", "6")
    said = invoke(*same, "--epochs", "3")
    assert (said.exit_code, said.stdout) == (1, "")
    assert "study 'digits-softmax' was begun with other settings" in said.stderr
    assert "epochs 2 -> 3" in said.stderr
    assert invoke(*same, "--epochs", "2").exit_code == 0


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("mysql://u:pw@127.0.0.1:1/db", 1),  # its driver is not installed
        ("http://127.0.0.1:9", 75),
    ],
)
def test_no_study_is_begun_where_no_tracking_store_answers(
    workspace, tiny_npz, invoke, address, code
):
    del workspace
    said = invoke("run", "--data", tiny_npz, "--tracking-uri", address)
    assert (said.exit_code, said.stdout) == (code, "")
    assert not Path("mlruns/optuna.db").exists()


def test_a_dry_run_tells_the_plan_and_leaves_no_trace(tmp_path, monkeypatch, tiny_npz, invoke):
    monkeypatch.chdir(tmp_path)
    said = invoke(
        "run", "--data", tiny_npz, "--dry-run", "--set", "l2=0.1", "--slots", 6, "--workers", 2
    )
    assert said.exit_code == 0
    assert re.sub(r"\b[0-9a-f]{12}\b", "DIGEST", said.stdout) == (
        "study tiny-softmax: 50 trials of 50 epochs, softmax loss, tpe sampler, median pruner, "
        "seed 0, best by val-accuracy\n"
        "layout: 6 slots in stacks of 6, 2 workers\n"
        "data tiny: 72 training rows, 18 validation rows, digest DIGEST, split DIGEST\n"
        "  l2                0.1\n"
        "  learning_rate     0.0001:0.1:log\n"
        "  decay_period      2:50:log\n"
        "  batch_size        25,50,100,200,400\n"
        "  flip_probability  0\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--data", "cifar100"], "--data must be auto, cifar10, digits or a FILE.npz: got "),
        (["--data", "none.npz"], "none.npz"),
        (["--data", "digits", "--study", "../x"], "a study name has 1 to 80 letters, "),
        (["--data", "digits", "--set", "l2=3:1"], "l2: the low end of a range must be below "),
        (["--data", "digits", "--set", "lr=0.1"], "unknown hyperparameter 'lr': "),
        (["--data", "digits", "--set", "l2"], "l2"),
        (["--data", "digits", "--val-size", "99999"], "99999"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_before_anything_is_written(
    tmp_path, monkeypatch, invoke, options, complaint
):
    monkeypatch.chdir(tmp_path)
    said = invoke("run", *options)
    assert (said.exit_code, said.stdout) == (1, "")
    assert said.stderr.startswith("sweep: error: ")
    assert complaint in said.stderr
    assert said.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []

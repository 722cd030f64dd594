import json
import re

import numpy as np
import pytest

from sweep.analysis.runs import keep_run
from sweep.analysis.train import TRAININGS
from sweep.tracking import RunState, Tracker


def test_a_training_tells_what_it_came_to_and_which_run_has_it(in_workspace, invoke, tiny_npz):
    said = invoke("train", "--data", tiny_npz, "--epochs", "3", "--test")
    assert said.exit_code == 0
    tracker = Tracker("tiny", in_workspace)
    (run,) = tracker.runs(role="train")
    assert re.fullmatch(
        r"train      loss \d\.\d{4}, accuracy \d+\.\d %\n"
        r"validation loss \d\.\d{4}, accuracy \d+\.\d % \[\d+\.\d, \d+\.\d\] "
        r"\(95 % interval, 90 rows in 5 folds\)\n"
        r"test       accuracy \d+\.\d % \[\d+\.\d, \d+\.\d\] \(95 % interval\)\n"
        r"also: balanced accuracy .*\n      macro F1 .*\n      log loss .*\n"
        rf"run {run.info.run_id}, weights {run.data.tags['sweep.weights_digest'][:12]}\n",
        said.stdout,
    )
    points = tracker.client.get_metric_history(run.info.run_id, "val/accuracy")
    assert said.stderr.splitlines()[-3:] == [
        f"epoch {n} of 3: val/accuracy {point.value:.4f}" for n, point in enumerate(points, start=1)
    ]
    assert run.data.metrics["test/accuracy"] > 0


def test_every_option_arrives_in_the_run(in_workspace, invoke, tiny_npz):
    said = invoke(
        "train", "--data", tiny_npz, "--loss", "bce", "--l2", "0.5", "--learning-rate",
        "0.125", "--decay-period", "3", "--batch-size", "7", "--epochs", "2", "--seed", "9",
        "--val-size", "10", "--json",
    )  # fmt: skip
    facts = json.loads(said.stdout)
    assert list(facts) == [
        *("train/loss", "train/cost", "train/accuracy", "val/loss", "val/cost", "val/accuracy"),
        *("test", "weights_digest", "mlflow_run_id"),
    ]
    assert facts["test"] is None
    (run,) = Tracker("tiny", in_workspace).runs(role="train")
    assert run.data.params == {
        "loss": "bce",
        "l2": "0.5",
        "learning_rate": "0.125",
        "decay_period": "3",
        "batch_size": "7",
        "flip_probability": "0.0",
        "decay_factor": "0.5",
        "epochs": "2",
        "seed": "9",
        "first_pass": "0",
        "lanes": "4",
        "log10_l2": str(np.log10(0.5)),
        "log10_learning_rate": str(np.log10(0.125)),
    }
    assert json.loads(run.inputs.dataset_inputs[1].dataset.profile)["rows"] == 10


def test_sync_sends_a_training_that_waits_also_where_there_is_no_study(in_workspace, invoke):
    files = in_workspace.pending(TRAININGS) / "train-1" / "files"
    told = {"key": "k", "name": "train-1", "status": "FINISHED", "began": 1, "ended": 2}
    keep_run(RunState(**told, tags={"role": "train", "data": "tiny"}, files=files))
    assert invoke("sync").stdout == "sweep train: 1 run was sent\n"
    (run,) = Tracker("tiny", in_workspace).runs(role="train")
    assert run.info.run_name == "train-1"


def test_a_setting_that_cannot_be_is_refused_before_a_run_is_made(in_workspace, invoke, tiny_npz):
    for option, value, words in (
        ("--l2", "nan", "l2 must lie in [0, 1e+06]: got nan"),
        ("--learning-rate", "0", "learning_rate must lie in (0, 1e+06]: got 0.0"),
        ("--decay-period", "0", "decay_period must lie in [1, 1e+06]: got 0"),
        ("--batch-size", str(10**30), "batch_size must lie in [1, 1e+06]: got 1000000"),
        ("--flip-probability", "1.1", "flip_probability must lie in [0, 1]: got 1.1"),
        ("--flip-probability", "0.5", "no image shape, so there is nothing to flip"),
    ):
        said = invoke("train", "--data", tiny_npz, option, value)
        assert (said.exit_code, said.stdout) == (1, "")
        assert words in said.stderr.splitlines()[-1]
    assert Tracker("tiny", in_workspace).runs(role="train") == []


@pytest.mark.usefixtures("in_workspace")
def test_what_was_taken_and_what_cannot_be_known_is_said(invoke):
    said = invoke("train", "--epochs", "1", "--json")
    assert said.exit_code == 0
    assert said.stderr.startswith("Data: digits (1,797 images of 8 x 8), ")
    rows = np.random.default_rng(1).normal(size=(60, 4)).astype(np.float32)
    np.savez("a.npz", X=rows, y=np.arange(60) % 3, X_val=rows[:2], y_val=np.array([0, 2]))
    said = invoke("train", "--data", "a.npz", "--epochs", "1")
    assert said.exit_code == 0
    assert "a has no validation row of 1 of 3 classes ('1'), so nothing" in said.stderr
    refused = invoke("train", "--data", "a.npz", "--epochs", "1", "--test")
    assert refused.exit_code == 1
    assert "X_test" in refused.stderr.splitlines()[-1]

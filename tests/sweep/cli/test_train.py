import json
import re

import numpy as np
import pytest

from sweep.tracking.tracker import Tracker


def test_a_training_tells_what_it_came_to_and_which_run_has_it(in_workspace, invoke, tiny_npz):
    said = invoke("train", "--data", tiny_npz, "--epochs", "3", "--test")
    assert said.exit_code == 0
    (run,) = Tracker("tiny", in_workspace).runs(role="train")
    assert re.fullmatch(
        r"train      loss \d\.\d{4}, accuracy \d+\.\d %\n"
        r"validation loss \d\.\d{4}, accuracy \d+\.\d % \[\d+\.\d, \d+\.\d\] \(95 % interval\)\n"
        r"test       accuracy \d+\.\d % \[\d+\.\d, \d+\.\d\] \(95 % interval\)\n"
        rf"run {run.info.run_id}, weights {run.data.tags['sweep.weights_digest'][:12]}\n",
        said.stdout,
    )
    assert said.stderr.splitlines() == [
        f"epoch {epoch} of 3: val/accuracy {point.value:.4f}"
        for epoch, point in enumerate(
            Tracker("tiny", in_workspace).client.get_metric_history(
                run.info.run_id, "val/accuracy"
            ),
            start=1,
        )
    ]
    assert run.data.metrics["test/accuracy"] > 0


@pytest.mark.usefixtures("in_workspace")
def test_a_training_as_json_has_stable_keys(invoke, tiny_npz):
    given = ["train", "--data", tiny_npz, "--epochs", "2", "--json"]
    facts = json.loads(invoke(*given).stdout)
    assert list(facts) == [
        "train/loss",
        "train/cost",
        "train/accuracy",
        "val/loss",
        "val/cost",
        "val/accuracy",
        "test",
        "weights_digest",
        "mlflow_run_id",
    ]
    assert facts["test"] is None
    tested = json.loads(invoke(*given, "--test").stdout)
    assert list(tested["test"]) == ["accuracy", "low", "high", "rows", "per_class"]
    assert tested["test"]["rows"] == 9
    assert tested["weights_digest"] == facts["weights_digest"]


def test_every_option_arrives_in_the_run(in_workspace, invoke, tiny_npz):
    said = invoke(
        "train", "--data", tiny_npz, "--loss", "bce", "--l2", "0.5", "--learning-rate",
        "0.125", "--decay-period", "3", "--batch-size", "7", "--epochs", "2", "--seed", "9",
        "--val-size", "10",
    )  # fmt: skip
    assert said.exit_code == 0, said.stderr
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


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--l2", "-1"], "l2 must lie in [0, 1e+06]: got -1.0"),
        (["--l2", "nan"], "l2 must lie in [0, 1e+06]: got nan"),
        (["--learning-rate", "0"], "learning_rate must lie in (0, 1e+06]: got 0.0"),
        (["--batch-size", "0"], "batch_size must lie in "),
        (["--flip-probability", "1.5"], "flip_probability must lie in [0, 1]: got 1.5"),
        (["--flip-probability", "0.5"], "no image shape, so there is nothing to flip"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_before_a_run_is_made(
    in_workspace, invoke, tiny_npz, options, complaint
):
    said = invoke("train", "--data", tiny_npz, *options)
    assert (said.exit_code, said.stdout) == (1, "")
    assert said.stderr.startswith("sweep: error: ")
    assert complaint in said.stderr
    assert Tracker("tiny", in_workspace).runs(role="train") == []


def test_data_without_test_rows_have_none_to_evaluate_on(in_workspace, invoke, tiny_npz):
    with np.load(tiny_npz) as kept:
        np.savez(in_workspace.root / "bare.npz", X=kept["X"], y=kept["y"])
    said = invoke("train", "--data", "bare.npz", "--epochs", "1", "--test")
    assert said.exit_code == 1
    assert "X_test" in said.stderr.splitlines()[-1]


@pytest.mark.usefixtures("in_workspace")
def test_auto_says_which_data_it_took(invoke):
    said = invoke("train", "--epochs", "1", "--json")
    assert said.exit_code == 0
    assert said.stderr.splitlines()[0].startswith("Data: digits (1,797 images of 8 x 8), ")


def test_classes_that_nothing_validates_are_told(in_workspace, invoke):
    rows = np.random.default_rng(1).normal(size=(60, 4)).astype(np.float32)
    np.savez(
        in_workspace.root / "a.npz",
        X=rows,
        y=np.arange(60) % 3,
        X_val=rows[:2],
        y_val=np.array([0, 2]),
    )
    said = invoke("train", "--data", in_workspace.root / "a.npz", "--epochs", "1")
    assert said.exit_code == 0
    assert said.stderr.startswith("a has no validation row of 1 of 3 classes ('1'), so nothing")

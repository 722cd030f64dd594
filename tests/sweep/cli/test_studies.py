"""`list`, `show` and `best`: whole outputs of a study whose trials were written down."""

import json
import os
import subprocess
import sys

import pytest
from optuna.trial import TrialState

from sweep.study.storage import create_storage

TABLE = """\
digits-softmax: softmax on digits, best by val-accuracy after 3 epochs
                 val         95 %  val train              learning  decay batch flip
trial ending     acc     interval loss   acc epochs    l2     rate period  size prob curve
──────────────────────────────────────────────────────────────────────────────────────────
"""
ROWS = {
    2: "   *2 complete 90.0% [86.1, 92.9]  0.1 10.0%      3 0.001     0.01     10    50  0.2 ▂▇█\n",
    0: "    0 complete 80.0% [75.1, 84.1]  0.2 20.0%      3   0.1     0.01     10    50  0.2 ▁▄▇\n",
    1: "    1 diverged     -            -    -     -      0     1     0.01     10    50  0.2\n",
    3: "    3 pruned   10.0%  [7.1, 13.9]  0.9 90.0%      1  0.01     0.01     10    50  0.2 ▁\n",
}
FAILURE = "trial 1 diverged: diverged in epoch 1: the [bold] cost is nan\n"
REST = """\
* chosen: trial 2, best by val-accuracy, not confirmed
curve: val/accuracy by epoch, from ▁ 0.5 to █ 0.9, or beyond
95 % interval: of each accuracy by itself, on 300 validation rows; the best of many flatters
"""


def lines(text):
    """Return the text without the blanks that a table leaves at the ends of its lines."""
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def test_list_has_a_line_for_each_study(invoke, recorded_study):
    del recorded_study
    said = invoke("list")
    assert (said.exit_code, said.stderr) == (0, "")
    assert lines(said.stdout) == (
        "study          data   loss    complete pruned failed best val acc val loss\n"
        "──────────────────────────────────────────────────────────────────────────\n"
        "digits-softmax digits softmax        2      1      1    2   90.0%      0.1\n"
    )


def test_list_as_json_has_stable_keys(invoke, recorded_study):
    del recorded_study
    (study,) = json.loads(invoke("list", "--json").stdout)
    assert study.pop("val/loss") == pytest.approx(0.1)
    assert study == {
        "study": "digits-softmax",
        "data": "digits",
        "loss": "softmax",
        "complete": 2,
        "pruned": 1,
        "failed": 1,
        "best_trial": 2,
        "chosen_trial": 2,
        "confirmed": False,
        "val/accuracy": 0.9,
    }


def test_a_store_without_studies_lists_none(invoke, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    create_storage()
    assert json.loads(invoke("list", "--json").stdout) == []
    assert invoke("list").exit_code == 0


def test_show_has_the_best_first_and_every_failure_with_its_reason(invoke, recorded_study):
    said = invoke("show", recorded_study.name)
    assert (said.exit_code, said.stderr) == (0, "")
    assert lines(said.stdout) == TABLE + "".join(ROWS[n] for n in (2, 0, 1, 3)) + FAILURE + REST


def test_show_has_the_first_of_many_and_says_what_is_not_shown(invoke, recorded_study):
    said = invoke("show", recorded_study.name, "--top", "2")
    assert (
        lines(said.stdout)
        == TABLE
        + ROWS[2]
        + ROWS[0]
        + ("not shown: 2 of 4 trials (1 diverged, 1 pruned); --top 4 shows all, --json has them\n")
        + REST
    )
    in_json = json.loads(invoke("show", recorded_study.name, "--top", "2", "--json").stdout)
    assert len(in_json["trials"]) == 4


@pytest.mark.slow
def test_show_without_utf_8_has_the_numbers_alone(recorded_study):
    done = subprocess.run(
        [sys.executable, "-c", "from sweep.cli import main; main()", "show", recorded_study.name],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    assert done.stdout.isascii()
    assert b"*2|complete|90.0%" in done.stdout
    assert b"curve" not in done.stdout


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("result", [2, 0, 1, 3]),
        ("trial", [0, 1, 2, 3]),
        ("l2", [2, 3, 0, 1]),
        ("val/loss", [2, 0, 3, 1]),
        ("epochs", [1, 3, 2, 0]),
    ],
)
def test_show_sorts_by_a_column_and_what_has_no_value_comes_last(
    invoke, recorded_study, sort, order
):
    shown = lines(invoke("show", recorded_study.name, "--sort", sort).stdout)
    assert shown.startswith(TABLE + "".join(ROWS[n] for n in order))
    around = json.loads(
        invoke("show", recorded_study.name, "--sort", sort, "--reverse", "--json").stdout
    )
    assert [trial["trial"] for trial in around["trials"]] == order[::-1]


def test_show_as_json_has_the_settings_and_stable_keys(invoke, recorded_study):
    shown = json.loads(invoke("show", recorded_study.name, "--json").stdout)
    assert shown["settings"] == json.loads(json.dumps(recorded_study.settings.record()))
    assert [trial["trial"] for trial in shown["trials"]] == [2, 0, 1, 3]
    assert shown["trials"][2] == {
        "trial": 1,
        "ending": "diverged",
        "reason": "diverged in epoch 1: the [bold] cost is nan",
        "epochs": 0,
        "val/accuracy": None,
        "val/loss": None,
        "train/accuracy": None,
        "l2": 1.0,
        "learning_rate": 0.01,
        "decay_period": 10,
        "batch_size": 50,
        "flip_probability": 0.2,
        "seed": 101,
        "mlflow_run_id": "run1",
    }


def test_best_tells_the_chosen_trial_how_sure_it_is_and_what_to_do_next(invoke, recorded_study):
    said = invoke("best", recorded_study.name)
    assert (said.exit_code, said.stderr) == (0, "")
    assert said.stdout == (
        "best: trial 2, validation accuracy 90.0 % [86.1, 92.9] "
        "(95 % interval, 300 rows; the best of many flatters)\n"
        "      l2 0.001, learning_rate 0.01, decay_period 10, batch_size 50, "
        "flip_probability 0.2\n"
        "reproduce it with: sweep reproduce digits-softmax\n"
        "confirm it with: sweep confirm digits-softmax\n"
    )


def test_best_as_json_has_stable_keys(invoke, recorded_study):
    best = json.loads(invoke("best", recorded_study.name, "--json").stdout)
    assert best.pop("val/accuracy_interval") == pytest.approx([0.8608, 0.9291], abs=1e-4)
    assert list(best) == [
        "study",
        "trial",
        "ending",
        "reason",
        "epochs",
        "val/accuracy",
        "val/loss",
        "train/accuracy",
        "l2",
        "learning_rate",
        "decay_period",
        "batch_size",
        "flip_probability",
        "seed",
        "mlflow_run_id",
        "grounds",
    ]
    assert (best["study"], best["trial"], best["val/accuracy"]) == ("digits-softmax", 2, 0.9)


@pytest.mark.parametrize("command", ["best", "reproduce", "test"])
def test_a_study_without_a_complete_trial_has_no_best(invoke, recorded_study, monkeypatch, command):
    monkeypatch.setattr(
        "sweep.study.opening.OpenStudy.trials",
        lambda study: study.optuna.get_trials(states=(TrialState.PRUNED,)),
    )
    said = invoke(command, recorded_study.name)
    assert (said.exit_code, said.stdout) == (1, "")
    assert said.stderr == (
        "sweep: error: study 'digits-softmax' has no complete trial yet; go on with `sweep run` "
        "as before\n"
    )


def test_an_unknown_trial_is_said_with_how_many_there_are(invoke, recorded_study):
    said = invoke("reproduce", recorded_study.name, "--trial", "9")
    assert (said.exit_code, said.stdout) == (1, "")
    assert said.stderr == (
        "sweep: error: study 'digits-softmax' has no trial 9: it has 4 trials, from 0; "
        "`sweep show digits-softmax` lists them\n"
    )

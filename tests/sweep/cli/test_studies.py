"""`list`, `show` and `best`: whole outputs of a study whose trials were written down."""

import json
import os
import subprocess
import sys

import pytest

from sweep.analysis.confirmation import BASELINE, Confirmation, Confirmed
from sweep.search.record import CONFIRMATION
from sweep.search.storage import open_storage

TABLE = """\
digits-softmax: softmax on digits, best by val-accuracy after 3 epochs
                        val         95 %  val train       learning  decay batch flip
trial status   epochs   acc     interval loss   acc    l2     rate period  size prob curve
──────────────────────────────────────────────────────────────────────────────────────────
"""
ROWS = {
    2: "   *2 complete      3 90.0% [86.1, 92.9]  0.1 90.0% 0.001     0.01     10    50  0.2 ▂▇█\n",
    0: "    0 complete      3 80.0% [75.1, 84.1]  0.2 80.0%   0.1     0.01     10    50  0.2 ▁▄▇\n",
    3: "    3 pruned        1 10.0%  [7.1, 13.9]  0.9 10.0%  0.01     0.01     10    50  0.2 ▁\n",
    1: "    1 failed        0     -            -    -     -     1     0.01     10    50  0.2\n",
}
FAILURE = "trial 1 failed: diverged in epoch 1: the [bold] cost is nan\n"
REASON = "trial 3 pruned: rung 1: val/accuracy 0.1000, needed 0.6000\n"
REST = """\
* selected: trial 2, best by val-accuracy, not confirmed
curve: val/accuracy by epoch, from ▁ 0.5 to █ 0.9, or beyond
95 % interval: of each accuracy by itself, on 300 validation rows; the best of many is optimistic
"""


def lines(text):
    """Return the text without the blanks that a table leaves at the ends of its lines."""
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def confirm(study, trial, search, *values):
    """Put a confirmation on record which that trial has won, with a noise floor of 0.15."""
    confirmation = Confirmation(
        metric="val/accuracy",
        direction="maximize",
        epochs=3,
        seeds=[1, 2, 3, 4, 5],
        finished=3,
        trials=[Confirmed(trial=trial, search=search, values=list(values))],
        baseline=Confirmed(
            trial=BASELINE, search=float("nan"), values=[0.75, 0.8, 0.85, 0.8, 0.75]
        ),
    )
    study.set_attribute(CONFIRMATION, confirmation.record())


def test_list_has_a_line_for_each_study(invoke, recorded_study):
    del recorded_study
    result = invoke("list")
    assert (result.exit_code, result.stderr) == (0, "")
    assert lines(result.stdout) == (
        "study          data   loss    complete pruned failed best val acc val loss selected\n"
        "───────────────────────────────────────────────────────────────────────────────────\n"
        "digits-softmax digits softmax        2      1      1    2   90.0%      0.1        2\n"
    )


def test_list_as_json_has_stable_keys(invoke, recorded_study):
    confirm(recorded_study, 0, 0.8, *[0.8] * 5)
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
        "val/accuracy": 0.9,
        "selected_trial": 0,
    }


def test_list_names_the_studies_that_it_cannot_read_on_stderr(invoke, recorded_study):
    import optuna

    storage = open_storage(recorded_study.workspace)
    for name, attribute in (("ours-once", "sweep:settings"), ("foreign", "theirs")):
        study = optuna.create_study(study_name=name, storage=storage)
        study.set_user_attr(attribute, {})
    result = invoke("list", "--json")
    assert result.exit_code == 0
    assert [each["study"] for each in json.loads(result.stdout)] == ["digits-softmax"]
    earlier, others = result.stderr.splitlines()
    assert "sweep 0.1" in earlier
    assert earlier.endswith("ours-once")
    assert others.endswith("other programs, left alone: foreign")


def test_a_store_without_studies_lists_none(invoke, in_workspace):
    del in_workspace
    assert json.loads(invoke("list", "--json").stdout) == []
    assert invoke("list").exit_code == 0


def test_show_has_complete_trials_first_then_the_longest_and_every_failure(invoke, recorded_study):
    result = invoke("show", recorded_study.name)
    assert (result.exit_code, result.stderr) == (0, "")
    assert lines(result.stdout) == TABLE + "".join(ROWS[n] for n in (2, 0, 3, 1)) + FAILURE + REST


def test_show_says_why_trials_were_pruned_when_asked(invoke, recorded_study):
    shown = lines(invoke("show", recorded_study.name, "--reasons").stdout)
    assert REASON + FAILURE + REST in shown


def test_show_has_the_first_of_many_and_says_what_is_not_shown(invoke, recorded_study):
    result = invoke("show", recorded_study.name, "--top", "2")
    left = "not shown: 2 of 4 trials (1 pruned, 1 failed); --top 4 shows all, --json has them\n"
    assert lines(result.stdout) == TABLE + ROWS[2] + ROWS[0] + left + REST
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
    assert b"*2|complete|" in done.stdout
    assert b"curve" not in done.stdout


def test_show_sorts_by_a_column_and_what_has_no_value_comes_last(invoke, recorded_study):
    for sort, order in (
        ("result", [2, 0, 3, 1]),
        ("trial", [0, 1, 2, 3]),
        ("l2", [2, 3, 0, 1]),
        ("val/loss", [2, 0, 3, 1]),
        ("epochs", [1, 3, 2, 0]),
    ):
        shown = lines(invoke("show", recorded_study.name, "--sort", sort).stdout)
        assert shown.startswith(TABLE + "".join(ROWS[n] for n in order)), sort
        options = ("--sort", sort, "--reverse", "--json")
        around = json.loads(invoke("show", recorded_study.name, *options).stdout)
        assert [trial["trial"] for trial in around["trials"]] == order[::-1], sort


def test_show_as_json_has_the_config_and_stable_keys(invoke, recorded_study):
    shown = json.loads(invoke("show", recorded_study.name, "--json").stdout)
    assert list(shown) == [
        *("config", "selected_trial", "grounds", "not_distinguishable", "boundary", "trials")
    ]
    assert shown["config"] == json.loads(json.dumps(recorded_study.config.record()))
    assert shown["selected_trial"] == 2
    assert [trial["trial"] for trial in shown["trials"]] == [2, 0, 3, 1]
    assert shown["trials"][3] == {
        "trial": 1,
        "status": "failed",
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
    }


def test_show_marks_what_the_noise_floor_cannot_tell_from_the_selected_trial(
    invoke, recorded_study
):
    confirm(recorded_study, 2, 0.9, *[0.9] * 5)
    shown = invoke("show", recorded_study.name).stdout
    assert "   ≈0 complete" in shown
    assert "* selected: trial 2, confirmed on 5 fresh seeds" in shown
    told = json.loads(invoke("show", recorded_study.name, "--json").stdout)
    assert told["not_distinguishable"] == [0]


def test_show_compares_nothing_with_a_selected_trial_that_was_pruned(invoke, recorded_study):
    confirm(recorded_study, 3, float("nan"), *[0.95] * 5)
    shown = invoke("show", recorded_study.name).stdout
    assert "   *3 pruned" in shown
    assert "≈" not in shown


def test_best_tells_the_selected_trial_how_sure_it_is_and_what_to_do_next(invoke, recorded_study):
    result = invoke("best", recorded_study.name)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "best: trial 2, validation accuracy 90.0 % [86.1, 92.9] "
        "(95 % interval, 300 rows; optimistic: the best of 4)\n"
        "      l2 0.001, learning_rate 0.01, decay_period 10, batch_size 50, "
        "flip_probability 0.2\n"
        "reproduce it with: sweep reproduce digits-softmax\n"
        "confirm it with: sweep confirm digits-softmax\n"
    )


def test_best_as_json_has_stable_keys(invoke, recorded_study):
    best = json.loads(invoke("best", recorded_study.name, "--json").stdout)
    assert best.pop("val/accuracy_interval") == pytest.approx([0.8608, 0.9291], abs=1e-4)
    assert list(best) == [
        *("study", "trial", "status", "reason", "epochs"),
        *("val/accuracy", "val/loss", "train/accuracy"),
        *("l2", "learning_rate", "decay_period", "batch_size", "flip_probability"),
        "grounds",
    ]
    assert (best["study"], best["trial"], best["val/accuracy"]) == ("digits-softmax", 2, 0.9)


@pytest.mark.parametrize("command", ["best", "reproduce", "test"])
def test_a_study_without_a_complete_trial_has_no_best(
    invoke, in_workspace, make_config, make_trial, command
):
    from sweep.search.record import begin_study

    study = begin_study(make_config(), open_storage(in_workspace), in_workspace)
    trial = make_trial(0, [0.1], status="pruned")
    study.begin(trial, None)
    study.end(trial)
    result = invoke(command, study.name)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "study 'tiny-softmax' has no complete trial yet; go on with `sweep run`" in result.stderr


def test_an_unknown_trial_is_said_with_how_many_there_are(invoke, recorded_study):
    result = invoke("reproduce", recorded_study.name, "--trial", "9")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no trial 9 of its own: it has 4; `sweep show digits-softmax` lists" in result.stderr
